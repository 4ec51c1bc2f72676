"""One network that really learned, the same with one fault each, and the same in the forms files come in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import TensorProto, helper

from initaudit.making.net import Net

from . import digits, draws

if TYPE_CHECKING:
    from onnx import ModelProto

    from initaudit.making.net import Array

    Layers = list[tuple[Array, Array]]

TRAIN_SEED, TRAIN_IMAGES = 1, 12000
NAMES = ("fc1", "fc2", "head")
PRUNED = 0.5  # share of the weights with the smallest magnitude that pruning sets to zero
DEAD_BIAS = -100.0


def dense(layers: Layers, name: str, **options: Any) -> ModelProto:
    """The network of `digits` with these values, as torch exports it."""
    net = Net(name)
    x = net.input("image", ["batch", digits.WIDTHS[0]])
    for i, ((weight, bias), key) in enumerate(zip(layers, NAMES, strict=True)):
        x = net.linear(x, key, weight, bias)
        x = net.op("Relu", x, scope=f"/relu{i + 1}") if i < 2 else x
    return net.model(x, ["batch", 10], name="logits", **options)


def replaced(layers: Layers, index: int, weight: Array | None = None, bias: Array | None = None) -> Layers:
    """A copy in which one layer has another weight or bias."""
    copy = list(layers)
    copy[index] = (layers[index][0] if weight is None else weight, layers[index][1] if bias is None else bias)
    return copy


def one_nan(layers: Layers) -> Layers:
    """One value of the middle layer is not a number."""
    weight = layers[1][0].copy()
    weight[3, 5] = np.nan
    return replaced(layers, 1, weight)


def repeated(layers: Layers) -> Layers:
    """The second half of the middle layer's units repeats the first."""
    weight, bias = (np.concatenate([values[:16], values[:16]]) for values in layers[1])
    return replaced(layers, 1, weight, bias)


def pruned(layers: Layers) -> Layers:
    """The smallest weights of every layer are zero."""
    return [(np.where(np.abs(w) < np.quantile(np.abs(w), PRUNED), 0.0, w), b) for w, b in layers]


def int8(layers: Layers, images: Array) -> ModelProto:
    """Static quantisation in QDQ form: weights int8 per output unit, activations uint8 per tensor by their range."""
    net = Net("digits_trained_int8_qdq")
    x = net.input("image", ["batch", digits.WIDTHS[0]])

    def quantised(values: str, data: Array, key: str) -> str:
        low, high = min(float(data.min()), 0.0), max(float(data.max()), 0.0)
        scale = (high - low) / 255
        names = (
            net.weight(f"{key}_scale", np.array(scale)),
            net.weight(f"{key}_zero_point", np.array(round(-low / scale), np.uint8)),
        )
        codes = net.op("QuantizeLinear", values, *names, scope=f"/{key}")
        return str(net.op("DequantizeLinear", codes, *names, scope=f"/{key}"))

    signals = digits.forward(layers, images)
    for i, ((weight, bias), key) in enumerate(zip(layers, NAMES, strict=True)):
        scale = np.abs(weight).max(1) / 127
        codes = net.weight(f"{key}.weight_quantized", np.round(weight / scale[:, None]).astype(np.int8))
        names = (
            net.weight(f"{key}.weight_scale", scale),
            net.weight(f"{key}.weight_zero_point", np.zeros(len(scale), np.int8)),
        )
        values = net.op("DequantizeLinear", codes, *names, scope=f"/{key}.weight", axis=0)
        x = quantised(x, signals[i], f"input{i + 1}")
        x = net.op("Gemm", x, values, net.weight(f"{key}.bias", bias), scope=f"/{key}", transB=1)
        x = net.op("Relu", x, scope=f"/relu{i + 1}") if i < 2 else x
    return net.model(x, ["batch", 10], name="logits")


