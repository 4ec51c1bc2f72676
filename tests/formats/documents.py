"""Documents as the JSON format writes them, measured on small dense networks with numpy, for the tests of the pages made from them."""

from __future__ import annotations

import math

import numpy as np

ACTIVATIONS = {
    "relu": (lambda z: np.maximum(z, 0), lambda z: (z > 0).astype(float), math.sqrt(2)),
    "tanh": (np.tanh, lambda z: 1 - np.tanh(z) ** 2, 1.5925),
}


def histogram(values):
    """Counts of the values in 48 bins between the smallest and the largest."""
    counts, edges = np.histogram(values, bins=48)
    return {"low": float(edges[0]), "high": float(edges[-1]), "counts": counts.tolist()}


def dense_report(*, depth=12, width=48, activation="relu", factor=1.0, name="net", context="fresh", seed=0):
    """A report on a chain of dense layers whose weights have `factor` times the std that the activation calls for."""
    rng = np.random.default_rng(seed)
    phi, slope, gain = ACTIVATIONS[activation]
    std = gain / math.sqrt(width)
    weights = [rng.normal(0, std * factor, (width, width)) for _ in range(depth)]
    value = rng.normal(size=(64, width))
    outputs = []
    for weight in weights:
        outputs.append(value @ weight)
        value = phi(outputs[-1])
    gradient = rng.normal(size=value.shape)
    gradients = []
    for weight, z in zip(reversed(weights), reversed(outputs), strict=True):
        gradients.insert(0, float(np.sqrt(np.mean((gradient * slope(z)) ** 2))))
        gradient = (gradient * slope(z)) @ weight.T
    layers = [
        dense_layer(
            f"/{name}/block.{d // 4}/linear.{d}/MatMul",
            weight=w,
            z=z,
            gradient=g,
            activation=activation,
            gain=gain,
            depth=d,
        )
        for d, (w, z, g) in enumerate(zip(weights, outputs, gradients, strict=True))
    ]
    predicted = 1.0
    for layer in layers:
        predicted *= layer["target"]["ratio"] ** 2
        layer["signal"]["predicted_variance"] = predicted
    findings = []
    lost = next((layer["name"] for layer in layers if layer["signal"]["variance"] < 1e-3), None)
    if lost is not None:
        message = "the signal variance is 1e-3 of the input's and falls at every layer; the layers behind see noise"
        network, alone = ("check", "restore-layer") if context == "trained" else ("draw-network", "draw-layer")
        findings.append(
            finding("INI401", "vanishing-signal", "error", lost, message, measured=1e-3, expected=1.0, remedy=network)
        )
        for layer in layers:
            ratio = layer["target"]["ratio"]
            findings.append(
                finding(
                    "INI101",
                    "weight-too-small",
                    "warning",
                    layer["name"],
                    f"the weights have {ratio:.2g} times their target std",
                    measured=ratio,
                    expected=1.0,
                    remedy=alone,
                )
            )
    status = "fail" if lost else "pass"
    return {
        "model": {
            "path": f"models/{name}.onnx",
            "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            "bytes": depth * width * width * 4,
            "ir_version": 10,
            "opset": {"ai.onnx": 20},
            "producer": "pytorch 2.6.0",
            "parameters": depth * width * width,
        },
        "verdict": {
            "status": status,
            "context": context,
            "trainability": 0.03 if lost else 0.97,
            "optimisers": None if lost else {"sgd": 0.93, "adam": 0.98},
            "slowness": None if lost else 1.0,
            "slowness_why": "the network is not expected to learn at all" if lost else "every drawn layer starts as recommended",
            "reason": f"INI401 vanishing-signal at {lost}: the signal dies on its way" if lost else "No problem found in this freshly initialised network.",
            "evidence": ["12 of 12 layers follow he_normal up to a constant factor"],
            "headline": {"cause": "The signal dies on its way.", "layer": lost, "action": "Re-initialise with he_normal: `initaudit fix`."} if lost else None,
            "first_lost": {"layer": lost, "cause": "its weights are too small for a ReLU"} if lost else None,
        },
        "coverage": {"parameters": depth * width * width + 10, "audited": depth * width * width, "skipped": [{"initializer": "rope.table", "parameters": 10, "reason": "a table of constants, not a weight", "is_parameter": True}]},
        "probe": {
            "mode": "full", "status": "complete", "reason": None, "batch": 64, "seed": 0, "batch_norm": None,
            "inputs": [{"name": "x", "shape": [64, width], "dtype": "float32", "how": "N(0, 1)"}],
            "notes": ["the free axis of the batch was set to 64"],
        },
        "layers": layers,
        "graph": chain(layers),
        "findings": findings,
        "options": {"select": ["ALL"], "fail_on": "error", "input_shapes": {"x": [64, width]}, "baseline": None},
        "timing": {"seconds": 1.25},
    }  # fmt: skip


