"""One product that the graph takes apart is as many layers, each with its slice of weight and bias; any other stays whole."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import NodeProto, helper

from tests.extracting import extract, run
from tests.networks import model

INPUTS = 4


def weight(*shape: int) -> np.ndarray:
    """Values of which no two are equal."""
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def ints(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def projection(
    nodes: Sequence[NodeProto],
    outputs: Sequence[str],
    *,
    units: int = 12,
    bias: bool = True,
    shape: Sequence[int | str] = ("N", 5, INPUTS),
    **constants: np.ndarray,
) -> onnx.ModelProto:
    """p = x W + b with so many units, and what the nodes make of it."""
    add = [helper.make_node("Add", ["m", "b"], ["p"])] if bias else [helper.make_node("Identity", ["m"], ["p"])]
    first = helper.make_node("MatMul", ["x", "w"], ["m"], "fc")
    tensors = {"w": weight(INPUTS, units), **({"b": weight(units)} if bias else {}), **constants}
    return model([first, *add, *nodes], {"x": shape}, outputs, tensors, opset=17)


def parts(proto: onnx.ModelProto) -> list[tuple[str | None, int]]:
    """Part and number of units of the product's layers."""
    return [(layer.weight.part, layer.fan_out) for layer in extract(proto).layers if layer.kind == "linear"]


def split(*sizes: int, of: str = "p", axis: int = -1) -> tuple[NodeProto, list[str], Mapping[str, np.ndarray]]:
    """A Split into these sizes, its outputs and its constant."""
    outputs = [f"s{i}" for i in range(len(sizes))]
    return helper.make_node("Split", [of, "sizes"], outputs, axis=axis), outputs, {"sizes": ints(*sizes)}


def slices(bounds: Sequence[tuple[int, int]]) -> tuple[list[NodeProto], list[str], Mapping[str, np.ndarray]]:
    """A Slice along the units for each pair of bounds, its outputs and its constants."""
    nodes = [helper.make_node("Slice", ["p", f"a{i}", f"b{i}", "last"], [f"s{i}"]) for i in range(len(bounds))]
    constants = {
        f"{end}{i}": ints(value) for i, pair in enumerate(bounds) for end, value in zip("ab", pair, strict=True)
    }
    return nodes, [f"s{i}" for i in range(len(bounds))], {**constants, "last": ints(-1)}


def assert_each_computes_its_output(proto: onnx.ModelProto) -> None:
    """x times the part's weight, plus its part of the bias, is what the graph hands on."""
    x = weight(3, 5, INPUTS)
    layers = extract(proto).layers
    outputs = run(proto, {"x": x}, [layer.output.name for layer in layers if layer.output is not None])
    assert len(layers) > 1
    for layer, output in zip(layers, outputs, strict=True):
        matrix = layer.weight.array().reshape(INPUTS, -1)
        bias = layer.auxiliary["bias"].array().reshape(-1)
        bias = bias[slice(*layer.bias_slice)] if layer.bias_slice else bias
        np.testing.assert_allclose((x @ matrix + bias).reshape(-1), output.reshape(-1), rtol=1e-4, atol=1e-4)


@settings(max_examples=40)
@given(st.lists(st.integers(1, 6), min_size=2, max_size=8))
def test_every_split_into_up_to_eight_is_so_many_layers(sizes: list[int]) -> None:
    """Equal or not, each with its share of weight and bias."""
    node, outputs, constants = split(*sizes)
    proto = projection([node], outputs, units=sum(sizes), **constants)

    assert parts(proto) == [(f"{i + 1}/{len(sizes)}", size) for i, size in enumerate(sizes)]
    assert_each_computes_its_output(proto)


def test_more_pieces_are_heads_or_columns() -> None:
    """Nine pieces leave the layer whole."""
    node, outputs, constants = split(*[1] * 9)

    assert parts(projection([node], outputs, units=9, **constants)) == [(None, 9)]