def float16(layers: Layers) -> ModelProto:
    """Weights and arithmetic in float16 between two Casts, inputs and outputs float32."""
    net = Net("digits_trained_float16")
    x = net.op("Cast", net.input("image", ["batch", digits.WIDTHS[0]]), scope="/in", to=TensorProto.FLOAT16)
    for i, ((weight, bias), key) in enumerate(zip(layers, NAMES, strict=True)):
        x = net.linear(x, key, weight.astype(np.float16), bias.astype(np.float16))
        x = net.op("Relu", x, scope=f"/relu{i + 1}") if i < 2 else x
    return net.model(net.op("Cast", x, scope="/out", to=TensorProto.FLOAT), ["batch", 10], name="logits")


def custom_operator(layers: Layers) -> ModelProto:
    """An activation from a domain that no runtime knows stands between the layers."""
    net = Net("digits_trained_custom_operator")
    x = net.input("image", ["batch", digits.WIDTHS[0]])
    for i, ((weight, bias), key) in enumerate(zip(layers, NAMES, strict=True)):
        x = net.linear(x, key, weight, bias)
        x = net.op("FastRelu", x, scope=f"/act{i + 1}", domain="com.example.kernels") if i < 2 else x
    return net.model(x, ["batch", 10], name="logits", extra_domains=["com.example.kernels"])


def weights_as_inputs() -> ModelProto:
    """The graph of the network without its values: every weight is an input of the caller."""
    net = Net("weights_as_inputs")
    x = net.input("image", ["batch", digits.WIDTHS[0]])
    for i, key in enumerate(NAMES):
        inputs, outputs = digits.WIDTHS[i : i + 2]
        names = net.input(f"{key}.weight", [outputs, inputs]), net.input(f"{key}.bias", [outputs])
        x = net.op("Gemm", x, *names, scope=f"/{key}", transB=1)
        x = net.op("Relu", x, scope=f"/relu{i + 1}") if i < 2 else x
    return net.model(x, ["batch", 10], name="logits")


def without_data(model: ModelProto, location: str) -> bytes:
    """Moves the values of `model` into one block that `location` will hold; returns the block."""
    block = b""
    for tensor in model.graph.initializer:
        block += bytes(-len(block) % 64)  # aligned, as exporters do it for mapping
        for key, value in [("location", location), ("offset", str(len(block))), ("length", str(len(tensor.raw_data)))]:
            tensor.external_data.add(key=key, value=value)
        block += tensor.raw_data
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
    return block


def old_format(model: ModelProto) -> ModelProto:
    """IR version 3, opset 9: every constant weight is a graph input too."""
    for tensor in model.graph.initializer:
        model.graph.input.append(helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims))
    return model


def samples() -> dict[str, ModelProto | tuple[ModelProto, bytes]]:
    """File name without suffix -> model, with its external data where it has some."""
    images, labels = digits.digits(TRAIN_SEED, TRAIN_IMAGES)
    start = digits.fresh()
    learned = digits.train(start, images, labels)
    with_frozen = digits.train(start, images, labels, frozen=1)
    rng = draws.rng_for("head never loaded")
    shape = learned[2][0].shape
    random_head = draws.torch_default(rng, shape), draws.torch_default_bias(rng, shape)
    variants = {
        "fresh": start,
        "trained": learned,
        "trained_head_random": replaced(learned, 2, *random_head),
        "trained_layer_frozen": replaced(with_frozen, 1, *start[1]),
        "trained_layer_dead": replaced(learned, 1, bias=np.full(len(learned[1][1]), DEAD_BIAS)),
        "trained_layer_zero": replaced(learned, 1, np.zeros_like(learned[1][0])),
        "trained_nan": one_nan(learned),
        "trained_units_repeated": repeated(learned),
        "trained_pruned": pruned(learned),
    }
    external = dense(learned, "digits_trained_external_data")
    block = without_data(external, "digits_trained_external_data.onnx.data")
    return {
        **{f"digits_{name}": dense(layers, f"digits_{name}") for name, layers in variants.items()},
        "digits_trained_int8_qdq": int8(learned, images),
        "digits_trained_float16": float16(learned),
        "digits_trained_old_format": old_format(dense(learned, "digits_trained_old_format", opset=9, ir_version=3)),
        "digits_trained_custom_operator": custom_operator(learned),
        "digits_trained_external_data": (external, block),
        "weights_as_inputs": weights_as_inputs(),
    }
