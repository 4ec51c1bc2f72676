"""Fans against the count of paths: one input at a time through onnxruntime, all weights one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import ModelProto, helper

from tests.extracting import extract, only_layer, paths, run
from tests.networks import model

small = st.integers(1, 3)
quick = settings(max_examples=20, deadline=None)


def convolution(op: str, shape: tuple[int, ...], channels: int, spatial: int, **attributes: object) -> ModelProto:
    node = helper.make_node(op, ["x", "w"], ["y"], "layer", **attributes)
    inputs = {"x": ["N", channels, *[spatial] * (len(shape) - 2)]}
    return model([node], inputs, ["y"], {"w": np.ones(shape, np.float32)})


@quick
@given(
    groups=small,
    inputs=small,
    outputs=small,
    kernel=st.lists(small, min_size=1, max_size=2),
    dilation=st.integers(1, 2),
)
def test_fans_of_a_convolution_count_its_paths(groups, inputs, outputs, kernel, dilation):
    """fan_in = C/groups · taps and fan_out = M/groups · taps, away from the border and at stride 1."""
    shape = (groups * outputs, inputs, *kernel)
    proto = convolution("Conv", shape, groups * inputs, 9, group=groups, dilations=[dilation] * len(kernel))

    layer = only_layer(proto)

    assert (layer.fan_in, layer.fan_out) == paths(proto, (groups * inputs, *[9] * len(kernel)))


@quick
@given(groups=small, inputs=small, outputs=small, kernel=small, stride=st.integers(1, 3))
def test_fan_in_of_a_convolution_does_not_depend_on_its_stride(groups, inputs, outputs, kernel, stride):
    """A stride leaves out outputs; each output that is left sees as many inputs as before."""
    proto = convolution("Conv", (groups * outputs, inputs, kernel), groups * inputs, 7, group=groups, strides=[stride])

    assert only_layer(proto).fan_in == paths(proto, (groups * inputs, 7))[0]


@quick
@given(groups=small, inputs=small, outputs=small, kernel=small, stride=st.integers(1, 3))
def test_fan_out_of_a_transposed_convolution_does_not_depend_on_its_stride(groups, inputs, outputs, kernel, stride):
    """Each input value is written to M/groups · taps outputs, however far apart; at stride 1 the fan_in is counted too."""
    shape = (groups * inputs, outputs, kernel)
    proto = convolution("ConvTranspose", shape, groups * inputs, 7, group=groups, strides=[stride])

    layer = only_layer(proto)
    counted = paths(proto, (groups * inputs, 7))

    assert layer.fan_out == counted[1]
    assert stride > 1 or layer.fan_in == counted[0]


@pytest.mark.parametrize(
    ("groups", "per_group", "kind"), [(1, 4, "conv"), (2, 2, "grouped_conv"), (4, 1, "depthwise_conv")]
)
def test_kinds_of_convolution(groups, per_group, kind):
    """One channel per group is depthwise, several groups are grouped."""
    layer = only_layer(convolution("Conv", (8, per_group, 3, 3), 4, 7, group=groups))

    assert layer.kind == kind


@quick
@given(inputs=small, outputs=small, transposed=st.booleans(), op=st.sampled_from(["Gemm", "MatMul"]))
def test_fans_of_a_product_count_its_paths(inputs, outputs, transposed, op):
    """x·W and x·W', with the transposition in the operator or before it."""
    weight = np.ones((outputs, inputs) if transposed else (inputs, outputs), np.float32)
    if op == "Gemm":
        nodes = [helper.make_node("Gemm", ["x", "w"], ["y"], "layer", transB=int(transposed))]
    elif transposed:
        nodes = [helper.make_node("Transpose", ["w"], ["t"]), helper.make_node("MatMul", ["x", "t"], ["y"], "layer")]
    else:
        nodes = [helper.make_node("MatMul", ["x", "w"], ["y"], "layer")]
    proto = model(nodes, {"x": ["N", inputs]}, ["y"], {"w": weight})

    layer = only_layer(proto)

    assert (layer.fan_in, layer.fan_out) == paths(proto, (inputs,))
    assert layer.weight.shape[layer.weight.unit_axes[0]] == outputs
    assert layer.weight.shape[layer.weight.input_axes[0]] == inputs


@quick
@given(inputs=small, outputs=small, columns=small, experts=st.integers(0, 2))
def test_fans_of_a_weight_on_the_left_count_its_paths(inputs, outputs, columns, experts):
    """W·x sums over the last axis of W; leading axes are independent copies."""
    stack = [experts] if experts else []
    nodes = [helper.make_node("MatMul", ["w", "x"], ["y"], "layer")]
    weight = np.ones((*stack, outputs, inputs), np.float32)
    proto = model(nodes, {"x": ["N", *stack, inputs, columns]}, ["y"], {"w": weight})

    layer = only_layer(proto)

    assert (layer.fan_in, layer.fan_out) == paths(proto, (*stack, inputs, columns))


