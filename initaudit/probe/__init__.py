"""The probe: random inputs through the network, in a process of its own; what arrives at each layer, and what comes back.

`initaudit.probe.probe` is where to begin. Nothing is imported here: the probe's process is started before numpy and onnx are there, so that its
imports run beside theirs (measured: 0.3 s of an audit's start).
"""
