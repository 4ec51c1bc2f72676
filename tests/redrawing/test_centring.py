"""Behind an activation that is mostly mean, weights sum to zero and make up for the variance alone."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import helper

from initaudit.extraction.extract import extract_layers
from initaudit.model.load import load_model
from initaudit.redrawing.centring import centred, centred_gain, readers
from tests.networks import he, mlp, model


@pytest.mark.parametrize(
    ("activation", "want"), [("Sigmoid", 4.80), ("Softplus", 1.919), ("Relu", None), ("Tanh", None)]
)
def test_the_gain_is_that_of_the_variance(activation: str, want: float | None) -> None:
    """Var[phi(z)]^-1/2 for z ~ N(0, 1): 0.2083 for sigmoid and 0.521 for softplus are its square roots; ReLU and tanh keep theirs."""
    first = extract_layers(load_model(mlp([8, 8, 4], activation))).layers[0]

    gain = centred_gain(first)

    assert gain == (None if want is None else pytest.approx(want, rel=2e-3))


def test_each_unit_sums_to_zero_over_its_inputs() -> None:
    """For a linear layer stored either way, and for a kernel."""
    weights = np.random.default_rng(0).standard_normal((6, 5, 3, 3))

    assert np.allclose(centred(weights, (0,), None).sum(axis=(1, 2, 3)), 0)
    assert np.allclose(centred(weights, (1,), (0, 2, 3)).sum(axis=(0, 2, 3)), 0)


def test_what_reads_the_data_is_left_alone_and_branches_share_the_variance() -> None:
    """x + W2 softplus(W1 x), four times: W2 reads softplus; its gain is divided by the root of four branches."""
    rng = np.random.default_rng(0)
    nodes, tensors, stream = [], {}, "x"
    for i in range(4):
        for name in (f"a{i}", f"b{i}"):
            tensors[name] = he((16, 16), rng).astype(np.float32)
        nodes += [
            helper.make_node("MatMul", [stream, f"a{i}"], [f"h{i}"], f"a{i}"),
            helper.make_node("Softplus", [f"h{i}"], [f"p{i}"]),
            helper.make_node("MatMul", [f"p{i}", f"b{i}"], [f"r{i}"], f"b{i}"),
            helper.make_node("Add", [stream, f"r{i}"], [f"s{i}"]),
        ]
        stream = f"s{i}"
    layers = extract_layers(load_model(model(nodes, {"x": ["N", 16]}, [stream], tensors))).layers

    found = readers(layers)

    assert "a0" not in found
    assert {name: found[name] for name in ("b0", "b3")} == pytest.approx({"b0": 1.919 / 2, "b3": 1.919 / 2}, rel=2e-3)


def test_what_is_gated_reads_no_activation() -> None:
    """In V x * sigmoid(W x), V reads x and U reads the product; only R, behind a Reshape, reads sigmoid(W x)."""
    rng = np.random.default_rng(0)
    tensors = {name: he((16, 16), rng).astype(np.float32) for name in ("w", "v", "u", "r")}
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["a"], "w"),
        helper.make_node("Sigmoid", ["a"], ["gate"]),
        helper.make_node("MatMul", ["x", "v"], ["b"], "v"),
        helper.make_node("Mul", ["b", "gate"], ["product"]),
        helper.make_node("MatMul", ["product", "u"], ["y"], "u"),
        helper.make_node("Reshape", ["gate", "shape"], ["moved"]),
        helper.make_node("MatMul", ["moved", "r"], ["z"], "r"),
    ]
    shape = {"shape": np.array([-1, 16], np.int64)}
    layers = extract_layers(load_model(model(nodes, {"x": ["N", 16]}, ["y", "z"], tensors | shape))).layers

    assert readers(layers) == pytest.approx({"r": 4.80}, rel=2e-3)