@pytest.mark.parametrize(
    ("equation", "weight", "data"),
    [
        ("nsd,df->nsf", (3, 4), (2, 3)),
        ("nsd,dhk->nhsk", (4, 2, 3), (2, 4)),
        ("nhsk,hkd->nsd", (2, 3, 4), (2, 2, 3)),
        ("ned,edf->nef", (2, 3, 4), (2, 3)),
        ("nsd,fd->nsf", (4, 3), (2, 3)),
        ("...d,df->...f", (3, 4), (2, 3)),
    ],
)
def test_fans_of_einsum_follow_from_its_equation(equation, weight, data):
    """Letters that are summed count inputs, letters that only the weight has count units, shared ones are copies."""
    node = helper.make_node("Einsum", ["x", "w"], ["y"], "layer", equation=equation)
    proto = model([node], {"x": ["N", *data]}, ["y"], {"w": np.ones(weight, np.float32)})

    layer = only_layer(proto)

    assert layer.kind == "einsum"
    assert (layer.fan_in, layer.fan_out) == paths(proto, data)


def test_an_embedding_counts_its_rows_as_inputs():
    """A lookup is the product of a one-hot vector as wide as the table is long."""
    from onnx import TensorProto

    node = helper.make_node("Gather", ["table", "ids"], ["y"], "emb")
    proto = model([node], {}, ["y"], {"table": np.random.default_rng(0).normal(size=(50, 8)).astype(np.float32)})
    proto.graph.input.append(helper.make_tensor_value_info("ids", TensorProto.INT64, ["N"]))

    layer = only_layer(proto)

    assert (layer.kind, layer.fan_in, layer.fan_out) == ("embedding", 50, 8)


@pytest.mark.parametrize(("op", "gates"), [("LSTM", 4), ("GRU", 3), ("RNN", 1)])
@pytest.mark.parametrize("directions", [1, 2])
def test_recurrent_weights_are_seen_gate_by_gate(op, gates, directions):
    """The parts of W and R, in ONNX's order of gates, are the whole tensors, once each; fans are those of one gate."""
    hidden, inputs = 3, 5
    rng = np.random.default_rng(1)
    tensors = {
        "W": rng.normal(size=(directions, gates * hidden, inputs)).astype(np.float32),
        "R": rng.normal(size=(directions, gates * hidden, hidden)).astype(np.float32),
        "B": rng.normal(size=(directions, 2 * gates * hidden)).astype(np.float32),
    }
    direction = "bidirectional" if directions == 2 else "forward"
    node = helper.make_node(op, ["x", "W", "R", "B"], ["y"], "rnn", hidden_size=hidden, direction=direction)
    proto = model([node], {"x": ["T", "N", inputs]}, ["y"], tensors)

    layers = extract(proto).layers

    for role, width in (("W", inputs), ("R", hidden)):
        parts = [layer for layer in layers if layer.weight.tensors[0].name == role]
        stacked = np.concatenate([part.weight.array() for part in parts]).reshape(tensors[role].shape)
        np.testing.assert_array_equal(stacked, tensors[role])
        assert {(part.fan_in, part.fan_out) for part in parts} == {(width, hidden)}
        for position, part in enumerate(parts):
            start, stop = part.bias_slice
            offset = 0 if role == "W" else gates * hidden
            place, gate = divmod(position, gates)
            assert (start, stop) == (first := place * 2 * gates * hidden + offset + gate * hidden, first + hidden)
    forget = [layer for layer in layers if layer.weight.part and layer.weight.part.endswith("gate:forget")]
    assert len(forget) == (2 * directions if op == "LSTM" else 0)


def test_the_forget_gate_is_the_one_that_keeps_the_cell():
    """With the part called forget wide open and the part called input shut, an LSTM keeps its initial cell (ONNX: i, o, f, c)."""
    hidden = 3
    bias = np.zeros((1, 8 * hidden), np.float32)
    tensors = {
        "W": np.zeros((1, 4 * hidden, 2), np.float32),
        "R": np.zeros((1, 4 * hidden, hidden), np.float32),
        "B": bias,
        "h0": np.zeros((1, 1, hidden), np.float32),
        "c0": np.full((1, 1, hidden), 0.7, np.float32),
    }
    node = helper.make_node("LSTM", ["x", "W", "R", "B", "", "h0", "c0"], ["y", "", "c"], "rnn", hidden_size=hidden)
    layers = extract(model([node], {"x": ["T", 1, 2]}, ["y", "c"], tensors)).layers
    spans = {layer.weight.part: layer.bias_slice for layer in layers if layer.weight.tensors[0].name == "W"}

    bias[0, slice(*spans["gate:forget"])] = 20
    bias[0, slice(*spans["gate:input"])] = -20
    (cell,) = run(model([node], {"x": ["T", 1, 2]}, ["y", "c"], tensors), {"x": np.ones((4, 1, 2), np.float32)}, ["c"])

    np.testing.assert_allclose(cell, tensors["c0"], rtol=1e-4)
