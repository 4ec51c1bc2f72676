"""Layers as an expert sees them: parts of packed weights, biases, shared tensors, names, bodies and functions."""

from __future__ import annotations

import numpy as np
import onnx
import onnx.parser
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.extracting import extract, only_layer, run
from tests.networks import mlp, model

rng = np.random.default_rng(5)


def weight(*shape: int) -> np.ndarray:
    return rng.normal(size=shape).astype(np.float32)


def attention_after(split: list, heads: int = 2, width: int = 8):
    """A packed projection `qkv`, the given nodes that make q, k, v of it, and their product."""
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["m"], "/attn/qkv/MatMul"),
        helper.make_node("Add", ["m", "b"], ["p"], "/attn/qkv/Add"),
        *split,
        helper.make_node("Transpose", ["k"], ["kt"], perm=[0, 2, 1]),
        helper.make_node("MatMul", ["q", "kt"], ["scores"]),
        helper.make_node("Softmax", ["scores"], ["probabilities"]),
        helper.make_node("MatMul", ["probabilities", "v"], ["y"]),
    ]
    tensors = {
        "w": weight(width, 3 * width), "b": weight(3 * width), "i0": np.array(0), "i1": np.array(1), "i2": np.array(2),
        "s0": np.array([0]), "s1": np.array([width]), "s2": np.array([2 * width]), "s3": np.array([3 * width]),
        "last": np.array([-1]), "stacked": np.array([0, 0, 3, width]), "interleaved": np.array([0, 0, heads, 3, width // heads]),
        "flat": np.array([0, 0, width]),
    }  # fmt: skip
    return model(nodes, {"x": ["N", 5, width]}, ["y"], tensors)


def split_node():
    return [helper.make_node("Split", ["p"], ["q", "k", "v"], axis=-1)]


def slices():
    return [helper.make_node("Slice", ["p", f"s{i}", f"s{i + 1}", "last"], [n]) for i, n in enumerate("qkv")]


def stacked():
    picks = [helper.make_node("Gather", ["r", f"i{i}"], [n], axis=2) for i, n in enumerate("qkv")]
    return [helper.make_node("Reshape", ["p", "stacked"], ["r"]), *picks]


def interleaved():
    picks = []
    for i, name in enumerate("qkv"):
        picks.append(helper.make_node("Gather", ["r", f"i{i}"], [f"{name}g"], axis=3))
        picks.append(helper.make_node("Reshape", [f"{name}g", "flat"], [name]))
    return [helper.make_node("Reshape", ["p", "interleaved"], ["r"]), *picks]


@pytest.mark.parametrize("taken_apart", [split_node, slices, stacked, interleaved])
def test_a_packed_projection_is_three_layers(taken_apart):
    """Each part times the input, plus its part of the bias, is what the graph hands on as q, k or v."""
    proto = attention_after(taken_apart())
    x = weight(2, 5, 8)

    layers = extract(proto).layers
    outputs = run(proto, {"x": x}, [layer.output.name for layer in layers])

    assert [(layer.weight.part, layer.fan_in, layer.fan_out) for layer in layers] == [(p, 8, 8) for p in "qkv"]
    for layer, output in zip(layers, outputs, strict=True):
        matrix = layer.weight.array().reshape(8, 8)
        bias = (
            layer.auxiliary["bias"].array().reshape(-1)[slice(*layer.bias_slice) if layer.bias_slice else slice(None)]
        )
        np.testing.assert_allclose((x @ matrix + bias).reshape(output.shape), output, rtol=1e-4, atol=1e-4)


def test_parts_of_a_packed_weight_share_its_tensor_and_are_all_of_it():
    """The sizes of the parts add up, and the report counts the stored tensor once."""
    extraction = extract(attention_after(split_node()))

    assert sum(layer.parameters for layer in extraction.layers) == 8 * 24
    assert extraction.audited == extraction.parameters == 8 * 24 + 24
    assert {layer.weight.tensors[0].name for layer in extraction.layers} == {"w"}


def test_rotating_half_of_a_head_is_no_packed_weight():
    """Two slices of a projection next to the whole (rotary embedding) leave it one layer."""
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["q"], "/q/MatMul"),
        helper.make_node("Slice", ["q", "s0", "s1", "last"], ["a"]),
        helper.make_node("Slice", ["q", "s1", "s2", "last"], ["b"]),
        helper.make_node("Neg", ["b"], ["n"]),
        helper.make_node("Concat", ["n", "a"], ["r"], axis=-1),
        helper.make_node("Add", ["q", "r"], ["y"]),
    ]
    bounds = {"s0": np.array([0]), "s1": np.array([4]), "s2": np.array([8]), "last": np.array([-1])}

    layer = only_layer(model(nodes, {"x": ["N", 5, 6]}, ["y"], {"w": weight(6, 8), **bounds}))

    assert layer.weight.part is None