def chain(layers):
    """The graph of layers that stand one behind the other, each a node of its own."""
    nodes = [
        place("input", "x"),
        *(place("layer", layer["name"], layer["op_type"], layer["name"]) for layer in layers),
        place("output", "y"),
    ]
    return {"nodes": nodes, "edges": [[position, position + 1] for position in range(len(nodes) - 1)]}  # fmt: skip


def place(kind, name, op_type=None, *layers):
    """One node of the graph."""
    return {"kind": kind, "name": name, "op_type": op_type, "layers": list(layers), "inside": []}


def dense_layer(name, *, weight, z, gradient, activation, gain, depth):
    """One layer of the document, measured."""
    fan_in, fan_out = weight.shape
    target = gain / math.sqrt(fan_in)
    std = float(weight.std())
    centred = z - z.mean(0)
    unit = centred.var()
    return {
        "name": name, "title": name.strip("/").rsplit("/", 1)[0].replace("/", "."), "op_type": "MatMul", "kind": "linear",
        "depth": depth, "parameters": weight.size,
        "weight": {"initializers": [f"onnx::MatMul_{280 + depth}"], "shape": [fan_in, fan_out], "dtype": "float32", "view": [], "part": None, "shared_with": []},
        "fan_in": fan_in, "fan_out": fan_out, "groups": 1, "activation": activation, "activation_params": {}, "normalized_by": None, "feeds": [activation],
        "stats": {
            "count": weight.size, "mean": float(weight.mean()), "std": std, "min": float(weight.min()), "max": float(weight.max()), "zeros": 0,
            "nonfinite": 0, "subnormal": 0, "skewness": 0.01, "kurtosis": 3.02, "histogram": histogram(weight), "duplicate_units": 0.0,
            "spectral_norm": float(np.linalg.norm(weight, 2)), "smallest_singular_value": 0.001, "stable_rank": 11.2, "condition": 812.0, "orthogonality_defect": 0.7,
        },
        "provenance": {"law": None, "distribution": "normal", "std": std, "p_value": 0.41, "untrained": True},
        "target": {"scheme": "he_normal", "gain": gain, "std": target, "ratio": std / target, "why": f"{activation} follows and needs a gain of {gain:.3g}; {fan_in} values enter each unit."},
        "signal": {
            "mean_square": float(np.mean(z**2)), "variance": float(unit), "similarity": float(1 - unit / np.mean(z**2)), "saturated": 0.0, "dead": float(np.mean((z <= 0).all(0))),
            "elements": fan_out, "gradient_rms": gradient, "weight_gradient_ratio": gradient * 3, "nonfinite": 0.0, "predicted_variance": None, "growth": (std / target) ** 2,
            "after": {"mean_square": float(np.mean(z**2)) / 2, "variance": float(unit) / 2}, "histogram": histogram(z), "gradient_error": 0.05, "gradient_resolved": gradient > 1e-9,
        },
    }  # fmt: skip


def finding(code, name, severity, layer, message, *, measured=None, expected=None, **more):
    """One finding of the document."""
    return {
        "code": code, "name": name, "severity": severity, "confidence": "high", "layer": layer, "initializer": None, "message": message,
        "evidence": {"measured": measured, "expected": expected}, "suggestion": "Re-initialise with he_normal: `initaudit fix`.", "remedy": "check", "url": "", "fingerprint": "0123456789abcdef",
        "suppressed": None, **more,
    }  # fmt: skip


