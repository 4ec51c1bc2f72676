"""Integer operators: the weight that is audited is the one that onnxruntime multiplies by."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper

from tests.extracting import extract, only_layer, run
from tests.networks import model

rng = np.random.default_rng(3)


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("with_zero_points", [False, True])
def test_blockwise_weights_are_unpacked_as_onnxruntime_does(bits, with_zero_points):
    """x·W' with the unpacked weight is what MatMulNBits gives, also where the last block is not full."""
    inputs, units, block = 80, 6, 32
    blocks = -(-inputs // block)
    tensors = {
        "B": rng.integers(0, 256, (units, blocks, block * bits // 8), dtype=np.uint8),
        "scales": rng.uniform(0.01, 0.1, (units * blocks,)).astype(np.float32),
    }
    names = ["x", "B", "scales"]
    if with_zero_points:
        tensors["zero"] = rng.integers(0, 256, (units * -(-blocks * bits // 8),), dtype=np.uint8)
        names.append("zero")
    node = helper.make_node(
        "MatMulNBits", names, ["y"], "layer", domain="com.microsoft", K=inputs, N=units, bits=bits, block_size=block
    )
    proto = model([node], {"x": ["N", inputs]}, ["y"], tensors, domains=["com.microsoft"])
    x = rng.normal(size=(3, inputs)).astype(np.float32)

    layer = only_layer(proto)
    (y,) = run(proto, {"x": x}, ["y"])

    np.testing.assert_allclose(x @ layer.weight.array().T, y, rtol=1e-3, atol=1e-3)
    assert (layer.fan_in, layer.fan_out) == (inputs, units)
    assert extract(proto).parameters == inputs * units


@pytest.mark.parametrize(("axis", "scales", "block"), [(1, (), 0), (0, (6,), 0), (1, (8,), 0), (0, (3, 8), 2)])
def test_dequantised_weights_are_those_of_onnxruntime(axis, scales, block):
    """DequantizeLinear with a scale per tensor, per axis and per block; the parts of a slice likewise."""
    codes = rng.integers(-128, 127, (6, 8)).astype(np.int8)
    scale = rng.uniform(0.01, 0.1, scales).astype(np.float32)
    zero = rng.integers(-5, 5, scales).astype(np.int8)
    attributes = {"block_size": block} if block else {}
    nodes = [
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["w"], axis=axis, **attributes),
        helper.make_node("MatMul", ["x", "w"], ["y"], "layer"),
    ]
    proto = model(nodes, {"x": ["N", 6]}, ["y"], {"q": codes, "s": scale, "z": zero}, opset=21)

    layer = only_layer(proto)
    (w,) = run(proto, {"x": np.zeros((1, 6), np.float32)}, ["w"])

    np.testing.assert_allclose(layer.weight.array(), w, rtol=1e-6)
    assert layer.weight.dtype == "int8"
    assert [t.name for t in layer.weight.tensors] == ["q", "s", "z"]


def test_the_scale_of_a_dynamically_quantised_product_is_found_behind_it():
    """MatMulInteger, Cast, Mul by (input scale · weight scale), Add: the layer has real weights, output and bias."""
    codes = rng.integers(-128, 127, (5, 4)).astype(np.int8)
    nodes = [
        helper.make_node("DynamicQuantizeLinear", ["x"], ["xq", "xs", "xz"]),
        helper.make_node("Mul", ["xs", "ws"], ["factor"]),
        helper.make_node("MatMulInteger", ["xq", "w", "xz", "wz"], ["p"], "product"),
        helper.make_node("Cast", ["p"], ["f"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["f", "factor"], ["m"]),
        helper.make_node("Add", ["m", "b"], ["y"]),
    ]
    bias = rng.normal(size=4).astype(np.float32)
    tensors = {"w": codes, "ws": np.float32(0.02), "wz": np.int8(3), "b": bias}
    proto = model(nodes, {"x": ["N", 5]}, ["y"], tensors)

    layer = only_layer(proto)

    np.testing.assert_allclose(layer.weight.array(), (codes.astype(np.float32) - 3) * 0.02, rtol=1e-6)
    assert layer.bias is not None
    assert layer.bias.name == "b"
    assert layer.output is not None
    assert layer.output.name == "y"


def test_both_scales_are_constant_where_the_input_comes_from_a_quantised_table():
    """Gather from a quantised embedding, then MatMulInteger: the weight's scale is the second factor, as its weight is."""
    codes = rng.integers(-128, 127, (5, 4)).astype(np.int8)
    nodes = [
        helper.make_node("Gather", ["table", "ids"], ["xq"]),
        helper.make_node("Mul", ["es", "ws"], ["factor"]),
        helper.make_node("MatMulInteger", ["xq", "w", "ez", "wz"], ["p"], "product"),
        helper.make_node("Cast", ["p"], ["f"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["f", "factor"], ["y"]),
    ]
    tensors = {
        "table": rng.integers(0, 255, (30, 5)).astype(np.uint8),
        "es": np.float32(0.03),
        "ez": np.uint8(140),
        "w": codes,
        "ws": np.float32(0.02),
        "wz": np.int8(0),
    }
    nodes.insert(0, helper.make_node("Cast", ["x"], ["ids"], to=TensorProto.INT64))
    proto = model(nodes, {"x": ["N"]}, ["y"], tensors)

    layer = next(layer for layer in extract(proto).layers if layer.name == "product")

    np.testing.assert_allclose(layer.weight.array(), codes.astype(np.float32) * 0.02, rtol=1e-6)


def test_a_dynamically_quantised_lstm_is_stored_transposed():
    """DynamicQuantizeLSTM keeps W as [directions, inputs, 4 · hidden], with a scale per direction."""
    hidden, inputs = 3, 5
    w, r = (rng.integers(-128, 127, (1, n, 4 * hidden)).astype(np.int8) for n in (inputs, hidden))
    names = ["x", "W", "R", "", "", "", "", "", "Ws", "Wz", "Rs", "Rz"]
    node = helper.make_node("DynamicQuantizeLSTM", names, ["y"], "rnn", domain="com.microsoft", hidden_size=hidden)
    scales = {"Ws": np.full(1, 0.5, np.float32), "Rs": np.full(1, 0.25, np.float32)}
    zeros = {"Wz": np.zeros(1, np.int8), "Rz": np.zeros(1, np.int8)}
    proto = model(
        [node], {"x": ["T", "N", inputs]}, ["y"], {"W": w, "R": r, **scales, **zeros}, domains=["com.microsoft"]
    )

    layers = extract(proto).layers

    stacked = np.concatenate([layer.weight.array() for layer in layers[:4]])
    np.testing.assert_allclose(stacked, w[0].T * 0.5)
    assert {(layer.kind, layer.fan_in, layer.fan_out) for layer in layers[:4]} == {("lstm", inputs, hidden)}
