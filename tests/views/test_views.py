"""Constants followed back to stored tensors: what they hold is what onnxruntime computes, without reading more than asked."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import NodeProto, TensorProto, helper, numpy_helper

import initaudit
from initaudit.errors import UnsupportedWeight
from initaudit.model.build import build_graph
from initaudit.views import Constants, Operand
from tests.extracting import run
from tests.networks import model


def constants_of(nodes: list[NodeProto], tensors: dict[str, np.ndarray]) -> tuple[Constants, dict[str, Operand]]:
    proto = model([*nodes, helper.make_node("Identity", ["x"], ["y"])], {"x": [1]}, ["y"], tensors, opset=18)
    graph = build_graph(proto, None)
    constants = Constants(graph, {"": 18})
    return constants, {name: o for name, v in graph.values.items() if (o := constants.get(v)) is not None}


@st.composite
def chains(draw):  # noqa: C901  one line an operator
    """A random chain of operators over one tensor: (nodes, tensors, name of the result)."""
    shape = tuple(draw(st.lists(st.integers(1, 4), min_size=2, max_size=3)))
    array = np.arange(1, 1 + np.prod(shape), dtype=np.float32).reshape(shape)
    tensors, nodes, name = {"w": array}, [], "w"
    for step in range(draw(st.integers(1, 5))):
        rank, out = array.ndim, f"v{step}"
        axis = draw(st.integers(0, max(rank - 1, 0)))
        kind = draw(
            st.sampled_from(
                ["Transpose", "Reshape", "Unsqueeze", "Slice", "Concat", "Mul", "Gather", "Pad", "Split", "Tile"]
            )
        )
        extra, attributes, outputs = [], {}, [out]
        if kind == "Transpose":
            perm = draw(st.permutations(range(rank)))
            attributes, array = {"perm": list(perm)}, array.transpose(perm)
        elif kind == "Reshape":
            target = draw(st.sampled_from([(-1,), (1, -1), (-1, *array.shape[-1:]), (*array.shape[:1], -1)]))
            extra, array = [np.array(target, np.int64)], array.reshape(target)
        elif kind == "Unsqueeze":
            extra, array = [np.array([axis], np.int64)], np.expand_dims(array, axis)
        elif kind == "Slice":
            low, stride = draw(st.integers(0, array.shape[axis] - 1)), draw(st.sampled_from([1, 1, 2, -1]))
            index = (slice(None),) * axis + (slice(low, None, stride),)
            stop = 2**31 - 1 if stride > 0 else -(2**31)
            extra = [np.array([v], np.int64) for v in (low, stop, axis, stride)]
            array = array[index]
        elif kind == "Concat":
            tensors[f"c{step}"] = other = array + 1000
            nodes.append(helper.make_node("Concat", [name, f"c{step}"], [out], axis=axis))
            array, name = np.concatenate([array, other], axis), out
            continue
        elif kind == "Mul":
            extra, array = [np.array([0.5], np.float32)], array * np.float32(0.5)
        elif kind == "Gather":
            extra, attributes, array = [np.array(0, np.int64)], {"axis": axis}, array.take(0, axis)
        elif kind == "Pad":
            widths = [(1, 0)] * rank
            extra, array = [np.array([1] * rank + [0] * rank, np.int64)], np.pad(array, widths)
        elif kind == "Split":
            if array.shape[axis] < 2:
                continue
            extra, attributes = [np.array([1, array.shape[axis] - 1], np.int64)], {"axis": axis}
            outputs, array = [f"u{step}", out], array.take(range(1, array.shape[axis]), axis)
        else:
            extra, array = [np.array([2] + [1] * (rank - 1), np.int64)], np.tile(array, [2] + [1] * (rank - 1))
        names = [f"{out}_{i}" for i in range(len(extra))]
        tensors |= dict(zip(names, extra, strict=True))
        nodes.append(helper.make_node(kind, [name, *names], outputs, **attributes))
        name = out
        if array.ndim == 0:
            break
    return nodes, tensors, name, array


@settings(max_examples=60, deadline=None)
@given(chain=chains(), data=st.data())
def test_a_chain_of_operators_holds_what_numpy_computes(chain, data):
    """Values and shape are right behind any chain, and so is every slice of it, taken as near to the stored tensor as possible."""
    nodes, tensors, name, expected = chain

    operand = constants_of(nodes, tensors)[1][name]

    np.testing.assert_array_equal(operand.array(), expected)
    if expected.ndim:
        axis = data.draw(st.integers(0, expected.ndim - 1))
        low = data.draw(st.integers(0, expected.shape[axis] - 1))
        high = data.draw(st.integers(low + 1, expected.shape[axis]))
        part = operand.narrow(axis, low, high)
        np.testing.assert_array_equal(part.array(), expected.take(range(low, high), axis))
        again = part.narrow(axis, 0, 1)
        np.testing.assert_array_equal(again.array(), expected.take([low], axis))


def test_a_transposed_slice_is_a_view_of_the_stored_bytes():
    """Moving costs no memory: the array strides over the initializer's bytes."""
    nodes = [
        helper.make_node("Transpose", ["w"], ["t"], perm=[1, 0]),
        helper.make_node("Slice", ["t", "low", "high"], ["s"]),
    ]
    tensors = {"w": np.ones((64, 32), np.float32), "low": np.array([4]), "high": np.array([8])}
    operands = constants_of(nodes, tensors)[1]

    part = operands["s"].array()

    assert part.shape == (4, 64)
    assert part.strides == (4, 4 * 32)