def test_a_bias_that_is_added_behind_the_product_belongs_to_the_layer():
    """MatMul, Reshape, Add of a vector: one layer with that bias."""
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["m"], "/fc/MatMul"),
        helper.make_node("Reshape", ["m", "shape"], ["r"]),
        helper.make_node("Add", ["b", "r"], ["y"]),
    ]
    tensors = {"w": weight(3, 4), "b": weight(4), "shape": np.array([-1, 2, 4])}

    layer = only_layer(model(nodes, {"x": ["N", 3]}, ["y"], tensors))

    assert layer.bias is not None
    assert layer.bias.name == "b"


def test_learned_positions_are_no_bias():
    """A table [1, T, D] added to a projection is a table of T rows, not the bias of the projection."""
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["m"], "/patches/MatMul"),
        helper.make_node("Add", ["m", "positions"], ["y"], "/Add"),
    ]
    layers = extract(model(nodes, {"x": ["N", 5, 3]}, ["y"], {"w": weight(3, 4), "positions": weight(1, 5, 4)})).layers

    assert [(layer.kind, layer.fan_in, layer.fan_out) for layer in layers] == [("linear", 3, 4), ("embedding", 5, 4)]
    assert layers[0].bias is None


def test_a_class_token_is_listed():
    """A learned vector that is put before the sequence is a layer of its own."""
    nodes = [
        helper.make_node("Expand", ["token", "shape"], ["t"]),
        helper.make_node("Concat", ["t", "x"], ["y"], axis=1),
    ]
    tensors = {"token": weight(1, 1, 4), "shape": np.array([2, 1, 4])}

    extraction = extract(model(nodes, {"x": [2, 5, 4]}, ["y"], tensors))

    assert extraction.audited == 4
    assert not [s for s in extraction.skipped if s.is_parameter]


def test_a_decomposed_normalisation_is_a_norm_with_its_bias():
    """(x - mean) / sqrt(var + eps) · gamma + beta, node by node."""
    nodes = [
        helper.make_node("ReduceMean", ["x"], ["mean"], axes=[-1]),
        helper.make_node("Sub", ["x", "mean"], ["c"]),
        helper.make_node("Pow", ["c", "two"], ["c2"]),
        helper.make_node("ReduceMean", ["c2"], ["var"], axes=[-1]),
        helper.make_node("Add", ["var", "eps"], ["ve"]),
        helper.make_node("Sqrt", ["ve"], ["std"]),
        helper.make_node("Div", ["c", "std"], ["n"]),
        helper.make_node("Mul", ["n", "gamma"], ["g"], "/norm/Mul"),
        helper.make_node("Add", ["g", "beta"], ["y"]),
    ]
    tensors = {"two": np.float32(2), "eps": np.float32(1e-5), "gamma": weight(6), "beta": weight(6)}

    layer = only_layer(model(nodes, {"x": ["N", 6]}, ["y"], tensors))

    assert layer.kind == "norm"
    assert layer.bias is not None
    assert layer.bias.name == "beta"


def test_batch_normalisation_carries_its_statistics():
    """Running mean and variance belong to the layer and are audited with it."""
    tensors = {name: np.ones(3, np.float32) for name in ("scale", "bias", "mean", "var")}
    node = helper.make_node("BatchNormalization", ["x", *tensors], ["y"], "/bn")

    extraction = extract(model([node], {"x": ["N", 3, 4]}, ["y"], tensors))
    (layer,) = extraction.layers

    assert set(layer.auxiliary) == {"bias", "running_mean", "running_var"}
    assert extraction.audited == 12


def test_tensors_that_several_layers_use_are_listed_with_all_uses():
    """A weight that two nodes multiply by is two layers that name each other, and one set of parameters."""
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["h"], "/a/MatMul"),
        helper.make_node("MatMul", ["h", "w"], ["y"], "/b/MatMul"),
    ]
    extraction = extract(model(nodes, {"x": ["N", 4]}, ["y"], {"w": weight(4, 4)}))

    assert [layer.shared_with for layer in extraction.layers] == [("/b/MatMul",), ("/a/MatMul",)]
    assert extraction.parameters == 16


