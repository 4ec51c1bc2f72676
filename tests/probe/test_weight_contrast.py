"""Of the gain of a norm it is measured how much of what it does differs from input to input."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from onnx import ModelProto, helper

from tests.networks import model, normal
from tests.probe.probing import Probed, probed

if TYPE_CHECKING:
    from initaudit.probe.signal import Signal

WIDTH, POSITIONS, CLASSES = 16, 6, 10
SHARE = 0.1
"""Of the mean over the input's rows that is added to each row."""


def read_out(*, first: bool, gain: float = 1.0) -> ModelProto:
    """The input's rows behind one that all inputs share, a norm, and a head that reads the first row or the mean of all."""
    rng = np.random.default_rng(0)
    tensors = {
        "token": normal(1.0)((1, 1, WIDTH), rng),
        "share": np.array(SHARE),
        "none": np.array(0.0),
        "gain": np.full(WIDTH, gain),
        "head": normal(1.0)((WIDTH, CLASSES), rng),
    }
    select = {"start": np.array([0]), "end": np.array([1]), "axis": np.array([1])}
    nodes = [
        helper.make_node("ReduceMean", ["x"], ["mean"], axes=[1], keepdims=1),
        helper.make_node("Mul", ["mean", "share"], ["little"]),
        helper.make_node("Mul", ["mean", "none"], ["nothing"]),
        helper.make_node("Add", ["nothing", "token"], ["tokens"]),
        helper.make_node("Concat", ["tokens", "x"], ["rows"], axis=1),
        helper.make_node("Add", ["rows", "little"], ["stream"]),
        helper.make_node("LayerNormalization", ["stream", "gain"], ["normed"], "norm", axis=-1),
        helper.make_node("Slice", ["normed", "start", "end", "axis"], ["chosen"])
        if first
        else helper.make_node("ReduceMean", ["normed"], ["chosen"], axes=[1], keepdims=1),
        helper.make_node("Flatten", ["chosen"], ["flat"], axis=1),
        helper.make_node("MatMul", ["flat", "head"], ["y"], "fc"),
    ]
    stored = {name: array.astype(np.float32) for name, array in tensors.items()}
    return model(nodes, {"x": ["N", POSITIONS, WIDTH]}, ["y"], stored | (select if first else {}))


def signal_of_norm(result: Probed) -> Signal:
    """What was measured at the norm's gain."""
    return next(s for layer, s in zip(result.layers, result.signals, strict=True) if layer.name == "norm")


@pytest.mark.parametrize("gain", [1.0, 0.0])
def test_a_gain_acts_on_what_is_read_behind_it(gain: float) -> None:
    """The rows differ by almost all of their mean square, the first one by that of a mean of six times a tenth; so does what the gain does, be it zero."""
    result = probed(read_out(first=True, gain=gain), factors=True)

    norm = signal_of_norm(result)
    assert norm.input is not None
    assert norm.input.variance > 0.7 * norm.input.mean_square
    assert norm.weight_contrast == pytest.approx(SHARE**2 / POSITIONS, rel=0.5)


def test_a_gain_of_which_all_is_read_acts_on_all_that_differs() -> None:
    """Of the mean over seven rows one is shared: a seventh."""
    result = probed(read_out(first=False), factors=True)

    assert signal_of_norm(result).weight_contrast == pytest.approx(6 / 7, rel=0.2)
