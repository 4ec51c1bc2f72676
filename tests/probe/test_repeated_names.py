"""Node names may repeat: onnx.checker accepts that, onnxruntime does not, and the audit names and probes every layer."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import helper

import initaudit
from tests.networks import model


def chain(names: list[str]) -> onnx.ModelProto:
    """Layers of 32 He units with these node names, and activations that are all called alike."""
    rng = np.random.default_rng(0)
    nodes, tensors, value = [], {}, "x"
    for i, name in enumerate(names):
        tensors[f"w{i}"] = rng.normal(0, (2 / 32) ** 0.5, (32, 32)).astype(np.float32)
        nodes.append(helper.make_node("MatMul", [value, f"w{i}"], [f"h{i}"], name))
        nodes.append(helper.make_node("Relu", [f"h{i}"], [f"r{i}"], "act"))
        value = f"r{i}"
    return model(nodes, {"x": ["N", 32]}, [value], tensors)


@pytest.mark.parametrize("names", [["a", "a", "a#2", "a"], ["", "", "MatMul", "MatMul#2"]])
def test_layers_of_equal_names_are_told_apart_and_probed(names):
    """Each has a name of its own and a signal of its own."""
    proto = chain(names)
    onnx.checker.check_model(onnx.shape_inference.infer_shapes(proto))

    report = initaudit.audit(proto)

    assert report.audit is not None
    layers = report.audit.layers
    assert len({a.layer.name for a in layers}) == 4
    assert report.audit.probe.status == "complete"
    assert len({a.signal.variance for a in layers if a.signal is not None}) == 4