def test_layers_inside_branches_and_functions_are_found():
    """If bodies hold their own initializers; a function's weights come as arguments or as constants in its body."""
    branch = helper.make_graph(
        [helper.make_node("MatMul", ["x", "inner"], ["b"], "/branch/MatMul")],
        "branch",
        [],
        [helper.make_tensor_value_info("b", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(weight(3, 3), "inner")],
    )
    constant = helper.make_node("Constant", [], ["c"], value=numpy_helper.from_array(weight(3, 3), "c"))
    function = helper.make_function(
        "test", "Two", ["x", "w"], ["y"],
        [constant, helper.make_node("MatMul", ["x", "w"], ["h"]), helper.make_node("MatMul", ["h", "c"], ["y"])],
        [helper.make_opsetid("", 17)],
    )  # fmt: skip
    nodes = [
        helper.make_node("If", ["flag"], ["h"], "choice", then_branch=branch, else_branch=branch),
        helper.make_node("Two", ["h", "outer"], ["y"], "call", domain="test"),
    ]
    tensors = {"flag": np.array(True), "outer": weight(3, 3)}
    proto = model(nodes, {"x": ["N", 3]}, ["y"], tensors, domains=["test"])
    proto.functions.append(function)

    layers = extract(proto).layers

    assert sorted(layer.weight.tensors[0].name for layer in layers) == ["c", "inner", "inner", "outer"]
    assert len({layer.name for layer in layers}) == 4


def test_depth_follows_the_order_of_computation():
    """Layers come in topological order whatever the order in the file."""
    proto = mlp([4, 5, 6, 7])
    nodes = list(proto.graph.node)
    del proto.graph.node[:]
    proto.graph.node.extend(reversed(nodes))

    layers = extract(proto).layers

    assert [layer.title for layer in layers] == ["fc0", "fc1", "fc2"]
    assert [layer.depth for layer in layers] == [0, 1, 2]


def test_weights_of_unknown_operators_are_listed_as_unaudited_parameters():
    """A custom operator's tensor is counted and named, with the operator that reads it."""
    node = helper.make_node("Magic", ["x", "w"], ["y"], "magic", domain="custom")

    extraction = extract(model([node], {"x": ["N", 4]}, ["y"], {"w": weight(4, 4)}, domains=["custom"]))
    (skipped,) = extraction.skipped

    assert (extraction.audited, extraction.parameters) == (0, 16)
    assert "Magic" in skipped.reason


def test_a_weight_that_is_an_input_without_value_is_named():
    """A file may leave its weights to the caller: said, and not counted."""
    node = helper.make_node("Conv", ["x", "kernel"], ["y"], "conv")

    extraction = extract(model([node], {"x": ["N", 3, 8, 8], "kernel": [4, 3, 3, 3]}, ["y"], {}))

    assert [(s.initializer, s.parameters, s.is_parameter) for s in extraction.skipped] == [("kernel", 108, False)]
    assert extraction.layers == ()


def test_contradicting_shapes_become_a_reason():
    """A recurrent weight whose rows do not fit its gates is listed, and the rest of the model is audited."""
    nodes = [
        helper.make_node("LSTM", ["x", "W", "R"], ["h"], "rnn", hidden_size=3),
        helper.make_node("MatMul", ["h", "w"], ["y"], "fc"),
    ]
    tensors = {"W": weight(1, 13, 5), "R": weight(1, 12, 3), "w": weight(3, 2)}

    extraction = extract(model(nodes, {"x": ["T", "N", 5]}, ["y"], tensors))

    assert [layer.name for layer in extraction.layers] == ["fc"]
    assert any(s.initializer == "W" and "does not fit" in s.reason for s in extraction.skipped)


def test_extraction_takes_time_in_proportion_to_the_graph():
    """Four times the layers take about four times the time; a quadratic walk would take sixteen times here."""
    import time

    from initaudit.extraction.extract import extract_layers
    from initaudit.model.load import load_model

    def seconds(count: int) -> float:
        loaded = load_model(mlp([4] * (count + 1)))
        start = time.process_time()
        extract_layers(loaded)
        return time.process_time() - start

    seconds(100)
    short, long = min(seconds(300) for _ in range(3)), min(seconds(1200) for _ in range(2))

    assert long < 10 * short


def test_a_weight_behind_operators_that_cannot_be_followed_is_listed_with_the_reason():
    """The elements that NonZero finds depend on the values: no shape, no layer, but a line that says so."""
    nodes = [
        helper.make_node("NonZero", ["w"], ["n"]),
        helper.make_node("Cast", ["n"], ["f"], to=TensorProto.FLOAT),
        helper.make_node("MatMul", ["x", "f"], ["y"], "fc"),
    ]

    extraction = extract(model(nodes, {"x": ["N", 2]}, ["y"], {"w": weight(3, 2)}))

    assert extraction.layers == ()
    assert [(s.initializer, s.is_parameter) for s in extraction.skipped] == [("w", True)]
    assert "NonZero" in extraction.skipped[0].reason


def written_out_cell(gate: str) -> onnx.ModelProto:
    """Four quarters of x W' + h R' that go through `gate`, as an LSTM cell is written out."""
    rng = np.random.default_rng(0)
    quarters = " ".join(f"q{i} = {gate}(g{i})" for i in range(3))
    text = f"""<ir_version: 9, opset_import: ["" : 18]> g (float[3,20] x, float[3,32] h) => (float[3,32] y) {{
        a = Gemm <transB = 1> (x, w, b)  c = Gemm <transB = 1> (h, r)  s = Add(a, c)
        g0, g1, g2, g3 = Split <axis = 1, num_outputs = 4> (s)
        {quarters}  t = Tanh(g3)  u = Mul(q0, t)  v = Mul(q1, q2)  y = Add(u, v)
    }}"""
    proto: onnx.ModelProto = onnx.parser.parse_model(text)
    for name, shape in (("w", (128, 20)), ("r", (128, 32)), ("b", (128,))):
        proto.graph.initializer.append(numpy_helper.from_array(rng.normal(size=shape).astype(np.float32), name))
    return proto


def test_the_gates_of_a_written_out_cell_are_layers_of_their_own():
    """Input and recurrent part are added before the sum is taken apart: 20 and 32 inputs, 32 units per gate."""
    fans = [(layer.fan_in, layer.fan_out) for layer in extract(written_out_cell("Sigmoid")).layers]

    assert sorted(fans) == [(20, 32)] * 4 + [(32, 32)] * 4


def test_a_sum_that_is_taken_apart_without_gates_stays_whole():
    """Coupling layers split a residual stream; what was added to it is one layer."""
    fans = [(layer.fan_in, layer.fan_out) for layer in extract(written_out_cell("Relu")).layers]

    assert sorted(fans) == [(20, 128), (32, 128)]


def test_maxout_behind_gemm_needs_no_stored_shapes():
    """A Gemm gives a matrix, so a Reshape to three axes and a maximum over the last is maxout."""
    proto: onnx.ModelProto = onnx.parser.parse_model(
        """<ir_version: 9, opset_import: ["" : 18]> g (float[N,30] x) => (float[N,M] y) {
            shape = Constant <value = int64[3] {-1, 32, 3}> ()  axis = Constant <value = int64[1] {-1}> ()
            a = Gemm <transB = 1> (x, w)  r = Reshape(a, shape)  y = ReduceMax <keepdims = 0> (r, axis)
        }"""
    )
    proto.graph.initializer.append(numpy_helper.from_array(np.ones((96, 30), np.float32), "w"))

    assert [layer.activation for layer in extract(proto).layers] == ["maxout"]


@pytest.mark.parametrize(
    ("w", "b", "folded"),
    [("onnx::Conv_7", "onnx::Conv_8", True), ("onnx::Conv_7", "c.bias", False), ("c.weight", "c.bias", False)],
)
def test_names_of_the_older_exporter_tell_a_folded_norm(w: str, b: str, folded: bool):
    """It renames weight and bias of a convolution that it folds a BatchNorm into; a folded weight norm leaves the bias alone."""
    nodes = [helper.make_node("Conv", ["x", w, b], ["y"], "/c/Conv")]
    layer = only_layer(model(nodes, {"x": ["N", 3, 8, 8]}, ["y"], {w: weight(4, 3, 3, 3), b: weight(4)}))

    assert layer.folded_norm is folded
