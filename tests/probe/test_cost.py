"""What a run costs follows from the shapes of its values."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from initaudit.probe.cost import NODE_COST, TOUCH_COST, guessed_elements, most_elements, run_cost

op = helper.make_node


def build(nodes: Sequence[NodeProto], weights: dict[str, np.ndarray] | None = None) -> ModelProto:
    """A model from x to y."""
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in "xy")
    stored = [numpy_helper.from_array(array, name) for name, array in (weights or {}).items()]
    return helper.make_model(
        helper.make_graph(nodes, "g", [x], [y], stored), opset_imports=[helper.make_opsetid("", 17)]
    )


def products(
    nodes: Sequence[NodeProto], shape: tuple[int, ...], weights: dict[str, np.ndarray], elements: int
) -> float:
    """Of a run, without what its `elements` and nodes cost besides."""
    return run_cost(build(nodes, weights), {"x": shape}) - TOUCH_COST * elements - NODE_COST * len(nodes)


def zeros(*shape: int) -> np.ndarray:
    """A weight."""
    return np.zeros(shape, np.float32)


@pytest.mark.parametrize(
    ("node", "shape", "weights", "elements", "expected"),
    [
        (op("MatMul", ["x", "w"], ["y"]), (8, 64), {"w": zeros(64, 32)}, 64 * 32 + 8 * 32, 8 * 64 * 32),
        (op("Conv", ["x", "w"], ["y"]), (1, 4, 9, 9), {"w": zeros(6, 4, 3, 3)}, 216 + 6 * 49, 6 * 49 * 36),
        (op("Einsum", ["x", "w"], ["y"], equation="bij,bjk->bik"), (2, 3, 5), {"w": zeros(2, 5, 7)}, 70 + 42, 2 * 3 * 5 * 7),
        (op("LSTM", ["x", "w", "r"], ["y"], hidden_size=5), (7, 2, 3), {"w": zeros(1, 20, 3), "r": zeros(1, 20, 5)}, 160 + 70, 14 * 160),
        (op("Tanh", ["x"], ["y"]), (8, 64), {}, 8 * 64, 0),
    ],
    ids=["matmul", "conv", "einsum", "lstm", "tanh"],
)  # fmt: skip
def test_products_of_an_operator(
    node: NodeProto, shape: tuple[int, ...], weights: dict[str, np.ndarray], elements: int, expected: int
) -> None:
    """As many as the formula of the operator has multiplications."""
    assert products([node], shape, weights, elements) == expected


def test_attention_grows_with_the_square_of_the_sequence() -> None:
    """Every position meets every other, in products that are no layer's."""
    nodes = [
        op("Transpose", ["x"], ["t"], perm=[0, 2, 1]),
        op("MatMul", ["x", "t"], ["s"]),
        op("MatMul", ["s", "x"], ["y"]),
    ]

    short, long = (products(nodes, (1, n, 16), {}, n * n + 2 * 16 * n) for n in (64, 128))

    assert (short, long) == (2 * 64 * 64 * 16, 2 * 128 * 128 * 16)


def test_value_without_a_shape_is_guessed_from_what_it_is_made_of() -> None:
    """Operators of other packages have no shape inference."""
    nodes = [op("Frob", ["x"], ["a"], domain="my"), op("Relu", ["a"], ["y"])]

    assert guessed_elements(nodes, {"x": (3, 4)}) == {"x": 12, "a": 12, "y": 12}


def test_values_that_nothing_reads_any_more_take_no_memory() -> None:
    """In a chain, two are alive at once."""
    nodes = [op("Relu", [f"v{i}"], [f"v{i + 1}"]) for i in range(10)]

    assert most_elements(nodes, {f"v{i}": 5 for i in range(11)}) == 10