@settings(max_examples=60)
@given(cuts=st.sets(st.integers(2, 10), min_size=1, max_size=4), nudge=st.integers(-1, 1), order=st.randoms())
def test_slices_are_layers_where_they_are_all_of_it_once_each(cuts: set[int], nudge: int, order: random.Random) -> None:
    """In any order; with a gap or an overlap the product stays one layer."""
    bounds = list(pairwise([0, *sorted(cuts), 12]))
    start, stop = bounds.pop()
    bounds.append((start + nudge, stop))
    order.shuffle(bounds)
    nodes, outputs, constants = slices(bounds)

    assert len(parts(projection(nodes, outputs, **constants))) == (len(bounds) if nudge == 0 else 1)


@pytest.mark.parametrize(
    "bounds", [[(0, 4), (4, 11)], [(1, 4), (4, 12)], [(0, 5), (4, 12)], [(0, 5), (6, 12)], [(0, 4), (0, 4), (4, 12)]]
)
def test_slices_with_a_gap_or_an_overlap_leave_the_layer_whole(bounds: list[tuple[int, int]]) -> None:
    """What nobody reads, or two read, is no part of its own."""
    nodes, outputs, constants = slices(bounds)

    assert parts(projection(nodes, outputs, **constants)) == [(None, 12)]


def test_slices_in_any_order_are_parts_in_the_order_of_the_units() -> None:
    """Negative bounds count from the end."""
    nodes, outputs, constants = slices([(-5, 12), (0, -5)])
    proto = projection(nodes, outputs, **constants)

    assert parts(proto) == [("1/2", 7), ("2/2", 5)]
    assert_each_computes_its_output(proto)


def test_a_product_that_is_read_as_a_whole_too_stays_whole() -> None:
    """By another operator, or as an output of the model; asking for its shape reads nothing."""
    node, outputs, constants = split(6, 6)
    whole = helper.make_node("Tanh", ["p"], ["t"])
    shape = helper.make_node("Shape", ["p"], ["t"])

    assert len(parts(projection([node, whole], [*outputs, "t"], **constants))) == 1
    assert len(parts(projection([node], [*outputs, "p"], **constants))) == 1
    assert len(parts(projection([node, shape], outputs, **constants))) == 2


@pytest.mark.parametrize("axis", [0, 1])
def test_a_product_that_is_divided_among_examples_or_positions_stays_whole(axis: int) -> None:
    """All pieces come from the same weights."""
    node, outputs, constants = split(2, 3, axis=axis)

    assert parts(projection([node], outputs, shape=[5, 5, INPUTS], **constants)) == [(None, 12)]


MOVES = {
    "identity": [helper.make_node("Identity", ["p"], ["r"])],
    "transpose": [helper.make_node("Transpose", ["p"], ["r"], perm=[2, 0, 1])],
    "add": [helper.make_node("Add", ["p", "v"], ["r"])],
    "reshape": [helper.make_node("Reshape", ["p", "grouped"], ["r"])],
    "unsqueeze": [helper.make_node("Unsqueeze", ["p", "places"], ["r"])],
    "squeeze": [helper.make_node("Unsqueeze", ["p", "places"], ["u"]), helper.make_node("Squeeze", ["u", "first"], ["r"])],
    "relu": [helper.make_node("Relu", ["p"], ["r"])],
    "reshape across the units": [helper.make_node("Reshape", ["p", "mixed"], ["r"])],
}  # fmt: skip


@pytest.mark.parametrize(
    ("move", "axis", "count"),
    [
        ("identity", 2, 2),
        ("identity", 1, 1),
        ("transpose", 0, 2),
        ("transpose", 2, 1),
        ("add", 2, 2),
        ("reshape", 2, 2),
        ("reshape", 3, 1),
        ("unsqueeze", 3, 2),
        ("unsqueeze", 4, 1),
        ("squeeze", 2, 2),
        ("relu", 2, 1),
        ("reshape across the units", 1, 1),
    ],
)
def test_the_units_are_followed_to_the_axis_they_come_to(move: str, axis: int, count: int) -> None:
    """Through what moves values or adds a constant; behind anything that computes, the product is one layer's output."""
    constants = {
        "v": weight(12),
        "grouped": ints(0, 0, 2, 6),
        "places": ints(0, 4),
        "first": ints(0),
        "mixed": ints(2, -1),
    }
    node = helper.make_node("Split", ["r"], ["s0", "s1"], axis=axis)
    used = {name for made in MOVES[move] for name in made.input}
    proto = projection(
        [*MOVES[move], node], ["s0", "s1"], shape=[4, 6, INPUTS], **{n: a for n, a in constants.items() if n in used}
    )

    assert len(parts(proto)) == count