def test_a_part_of_joined_tensors_is_the_tensor_it_lies_in():
    """Gates that an exporter joins from several tensors lead back to the right one each."""
    nodes = [
        helper.make_node("Concat", ["a", "b"], ["c"], axis=0),
        helper.make_node("Unsqueeze", ["c", "zero"], ["u"]),
    ]
    tensors = {"a": np.zeros((2, 3), np.float32), "b": np.ones((4, 3), np.float32), "zero": np.array([0])}
    joined = constants_of(nodes, tensors)[1]["u"]

    assert [t.name for t in joined.tensors] == ["a", "b"]
    assert [t.name for t in joined.narrow(1, 0, 2).tensors] == ["a"]
    assert [t.name for t in joined.narrow(1, 3, 5).tensors] == ["b"]


def test_weight_normalisation_is_folded():
    """w = g · v / |v|, computed in the graph from two parameters, is the effective weight."""
    nodes = [
        helper.make_node("ReduceL2", ["v", "axes"], ["n"], keepdims=1),
        helper.make_node("Div", ["v", "n"], ["d"]),
        helper.make_node("Mul", ["g", "d"], ["w"]),
    ]
    rng = np.random.default_rng(0)
    v, g = rng.normal(size=(4, 6)).astype(np.float32), rng.uniform(size=(4, 1)).astype(np.float32)
    operand = constants_of(nodes, {"v": v, "g": g, "axes": np.array([1])})[1]["w"]

    np.testing.assert_allclose(operand.array(), g * v / np.linalg.norm(v, axis=1, keepdims=True), rtol=1e-6)
    assert [t.name for t in operand.tensors] == ["v", "g"]


def test_a_random_constant_is_no_constant():
    """RandomNormal draws anew in every run."""
    nodes = [helper.make_node("RandomNormalLike", ["w"], ["r"]), helper.make_node("Mul", ["w", "r"], ["m"])]

    operands = constants_of(nodes, {"w": np.ones((2, 2), np.float32)})[1]

    assert "m" not in operands


@pytest.mark.parametrize("op", ["ConstantOfShape", "Expand", "Tile"])
def test_a_constant_that_promises_terabytes_is_refused_when_asked_for(op):
    """A few bytes can declare 2**42 elements; the shape is known, the values are refused with a reason."""
    huge = np.array([1 << 21, 1 << 21], np.int64)
    if op == "ConstantOfShape":
        nodes, tensors = [helper.make_node(op, ["n"], ["w"])], {"n": huge}
    else:
        nodes, tensors = [helper.make_node(op, ["v", "n"], ["w"])], {"n": huge, "v": np.ones((1, 1), np.float32)}

    operand = constants_of(nodes, tensors)[1]["w"]

    assert operand.size == 1 << 42
    with pytest.raises(UnsupportedWeight, match="too many"):
        operand.array()


def test_a_chain_that_doubles_with_every_node_is_refused():
    """x·x of x·x of ...: forty nodes would take 2**40 products."""
    nodes = [helper.make_node("Mul", [f"v{i}", f"v{i}"], [f"v{i + 1}"]) for i in range(40)]

    operand = constants_of(nodes, {"v0": np.ones((4, 4), np.float32)})[1]["v40"]

    with pytest.raises(UnsupportedWeight, match="too much"):
        operand.array()


def test_a_chain_of_ten_thousand_operators_ends_in_a_reason():
    """Longer chains than any exporter writes are not followed, and do not exhaust the stack."""
    nodes = [helper.make_node("Neg" if i % 2 else "Transpose", [f"v{i}"], [f"v{i + 1}"]) for i in range(10_000)]

    constants, operands = constants_of(nodes, {"v0": np.ones((2, 3), np.float32)})

    assert "v10000" not in operands
    assert any("operators between" in reason for reason in constants.opaque.values())


def test_slices_that_depend_on_shape_are_followed():
    """Bounds that an exporter computes from Shape(x) are known where that length is declared."""
    nodes = [
        helper.make_node("Shape", ["h"], ["s"]),
        helper.make_node("Gather", ["s", "one"], ["n"]),
        helper.make_node("Unsqueeze", ["n", "zero"], ["stop"]),
        helper.make_node("Slice", ["w", "start", "stop"], ["part"]),
        helper.make_node("MatMul", ["h", "part"], ["y"], "layer"),
    ]
    tensors = {
        "w": np.arange(18, dtype=np.float32).reshape(6, 3),
        "one": np.array(1), "zero": np.array([0]), "start": np.array([0]),
    }  # fmt: skip
    proto = model(nodes, {"h": ["N", 4]}, ["y"], tensors)
    graph = build_graph(proto, None)

    operand = Constants(graph, {"": 17}).get(graph.values["part"])

    assert operand is not None
    np.testing.assert_array_equal(operand.array(), tensors["w"][:4])


