"""A trained network that was made for pixels of 0 to 255 shows it in its first layer."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import ModelProto, helper

from initaudit.auditor import audit
from initaudit.config import Config
from tests.networks import he, model

op = helper.make_node
MEAN, SPREAD = 110.0, 60.0
UNITS = 16


def network(
    *, mean: float, spread: float, norm: bool = False, opposed: bool = True, depthwise: bool = False
) -> ModelProto:
    """A convolution that standardises pixels of `mean` and `spread` within its kernel and bias, or in the BatchNormalization behind it."""
    rng = np.random.default_rng(1)
    kernel, shift = rng.normal(0, 0.2, (UNITS, 3, 3, 3)), rng.normal(0, 0.3, UNITS)
    sums = kernel.sum(axis=(1, 2, 3))
    tensors = {
        "k": kernel if norm else kernel / spread,
        "c": np.zeros(UNITS) if norm else shift + (-1 if opposed else 1) * sums * mean / spread,
        "k2": he((UNITS, UNITS, 3, 3), rng),
        "w": he((10, UNITS), rng),
        "gamma": np.ones(UNITS),
        "beta": shift,
        "running_mean": sums * mean,
        "running_var": np.full(UNITS, 27 * 0.2**2 * spread**2),
    }
    if depthwise:
        tensors["d"] = np.tile(np.array([[0, 0.5, 0], [0.5, 1, 0.5], [0, 0.5, 0]]) / 3, (3, 1, 1, 1))
    behind = "n" if norm else "z"
    nodes = [
        *([op("Conv", ["x", "d"], ["e"], "/depth", group=3, pads=[1, 1, 1, 1])] if depthwise else []),
        op("Conv", ["e" if depthwise else "x", "k", "c"], ["z"], "/first", pads=[1, 1, 1, 1]),
        *([op("BatchNormalization", ["z", "gamma", "beta", "running_mean", "running_var"], ["n"])] if norm else []),
        op("Relu", [behind], ["a"]),
        op("Conv", ["a", "k2"], ["z2"], "/second"),
        op("Relu", ["z2"], ["a2"]),
        op("GlobalAveragePool", ["a2"], ["p"]),
        op("Flatten", ["p"], ["f"]),
        op("Gemm", ["f", "w"], ["y"], "/head", transB=1),
    ]
    used = {name for node in nodes for name in node.input}
    stored = {name: array.astype(np.float32) for name, array in tensors.items() if name in used}
    return model(nodes, {"x": ["N", 3, 16, 16]}, ["y"], stored)


def fed(proto: ModelProto, context: str = "trained") -> str:
    (entry,) = audit(proto, Config(context=context)).audit.probe.inputs
    return entry["how"]


@pytest.mark.parametrize("how", ["kernel and bias", "batch norm", "depthwise"])
def test_pixels_of_bytes_are_fed_where_the_first_layer_wants_them(how: str):
    """Small kernels whose biases make up for one mean pixel, also behind a depthwise convolution; or running statistics of pixels."""
    proto = network(mean=MEAN, spread=SPREAD, norm=how == "batch norm", depthwise=how == "depthwise")

    assert fed(proto).startswith("0 to 255, as the first layers show")


@pytest.mark.parametrize("norm", [False, True])
def test_inputs_of_unit_variance_stay(norm: bool):
    """A network for standardised images has kernels and statistics of another size."""
    assert fed(network(mean=0.0, spread=1.0, norm=norm)).startswith("N(0, 1)")


def test_small_kernels_beside_any_bias_are_no_pixels():
    """Where the biases add to what a mean makes, the kernels may have been scaled by mistake."""
    assert fed(network(mean=MEAN, spread=SPREAD, opposed=False)).startswith("N(0, 1)")


def test_a_fresh_network_is_fed_unit_variance():
    """What was never trained shows nothing of its inputs: its kernels are too small."""
    assert fed(network(mean=MEAN, spread=SPREAD), context="fresh").startswith("N(0, 1)")


def test_the_signal_behind_is_that_of_pixels():
    """With them the first layer's units depend on the image as much as on their bias."""
    report = audit(network(mean=MEAN, spread=SPREAD), Config(context="trained"))

    first = report.audit.by_name("/first").signal
    assert first.similarity < 0.7
    assert first.dead == 0.0
