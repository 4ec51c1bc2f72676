"""What is computed of constants is bounded, whatever a file asks for."""

from __future__ import annotations

import time
import tracemalloc

import numpy as np
import pytest
from onnx import NodeProto, helper

from initaudit.errors import UnsupportedWeight
from initaudit.model.build import build_graph
from initaudit.views import Constants, Operand
from tests.networks import model


def constants_of(nodes: list[NodeProto], tensors: dict[str, np.ndarray], opset: int = 17) -> tuple[Constants, Operand]:
    """The constants of a network that multiplies its input by `w`, and that one."""
    product = helper.make_node("MatMul", ["x", "w"], ["y"])
    graph = build_graph(model([*nodes, product], {"x": ["N", 4]}, ["y"], tensors), None)
    constants = Constants(graph, {"": opset})
    return constants, constants.get(graph.values["w"]) or constants.get(graph.values["w0"])


WIDE = np.array([4, 50_000_000], np.int64)


@pytest.mark.parametrize(
    ("nodes", "tensors"),
    [
        (
            [helper.make_node("Expand", ["e", "s"], ["w0"]), helper.make_node("Exp", ["w0"], ["w"])],
            {"e": np.float32(1.0), "s": WIDE},
        ),
        (
            [helper.make_node("Expand", ["e", "s"], ["w0"]), helper.make_node("Mul", ["w0", "w0"], ["w"])],
            {"e": np.float32(1.0), "s": WIDE},
        ),
    ],
    ids=["evaluated", "arithmetic"],
)
def test_a_few_bytes_cannot_ask_for_gigabytes(nodes: list[NodeProto], tensors: dict[str, np.ndarray]):
    """200 million elements made of one: refused before anything is allocated."""
    _, operand = constants_of(nodes, tensors)
    tracemalloc.start()

    with pytest.raises(UnsupportedWeight, match="too many"):
        operand.array()

    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20


@pytest.mark.parametrize(
    "node",
    [
        helper.make_node("AveragePool", ["e"], ["w"], kernel_shape=[64, 64], pads=[32, 32, 31, 31]),
        helper.make_node("Einsum", ["e", "e"], ["w"], equation="abcd,efgh->abcdefgh"),
        helper.make_node("Conv", ["e", "k"], ["w"], pads=[32, 32, 31, 31]),
    ],
    ids=lambda n: n.op_type,
)
def test_what_the_reference_implementation_would_take_for_ever_over_is_not_given_to_it(node: NodeProto):
    """Its loops in Python cannot be interrupted."""
    tensors = {"e": np.ones((1, 1, 128, 128), np.float32), "k": np.ones((1, 1, 64, 64), np.float32)}
    start = time.monotonic()

    graph = build_graph(model([node, helper.make_node("Mul", ["x", "w"], ["y"])], {"x": [4]}, ["y"], tensors), None)
    operand = Constants(graph, {"": 17}).get(graph.values["w"])
    if operand is not None:
        with pytest.raises(UnsupportedWeight):
            operand.array()

    assert time.monotonic() - start < 2.0


def test_a_block_size_is_no_length():
    """Scales are spread over the values that exist, not over the block that the file promises."""
    nodes = [helper.make_node("DequantizeLinear", ["q", "s"], ["w"], axis=1, block_size=1 << 27)]
    tensors = {"q": np.ones((4, 4), np.int8), "s": np.ones((4, 1), np.float32)}

    _, whole = constants_of(nodes, tensors, opset=21)
    _, wrong = constants_of(nodes, {**tensors, "s": np.ones((4, 2), np.float32)}, opset=21)

    assert whole.array().tolist() == np.ones((4, 4)).tolist()
    with pytest.raises(UnsupportedWeight, match="2 scales for 4 values in blocks of 134217728"):
        wrong.array()


def test_a_chain_of_small_constants_is_computed_once():
    """Masks are built by long chains, and each step is read by several: twice per step would be 2^60 for sixty."""
    steps = [helper.make_node("Max", [f"v{i}", f"v{i}"], [f"v{i + 1}"]) for i in range(60)]
    nodes = [helper.make_node("Sin", ["w0"], ["v0"]), *steps, helper.make_node("Neg", ["v60"], ["w"])]
    w = np.random.default_rng(0).standard_normal((4, 4)).astype(np.float32)

    _, operand = constants_of(nodes, {"w0": w})

    np.testing.assert_allclose(operand.array(), -np.sin(w), rtol=1e-6)
