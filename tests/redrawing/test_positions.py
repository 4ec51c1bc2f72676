"""New values get to where they are stored, whatever stands between."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from time import process_time
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from initaudit.errors import FixRefused
from initaudit.redrawing.positions import positions, set_values
from tests.extracting import only_layer
from tests.networks import mlp, model

if TYPE_CHECKING:
    from onnx import NodeProto

    from initaudit.views.weight import WeightView


def seen_through(
    *nodes: NodeProto, columns: int = 8, weight: np.ndarray | None = None, **more: np.ndarray
) -> WeightView:
    """The weight of y = x W, where the nodes make `W` [N, columns] of the stored `w` (default [12, 8])."""
    stored = np.arange(96, dtype=np.float32).reshape(12, 8) if weight is None else weight
    product = helper.make_node("MatMul", ["x", "W"], ["y"], "fc")
    return only_layer(model([*nodes, product], {"x": ["N", None]}, ["y"], {"w": stored, **more}, opset=13)).weight


def ints(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


MOVING: Mapping[str, tuple[Sequence[NodeProto], Mapping[str, np.ndarray]]] = {
    "transpose": ([helper.make_node("Transpose", ["w"], ["W"])], {}),
    "reshape": ([helper.make_node("Reshape", ["w", "s"], ["W"])], {"s": ints(8, 12)}),
    "slice": ([helper.make_node("Slice", ["w", "a", "b"], ["W"])], {"a": ints(3, 2), "b": ints(9, 8)}),
    "split": ([helper.make_node("Split", ["w"], ["other", "W"], axis=1)], {}),
    "cast": ([helper.make_node("Cast", ["w"], ["W"], to=TensorProto.FLOAT16)], {}),
    "cast and transpose": (
        [helper.make_node("Cast", ["w"], ["c"], to=TensorProto.BFLOAT16), helper.make_node("Cast", ["c"], ["d"], to=1),
         helper.make_node("Transpose", ["d"], ["W"])], {},
    ),
}  # fmt: skip


@pytest.mark.parametrize("way", MOVING)
def test_what_is_put_at_the_positions_comes_out_as_the_operand(way: str) -> None:
    """The stored tensor, read at the positions, is the operand, element by element."""
    nodes, more = MOVING[way]

    view = seen_through(*nodes, **more)
    index = positions(view)

    assert index is not None
    assert index.dtype == np.int64
    assert index.shape == view.shape
    np.testing.assert_array_equal(view.tensors[0].array().reshape(-1)[index], view.array().astype(np.float32))


def test_a_weight_that_is_used_as_it_is_stored_needs_no_index() -> None:
    """Millions of positions would only say what is known."""
    assert positions(only_layer(mlp([8, 8])).weight) is None


@given(rows=st.integers(1, 40), columns=st.integers(1, 40))
def test_positions_pass_a_cast_exactly(rows: int, columns: int) -> None:
    """No float type of a Cast holds every position; taken in pieces of eight bits they all arrive."""
    weight = np.zeros((rows, columns), np.float32)
    nodes = [
        helper.make_node("Cast", ["w"], ["c"], to=TensorProto.BFLOAT16),
        helper.make_node("Transpose", ["c"], ["W"]),
    ]

    index = positions(seen_through(*nodes, weight=weight))

    np.testing.assert_array_equal(index, np.arange(rows * columns).reshape(rows, columns).T)


def test_large_positions_pass_a_cast_exactly() -> None:
    """Beyond 2^16 three pieces are needed."""
    view = seen_through(
        helper.make_node("Cast", ["w"], ["W"], to=TensorProto.FLOAT16), weight=np.zeros((300, 300), np.float32)
    )

    np.testing.assert_array_equal(positions(view), np.arange(90_000).reshape(300, 300))


def test_asking_for_positions_leaves_the_weight_as_it_was() -> None:
    """Its values are replaced by positions for a while only."""
    nodes, _ = MOVING["cast and transpose"]

    view = seen_through(*nodes)
    before = view.tensors[0].proto.SerializeToString()
    positions(view)

    assert view.tensors[0].proto.SerializeToString() == before


def test_a_stored_value_that_stands_for_several_weights_is_refused() -> None:
    """A block that the graph repeats cannot get independent draws."""
    view = seen_through(helper.make_node("Concat", ["w", "w"], ["W"], axis=1))

    with pytest.raises(FixRefused, match="several"):
        positions(view)


@pytest.mark.parametrize(
    ("nodes", "more", "reason"),
    [
        ([helper.make_node("Mul", ["w", "two"], ["W"])], {"two": np.float32(2)}, "computed"),
        ([helper.make_node("Concat", ["w", "v"], ["W"], axis=1)], {"v": np.ones((12, 3), np.float32)}, "computed"),
        ([helper.make_node("Expand", ["w", "s"], ["W"])], {"w": np.ones((12, 1), np.float32), "s": ints(12, 8)}, "computed"),
        ([helper.make_node("DequantizeLinear", ["w", "s"], ["W"])],
         {"w": np.ones((12, 8), np.int8), "s": np.float32(0.1)}, "int8"),
    ],
)  # fmt: skip
def test_what_is_computed_from_the_stored_values_is_refused(nodes, more, reason: str) -> None:
    """Values can be put through what moves them, not through what computes with them."""
    weight = more.pop("w", None)

    with pytest.raises(FixRefused, match=reason):
        positions(seen_through(*nodes, weight=weight, **more))


@pytest.mark.parametrize("stored", [TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE])
@pytest.mark.parametrize("field", ["raw", "typed"])
def test_values_are_stored_in_the_tensors_own_type(stored: int, field: str) -> None:
    """Rounded once from float64, and whatever field held the old ones is empty."""
    old = np.ones((2, 3), helper.tensor_dtype_to_np_dtype(stored))
    proto = model([helper.make_node("MatMul", ["x", "w"], ["y"])], {"x": ["N", 2]}, ["y"], {"w": old})
    if field == "typed":
        proto.graph.initializer[0].CopyFrom(helper.make_tensor("w", stored, (2, 3), old.astype(np.float64).reshape(-1)))
    tensor = only_layer(proto).weight.tensors[0]
    new = np.arange(6) / 3

    set_values(tensor, new)

    assert tensor.proto.data_type == stored
    assert list(tensor.proto.dims) == [2, 3]
    np.testing.assert_array_equal(numpy_helper.to_array(tensor.proto), new.reshape(2, 3).astype(old.dtype))
    assert not any(len(getattr(tensor.proto, name)) for name in ("float_data", "int32_data", "double_data"))


def test_a_value_that_is_read_twice_cannot_be_written() -> None:
    rows = helper.make_node("Gather", ["w", "rows"], ["W"], axis=0)

    with pytest.raises(FixRefused, match="one stored value stands for several weights"):
        positions(seen_through(rows, rows=ints(0, 1, 1)))


def test_positions_of_a_million_values_take_no_more_than_a_copy_of_some() -> None:
    """Told by a set of its indices, each of them would cost a microsecond: 14 s of an audit of ViT-B/16."""
    view = seen_through(*MOVING["transpose"][0], columns=1000, weight=np.ones((1000, 1000), np.float32))

    begin = process_time()
    positions(view)

    assert process_time() - begin < 0.3
