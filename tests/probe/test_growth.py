"""The power by which values grow with the input, for what networks are made of."""

from __future__ import annotations

import math

import numpy as np
import pytest
from onnx import NodeProto, helper

from initaudit.model.load import load_model
from initaudit.probe.growth import degrees
from tests.networks import gated, mlp, model

CONSTANTS = {"w": np.eye(8), "two": 2.0, "third": 1 / 3, "one": 1.0, "zero": 0.0, "six": 6.0, "ones": np.ones(8)}


def steps(*texts: str) -> list[NodeProto]:
    """Nodes from `result = Operator operand operand`."""
    nodes = []
    for text in texts:
        result, call = text.split(" = ")
        operator, *operands = call.split()
        nodes.append(helper.make_node(operator, operands, [result]))
    return nodes


def degree(*texts: str) -> float:
    """Of `y` in a network of these nodes."""
    stored = {name: np.asarray(value, np.float32) for name, value in CONSTANTS.items()}
    return degrees(load_model(model(steps(*texts), {"x": ["N", 8]}, ["y"], stored)).graph)["y"]


@pytest.mark.parametrize(
    "operator", ["Relu", "LeakyRelu", "Elu", "Softplus", "HardSwish", "Mish", "Abs", "Neg", "Identity"]
)
def test_rectifiers_and_their_relatives_keep_the_degree(operator):
    """Far out they are straight lines."""
    assert degree(f"y = {operator} x") == 1.0


@pytest.mark.parametrize("operator", ["Sigmoid", "Tanh", "Erf", "HardSigmoid", "Softsign", "Sin", "Softmax"])
def test_bounded_functions_leave_nothing_of_it(operator):
    """Whatever arrives."""
    assert degree("z = Mul x x", f"y = {operator} z") == 0.0


@pytest.mark.parametrize(
    ("texts", "power"),
    [
        (["y = MatMul x w"], 1.0),
        (["y = Mul x x"], 2.0),
        (["y = Pow x two"], 2.0),
        (["z = Pow x two", "y = Sqrt z"], 1.0),
        (["y = Reciprocal x"], -1.0),
        (["y = Exp x"], math.inf),
        (["t = Transpose x", "y = MatMul x t"], 2.0),
        (["a = Mul x x", "y = Add a x"], 2.0),
    ],
)
def test_products_add_and_quotients_subtract(texts, power):
    """The algebra of powers."""
    assert degree(*texts) == power


@pytest.mark.parametrize(
    ("texts", "power"),
    [
        (["s = Sigmoid x", "y = Mul x s"], 1.0),
        (["a = Add x one", "c = Clip a zero six", "y = Mul x c"], 1.0),
        (["c = Mul x x", "d = Mul c x", "e = Add d x", "t = Tanh e", "u = Add t one", "y = Mul x u"], 1.0),
        (["n = Neg x", "e = Exp n", "d = Add e one", "y = Div one d"], 0.0),
        (["e = Exp x", "s = ReduceSum e", "y = Div e s"], 0.0),
        (["q = Pow x two", "m = ReduceMean q", "r = Sqrt m", "y = Div x r"], 0.0),
        (["q = Pow x two", "m = ReduceMean q", "r = Sqrt m", "i = Reciprocal r", "y = Mul x i"], 0.0),
        (["t = Transpose x", "l = MatMul x t", "a = Softmax l", "y = MatMul a x"], 1.0),
        (["n = LayerNormalization x ones", "y = Mul n n"], 0.0),
    ],
    ids=["silu", "hard swish", "gelu", "sigmoid", "softmax", "rms norm", "rms norm by rsqrt", "attention", "norm"],
)
def test_functions_in_pieces_have_the_degree_of_the_whole(texts, power):
    """As exporters write them."""
    assert degree(*texts) == power


@pytest.mark.parametrize(
    ("network", "power"),
    [
        (gated(3), 8.0),
        (gated(3, "HardSwish"), 8.0),
        (gated(3, "Sigmoid"), 1.0),
        (gated(3, norm=True), 0.0),
        (mlp((8, 8, 8)), 1.0),
    ],
    ids=["bilinear", "hard swish", "sigmoid gate", "behind a norm", "mlp"],
)
def test_a_chain_of_products_doubles_the_degree_in_each_block(network, power):
    """Unless the gate is bounded, or a norm stands in front of it."""
    assert degrees(load_model(network).graph)["y"] == power


def test_ids_cannot_be_multiplied():
    """An embedding of them is what it is."""
    from onnx import TensorProto

    network = model(steps("e = Gather w i", "y = Mul e e"), {"i": ["N"]}, ["y"], {"w": np.eye(8, dtype=np.float32)})
    network.graph.input[0].type.tensor_type.elem_type = TensorProto.INT64

    assert degrees(load_model(network).graph)["y"] == 0.0