def error_report(
    path="models/broken.onnx", reason="models/broken.onnx is a Git LFS pointer, not a model: run `git lfs pull`"
):
    """A report on a model that could not be read."""
    return {
        "model": {"path": path, "sha256": None, "bytes": None, "ir_version": None, "opset": None, "producer": None, "parameters": 0},
        "verdict": {"status": "error", "context": "unknown", "trainability": None, "optimisers": None, "slowness": None, "slowness_why": "the model could not be audited", "reason": reason, "evidence": [], "first_lost": None},
        "coverage": {"parameters": 0, "audited": 0, "skipped": []},
        "probe": None, "layers": [], "graph": None, "findings": [],
    }  # fmt: skip


def document(*reports, interrupted=None):
    """The document around some reports."""
    run = {
        "started": "2026-03-09T14:05:33Z",
        "command": "initaudit check models",
        "versions": {"python": "3.12.1", "numpy": "2.1.0", "onnxruntime": None},
        "interrupted": interrupted,
    }
    tool = {"name": "initaudit", "version": "0.1.0"}
    return {"schema_version": "1", "tool": tool, "run": run, "reports": list(reports)}


def everywhere(value, text):
    """The same document with this text before every string that a model file can write to."""
    chosen = ("status", "context", "severity", "code", "kind", "confidence", "remedy", "mode", "batch_norm", "fail_on")
    if isinstance(value, dict):
        return {k: v if k in chosen else everywhere(v, text) for k, v in value.items()}
    if isinstance(value, list):
        return [everywhere(item, text) for item in value]
    return text + value if isinstance(value, str) else value


RULES = {
    "INI401": {"name": "vanishing-signal", "url": "https://docs.example/rules/INI401/", "summary": "The signal gets smaller at every layer until nothing is left of it.", "Why": "What does not arrive cannot be learned from.", "Harmless when": "never in a fresh network.", "Fix": "Re-initialise.", "References": "He et al. 2015."},
    "INI101": {"name": "weight-too-small", "url": "https://docs.example/rules/INI101/", "summary": "The weights are too small for their fan-in and activation.", "Why": "Each layer shrinks the signal.", "Harmless when": "a normalisation follows.", "Fix": "Re-initialise.", "References": "Glorot and Bengio 2010."},
    "INI602": {"name": "untouched-layer", "url": "https://docs.example/rules/INI602/", "summary": "Equal to the layer of another file.", "Why": "-", "Harmless when": "-", "Fix": "-", "References": "-"},
}  # fmt: skip


HOSTILE = "::error::\x1b[31m\n| `x` **b** <script> @all #1 ##vso[task] =1+1 %0A [a](1) {0} ]]>\u202e"
"""What a name in a model file may hold to be taken for markup or an order."""


def varied_reports():
    """A failing network with a suppressed and a known finding, a healthy one, one that a gate asks more of, one that cannot be read."""
    sick, healthy = dense_report(factor=0.3, name="sick"), dense_report(name="healthy", depth=4)
    sick["findings"][1] |= {"suppressed": "tied on purpose", "known": False}
    sick["findings"][2] |= {"suppressed": "known from accepted.json", "known": True}
    for number, entry in enumerate(sick["findings"]):
        entry["fingerprint"] = f"{number:016x}"
    sick["gate"] = {"fail_on": "error", "missed": [], "exit_code": 1}
    asked = dense_report(name="asked", depth=4)
    asked["gate"] = {"fail_on": "error", "missed": ["trainability 0.5 is below 0.9"], "exit_code": 1}
    asked["failed_rules"] = ["rule INI999 (acme.Rule) failed: ValueError: oops"]
    return [sick, healthy, asked, error_report()]


def rendered(name, *reports, **options):
    """What the format of this name makes of a document of these reports."""
    from initaudit.format import FormatOptions, find_format

    return find_format(name).render(document(*reports), FormatOptions(**options))
