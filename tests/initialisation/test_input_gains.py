"""Learned gains in front of a layer: they change the second moment of its input, and so its target."""

from __future__ import annotations

import math

import numpy as np
import onnx
import pytest
from onnx import helper

import initaudit
from tests.networks import he, model


def chain(gain: float | np.ndarray, *between: onnx.NodeProto, **names: str) -> onnx.ModelProto:
    """fc1 [64 to 64], ReLU, times `act.gain`, fc2 [64 to 10]; `between` stands behind the gain, from `g` to `value`."""
    rng = np.random.default_rng(0)
    name = names.get("gain", "act.gain")
    tensors = {"fc1.weight": he((64, 64), rng), "fc2.weight": he((10, 64), rng), name: np.asarray(gain)}
    nodes = [
        helper.make_node("Gemm", ["x", "fc1.weight"], ["z"], "fc1", transB=1),
        helper.make_node("Relu", ["z"], ["r"]),
        helper.make_node("Mul", ["r", name], ["g"], "gain"),
        *between,
        helper.make_node("Gemm", [names.get("value", "g"), "fc2.weight"], ["h"], "fc2", transB=1),
        helper.make_node("Relu", ["h"], ["y"]),
    ]
    return model(nodes, {"x": ["N", 64]}, ["y"], {n: a.astype(np.float32) for n, a in tensors.items()})


def std_of(proto: onnx.ModelProto, layer: str = "fc2") -> float:
    """The target's std of a layer."""
    audit = initaudit.audit(proto, probe="none").audit
    assert audit is not None
    return next(a.target.std for a in audit.layers if a.layer.name == layer and a.target is not None)


HE = math.sqrt(2 / 64)


@pytest.mark.parametrize(
    ("gain", "size"), [(0.5, 0.5), (-2.0, 2.0), ([4.0], 4.0), ([0.6, 0.8] * 32, math.sqrt(0.5)), (1.0, 1.0)]
)
def test_the_layer_behind_a_gain_makes_up_for_it(gain, size: float):
    """E[(g phi)^2] = g^2 E[phi^2], with the mean of g^2 over the channels: He's std over |g| keeps the second moment."""
    proto = chain(np.array(gain))

    assert std_of(proto) == pytest.approx(HE / size, rel=1e-5)
    assert std_of(proto, "fc1") == pytest.approx(HE)


@pytest.mark.parametrize("gain", [0.0, 1e-3, 1e3])
def test_a_gain_that_no_draw_makes_up_for_leaves_the_target(gain: float):
    """Weights a thousand times He's would explode as soon as the gain has grown."""
    assert std_of(chain(gain)) == pytest.approx(HE)


def test_a_gain_on_a_residual_branch_leaves_the_target_behind_the_sum():
    """ReZero: the skip carries the signal, whatever the gain of the branch is."""
    proto = chain(0.5, helper.make_node("Add", ["g", "x"], ["s"]), value="s")

    assert std_of(proto) == pytest.approx(HE)


def test_a_norm_behind_the_gain_removes_it():
    """What the layer reads has unit size again."""
    proto = chain(0.5, helper.make_node("LpNormalization", ["g"], ["s"], axis=1, p=2), value="s")

    assert std_of(proto) == pytest.approx(HE)


@pytest.mark.parametrize("shape", [(), (1,)])
def test_the_gradient_of_a_scalar_gain_is_measured(shape: tuple[int, ...]):
    """y = g Relu(Wx) is as large a change for each unit of g as Relu(Wx) itself."""
    report = initaudit.audit(chain(np.full(shape, 0.5)))
    assert report.audit is not None
    gain = next(a for a in report.audit.layers if a.layer.name == "gain")

    assert report.verdict.trainability is not None
    assert gain.factor_signal is not None
    assert gain.factor_signal.weight_gradient is not None
    assert gain.factor_signal.weight_gradient > 0