def test_a_loop_invariant_is_a_constant_in_the_body():
    """A weight that enters a Loop as state and leaves each iteration unchanged is that weight inside."""
    body = helper.make_graph(
        [
            helper.make_node("MatMul", ["h", "inner"], ["h2"], "step"),
            helper.make_node("Identity", ["inner"], ["inner2"]),
            helper.make_node("Identity", ["go"], ["go2"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("h", TensorProto.FLOAT, ["N", 3]),
            helper.make_tensor_value_info("inner", TensorProto.FLOAT, [3, 3]),
        ],
        [
            helper.make_tensor_value_info("go2", TensorProto.BOOL, []),
            helper.make_tensor_value_info("h2", TensorProto.FLOAT, ["N", 3]),
            helper.make_tensor_value_info("inner2", TensorProto.FLOAT, [3, 3]),
        ],
    )
    loop = helper.make_node("Loop", ["trips", "", "x", "w"], ["y", "w2"], "loop", body=body)
    tensors = {"trips": np.array(3), "w": np.random.default_rng(0).normal(size=(3, 3)).astype(np.float32)}
    proto = model([loop], {"x": ["N", 3]}, ["y"], tensors)

    from tests.extracting import only_layer

    assert [t.name for t in only_layer(proto).weight.tensors] == ["w"]


def test_folding_agrees_with_onnxruntime_on_operators_without_a_rule():
    """Everything else is evaluated by ONNX's reference implementation."""
    nodes = [
        helper.make_node("Softmax", ["w"], ["s"], axis=0),
        helper.make_node("Trilu", ["s"], ["t"]),
        helper.make_node("MatMul", ["x", "t"], ["y"], "layer"),
    ]
    w = np.random.default_rng(0).normal(size=(4, 4)).astype(np.float32)
    proto = model(nodes, {"x": ["N", 4]}, ["y"], {"w": w})
    graph = build_graph(proto, None)

    operand = Constants(graph, {"": 17}).get(graph.values["t"])
    (expected,) = run(proto, {"x": np.zeros((1, 4), np.float32)}, ["t"])

    assert operand is not None
    np.testing.assert_allclose(operand.array(), expected, rtol=1e-6)


def test_a_quantised_and_dequantised_weight_is_what_the_graph_multiplies_by():
    """QuantizeLinear then DequantizeLinear of a stored float weight: rounding included."""
    nodes = [
        helper.make_node("QuantizeLinear", ["w", "s", "z"], ["q"], axis=0),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["d"], axis=0),
        helper.make_node("MatMul", ["x", "d"], ["y"], "layer"),
    ]
    w = np.random.default_rng(0).normal(size=(4, 5)).astype(np.float32)
    tensors = {"w": w, "s": np.full(4, 0.01, np.float32), "z": np.zeros(4, np.int8)}
    proto = model(nodes, {"x": ["N", 4]}, ["y"], tensors)
    graph = build_graph(proto, None)

    operand = Constants(graph, {"": 17}).get(graph.values["d"])
    (expected,) = run(proto, {"x": np.zeros((1, 4), np.float32)}, ["d"])

    assert operand is not None
    np.testing.assert_allclose(operand.array(), expected, rtol=1e-6)


def test_a_sparse_initializer_is_read_as_the_dense_weight():
    """Sparse initializers hold values and indices; their dims are the weight's."""
    proto = model([helper.make_node("MatMul", ["x", "w"], ["y"], "layer")], {"x": ["N", 3]}, ["y"], {})
    values = numpy_helper.from_array(np.array([2.5, -1.0], np.float32), "w")
    indices = numpy_helper.from_array(np.array([1, 5], np.int64))
    proto.graph.sparse_initializer.append(helper.make_sparse_tensor(values, indices, [3, 2]))

    from tests.extracting import only_layer

    np.testing.assert_array_equal(only_layer(proto).weight.array(), [[0, 2.5], [0, 0], [0, -1.0]])


def test_scales_that_do_not_fit_their_codes_are_a_reason_not_a_crash():
    """Seven scales for an axis of sixteen: the weight is listed as unaudited, and the reason says what contradicts what."""
    nodes = [
        helper.make_node("DequantizeLinear", ["codes", "scales"], ["w"], axis=1),
        helper.make_node("MatMul", ["x", "w"], ["y"]),
    ]
    tensors = {"codes": np.ones((32, 16), np.int8), "scales": np.ones(7, np.float32)}

    report = initaudit.audit(model(nodes, {"x": ["N", 32]}, ["y"], tensors), probe="none")

    (skipped,) = [s for s in report.skipped if s.is_parameter]
    assert skipped.parameters == 32 * 16
    assert "7 scales for an axis of 16" in skipped.reason
