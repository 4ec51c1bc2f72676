"""Networks that decide by comparisons are not judged by their gradients."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import initaudit
from tests.networks import model


def tree(step: str, *, shortcut: bool = False) -> onnx.ModelProto:
    """Two layers; behind the first a comparison with 0.5, as floats, or with a way round it."""
    rng = np.random.default_rng(0)
    weights = {"w": rng.normal(0, 0.3, (8, 8)), "v": rng.normal(0, 0.3, (8, 3)), "half": np.full(8, 0.5)}
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["h"], "first"),
        helper.make_node(step, ["h", "half"] if step != "Sign" else ["h"], ["c"]),
        helper.make_node("Cast", ["c"], ["s"], to=TensorProto.FLOAT),
        helper.make_node("Add", ["s", "h"], ["t"]) if shortcut else helper.make_node("Identity", ["s"], ["t"]),
        helper.make_node("MatMul", ["t", "v"], ["y"], "second"),
    ]
    return model(nodes, {"x": ["N", 8]}, ["y"], {name: w.astype(np.float32) for name, w in weights.items()})


@pytest.mark.parametrize("step", ["Less", "Greater"])
def test_a_comparison_passes_no_gradient_and_none_is_missed(step: str):
    """There is no trainability, no vanishing gradient is found, and the verdict says why."""
    report = initaudit.audit(tree(step))

    assert report.verdict.trainability is None
    assert "INI501" not in {f.code for f in report.findings}
    assert f"but through {step}, which no gradient passes" in report.verdict.reason


def test_a_way_round_the_comparison_is_a_way_for_the_gradient():
    """What reaches the output past the step is judged as ever."""
    assert initaudit.audit(tree("Less", shortcut=True)).verdict.trainability is not None


def test_comparisons_without_any_layer_are_nothing_to_judge():
    """A model that only compares has no layer that waits for a gradient."""
    nodes = [
        helper.make_node("Less", ["x", "half"], ["c"]),
        helper.make_node("Cast", ["c"], ["y"], to=TensorProto.FLOAT),
    ]

    report = initaudit.audit(model(nodes, {"x": ["N", 8]}, ["y"], {"half": np.full(8, 0.5, np.float32)}))

    assert "no way back" not in report.verdict.reason
