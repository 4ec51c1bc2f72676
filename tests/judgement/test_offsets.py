"""The offsets of a deformable convolution start at zero."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from initaudit.judgement.offsets import moves_taps, shift
from onnx import helper

import initaudit
from initaudit.findings import Remedy, Severity
from tests.networks import he, model


def deformable(std: float, *, split: bool = False) -> onnx.ModelProto:
    """Convolution, offsets drawn from N(0, std), deformable convolution, head; `split` lets one layer give the offsets in two halves."""
    rng = np.random.default_rng(0)
    tensors = {
        "w0": he((8, 3, 3, 3), rng),
        "wo": rng.normal(0, std, (18, 8, 3, 3)),
        "wd": he((16, 8, 3, 3), rng),
        "wf": rng.normal(0, 0.25, (16, 10)),
    }
    nodes = [
        helper.make_node("Conv", ["x", "w0"], ["a"], "first", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["a"], ["r"]),
        helper.make_node("Conv", ["r", "wo"], ["o"], "offset", pads=[1, 1, 1, 1]),
    ]
    if split:
        nodes += [
            helper.make_node("Split", ["o"], ["o1", "o2"], axis=1, num_outputs=2),
            helper.make_node("Concat", ["o1", "o2"], ["halves"], axis=1),
        ]
    nodes += [
        helper.make_node(
            "DeformConv",
            ["r", "wd", "halves" if split else "o"],
            ["d"],
            "deform",
            pads=[1, 1, 1, 1],
            kernel_shape=[3, 3],
        ),
        helper.make_node("GlobalAveragePool", ["d"], ["p"]),
        helper.make_node("Flatten", ["p"], ["f"]),
        helper.make_node("MatMul", ["f", "wf"], ["y"], "head"),
    ]
    return model(nodes, {"x": ["N", 3, 12, 12]}, ["y"], {k: v.astype(np.float32) for k, v in tensors.items()}, opset=19)


@pytest.mark.parametrize("split", [False, True])
def test_the_layer_that_moves_the_taps_is_known_by_where_its_output_arrives(split: bool) -> None:
    """Directly, or through a split that is undone."""
    layers = initaudit.audit(deformable(0.1, split=split), probe="none").audit.layers

    assert {a.layer.node.name for a in layers if moves_taps(a)} == {"offset"}


def test_unprobed_offsets_are_those_of_unit_inputs() -> None:
    """std times the root of the fan-in."""
    layers = initaudit.audit(deformable(0.1), probe="none").audit.layers

    assert shift(layers[1]) == pytest.approx(0.1 * 72**0.5, rel=0.05)


@pytest.mark.parametrize(("std", "named"), [(0.167, True), (1.0, True), (0.01, False), (0.0, False)])
def test_offsets_beyond_half_a_pixel_are_noise(std: float, named: bool) -> None:
    """He's std moves the taps by more than a pixel; a new draw of the layer would do the same."""
    found = [f for f in initaudit.audit(deformable(std), context="fresh", probe="none").findings if f.code == "INI102"]

    assert [(f.layer, f.severity, f.remedy) for f in found] == [("offset", Severity.WARNING, Remedy.CHECK)] * named
