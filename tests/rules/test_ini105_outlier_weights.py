"""INI105 names what stands alone and is felt: not the tail that training gives a layer, nor the taps of a filter."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx
import pytest
from onnx import helper

import initaudit
from tests.networks import mlp, model, trained_like

if TYPE_CHECKING:
    from initaudit.findings import Finding

WIDTHS = (64, 64, 64, 10)


def outliers(network: onnx.ModelProto, **options: str) -> list[Finding]:
    """The findings of INI105."""
    report = initaudit.audit(network, **{"context": "trained", "probe": "forward", **options})
    return [f for f in report.findings if f.code == "INI105"]


def planted(value: float, number: int = 1) -> onnx.ModelProto:
    """A network like a trained one, with `value` at so many places of its second layer."""

    def plant(w: np.ndarray) -> np.ndarray:
        w = np.clip(w, -0.3, 0.3)
        w.reshape(-1)[:: w.size // number][:number] = value
        return w

    return mlp(WIDTHS, draw=trained_like, change={"fc1.weight": plant})


@pytest.mark.parametrize("number", [1, 3])
def test_a_handful_of_values_far_from_the_rest_is_named_with_what_it_does(number: int) -> None:
    """A flipped bit multiplies the output of its layer."""
    (found,) = outliers(planted(100.0, number))

    assert found.layer == "/fc1/Gemm"
    assert "times as large as with the other weights alone" in found.message


def test_a_tail_of_many_values_is_what_training_leaves() -> None:
    """The largest of a hundred large weights is none that stands alone."""
    assert outliers(planted(100.0, 100)) == []


def test_a_value_that_reads_nothing_is_not_felt() -> None:
    """Its input is zero for every input of the network."""
    blind = planted(100.0).SerializeToString()
    network = onnx.ModelProto.FromString(blind)
    for tensor in network.graph.initializer:
        if tensor.name == "fc0.weight":
            values = onnx.numpy_helper.to_array(tensor).copy()
            values[0] = 0.0
            tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))

    assert outliers(network) == []
    assert len(outliers(network, probe="none")) == 1


def test_nobody_is_told_to_clip_a_trained_weight() -> None:
    """It may be what the layer learned; another checkpoint can tell."""
    (trained,) = outliers(planted(100.0))

    assert "clip" not in trained.suggestion
    assert "another checkpoint" in trained.suggestion


def test_the_taps_of_a_filter_are_no_outliers() -> None:
    """A windowed sinc has one large tap, a few small ones and many that are next to nothing."""
    taps = np.arange(-128, 128)
    sinc = np.sinc(taps / 2.2) * np.hanning(256)
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["h"], "filter"),
        helper.make_node("Relu", ["h"], ["r"]),
        helper.make_node("Conv", ["r", "v"], ["y"], "next"),
    ]
    second = np.random.default_rng(0).normal(0, 0.3, (8, 1, 16)).astype(np.float32)
    network = model(nodes, {"x": ["N", 1, 512]}, ["y"], {"w": sinc.reshape(1, 1, 256).astype(np.float32), "v": second})

    assert outliers(network) == []


def positions(value: float) -> onnx.ModelProto:
    """A table of positions that is added in front of a norm, some rows of which hold `value`."""
    rng = np.random.default_rng(0)
    table = trained_like((32, 64), rng)
    table[3, ::9] = value
    tensors = {
        "p": table.astype(np.float32),
        "g": rng.normal(1, 0.1, 64).astype(np.float32),
        "w": trained_like((64, 10), rng).astype(np.float32),
    }
    nodes = [
        helper.make_node("Add", ["x", "p"], ["h"], "positions"),
        helper.make_node("LayerNormalization", ["h", "g"], ["n"], "norm"),
        helper.make_node("MatMul", ["n", "w"], ["y"], "head"),
    ]
    return model(nodes, {"x": ["N", 32, 64]}, ["y"], tensors)


@pytest.mark.parametrize(("value", "named"), [(3e30, True), (1e9, True), (10.0, False)])
def test_memory_that_was_never_filled_is_named_in_a_table_as_well(value: float, named: bool) -> None:
    """A table has no target, and a norm hides what it holds; but nobody learns such numbers."""
    assert bool(outliers(positions(value))) is named