@pytest.mark.parametrize(("moves", "count"), [(10, 2), (13, 1)])
def test_the_way_to_the_pieces_is_short(moves: int, count: int) -> None:
    """A bias, a few reshapes and transposes; what is further away is something else."""
    chain = [helper.make_node("Identity", [f"i{k}" if k else "p"], [f"i{k + 1}"]) for k in range(moves)]
    chain = [helper.make_node("Cast", n.input, n.output, to=1) for n in chain]
    node, outputs, constants = split(6, 6, of=f"i{moves}")

    assert len(parts(projection([*chain, node], outputs, **constants))) == count


@pytest.mark.parametrize(("heads", "pieces", "count"), [(1, 2, 2), (2, 3, 3), (4, 3, 3), (2, 2, 1), (3, 4, 1)])
def test_inside_a_head_only_a_split_in_three_is_one_of_packed_weights(heads: int, pieces: int, count: int) -> None:
    """Query, key and value lie side by side in each head; two halves of a head are a rotary embedding."""
    outputs = [f"s{i}" for i in range(pieces)]
    nodes = [
        helper.make_node("Reshape", ["p", "heads"], ["r"]),
        helper.make_node("Split", ["r"], outputs, axis=3),
    ]
    proto = projection(nodes, outputs, units=heads * pieces * 2, heads=ints(0, 0, heads, pieces * 2))

    assert len(parts(proto)) == count
    if count > 1:
        assert_each_computes_its_output(proto)


def test_unequal_thirds_of_a_head_are_no_query_key_and_value() -> None:
    """Latent attention packs content and position of a head in one product."""
    reshape = helper.make_node("Reshape", ["p", "heads"], ["r"])
    node, outputs, constants = split(1, 2, 3, of="r", axis=3)

    assert parts(projection([reshape, node], outputs, heads=ints(0, 0, 2, 6), **constants)) == [(None, 12)]


def test_a_convolution_that_is_split_by_channels_is_several() -> None:
    """Its units lie along the first axis behind the batch."""
    nodes = [
        helper.make_node("Conv", ["x", "w", "b"], ["p"], "conv"),
        helper.make_node("Split", ["p", "sizes"], ["s0", "s1"], axis=1),
    ]
    tensors = {"w": weight(6, 3, 2, 2), "b": weight(6), "sizes": ints(2, 4)}
    layers = extract(model(nodes, {"x": ["N", 3, 8, 8]}, ["s0", "s1"], tensors)).layers

    assert [(layer.weight.shape, layer.bias_slice) for layer in layers] == [
        ((2, 3, 2, 2), (0, 2)),
        ((4, 3, 2, 2), (2, 6)),
    ]
    assert [layer.fan_out for layer in layers] == [8, 16]
    np.testing.assert_array_equal(layers[1].weight.array(), tensors["w"][2:])


@pytest.mark.parametrize(("gates", "count"), [(1, 1), (2, 3), (3, 3)])
def test_a_sum_is_taken_apart_only_into_gates(gates: int, count: int) -> None:
    """A recurrent cell written out has at least two sigmoids; a stream that is split in three has fewer."""
    node, outputs, constants = split(4, 4, 4, of="sum")
    added = helper.make_node("Add", ["p", "h"], ["sum"])
    acts = [helper.make_node("Sigmoid" if i < gates else "Tanh", [o], [f"g{i}"]) for i, o in enumerate(outputs)]
    proto = projection([added, node, *acts], [f"g{i}" for i in range(3)], **constants)
    proto.graph.input.append(helper.make_tensor_value_info("h", 1, ["N", 5, 12]))

    assert len(parts(proto)) == count


def test_a_constant_that_is_one_for_all_units_is_not_cut() -> None:
    """It is no vector of biases."""
    node, outputs, constants = split(5, 7, of="q")
    add = helper.make_node("Add", ["p", "c"], ["q"])

    proto = projection([add, node], outputs, bias=False, c=weight(1), **constants)

    assert [layer.bias for layer in extract(proto).layers] == [None, None]
