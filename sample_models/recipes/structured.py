"""Networks with structure: convolutions, residual branches, recurrence, attention."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import TensorProto

from initaudit.making.activation import gelu, gelu_tanh, read_activation
from initaudit.making.attention import attention
from initaudit.making.convolution import convolutions
from initaudit.making.net import Net
from initaudit.making.recurrent import lstm
from initaudit.making.residual import classifier, residual
from initaudit.making.style import BATCH, Style
from initaudit.making.transformer import transformer
from initaudit.making.values import Values

from . import draws

if TYPE_CHECKING:
    from collections.abc import Callable

    from onnx import ModelProto

    from initaudit.making.net import Array

DEPTH = 22  # of the plain convolutional network, where He et al. 2015 saw Xavier fall behind
CHANNELS, BLOCKS = 16, 3  # of the residual networks
FEATURES, HIDDEN = 32, 48  # of the recurrent networks
VOCABULARY, TOKENS, WIDTH, HEADS = 120, 16, 48, 4  # of the transformers
RELU = Style(activate=read_activation("relu"))
CELLS = Style(activate=read_activation("linear"))  # nothing stands behind the cells of a recurrent layer
BERT_STD = 0.02  # Devlin et al. 2019 and Radford et al. 2019: N(0, 0.02) everywhere


def deep_relu(name: str, draw: Callable[[draws.Rng, tuple[int, ...]], Array]) -> ModelProto:
    """A plain stack of convolutions, each followed by ReLU: no norm, no skip connection, zero biases."""
    rng = draws.rng_for(name)
    values = Values(weight=lambda key, shape: (draws.xavier_normal if key == "fc" else draw)(rng, shape))
    return convolutions(Net(name), (1, 8, 8), [(CHANNELS, DEPTH)], 10, RELU, values)


def resnet(name: str, *, last_gamma: float) -> ModelProto:
    """conv-bn-relu-conv-bn + skip, three times, drawn as torchvision does (He, fan_out)."""
    rng = draws.rng_for(name)
    values = Values(
        weight=lambda key, shape: (draws.torch_default if key == "fc" else draws.he_normal_fan_out)(rng, shape)
    )
    style = replace(RELU, norm=BATCH)
    return residual(Net(name), (3, 16, 16), [(CHANNELS, BLOCKS)], 10, style, values, last_gamma=last_gamma)


def resnet_fixup(name: str) -> ModelProto:
    """No normalisation: the first convolution of a branch is scaled by L^(-1/2), the second and the head are zero."""
    rng = draws.rng_for(name)
    net = Net(name)
    x = net.input("input", ["batch", 3, 16, 16])
    x = net.op(
        "Relu", net.conv(x, "conv1", draws.he_normal(rng, (CHANNELS, 3, 3, 3)), pads=[1, 1, 1, 1]), scope="/relu"
    )
    shape = (CHANNELS, CHANNELS, 3, 3)

    def shifted(y: str, prefix: str, number: str) -> str:
        return str(net.op("Add", y, net.weight(f"{prefix}.bias{number}", np.zeros(1)), scope=scope))

    for block in range(BLOCKS):
        prefix, scope = f"blocks.{block}", f"/blocks.{block}"
        y = net.conv(
            shifted(x, prefix, "1a"),
            f"{prefix}.conv1",
            draws.he_normal(rng, shape) / math.sqrt(BLOCKS),
            pads=[1, 1, 1, 1],
        )
        y = net.op("Relu", shifted(y, prefix, "1b"), scope=f"{scope}/relu")
        y = net.conv(shifted(y, prefix, "2a"), f"{prefix}.conv2", np.zeros(shape), pads=[1, 1, 1, 1])
        y = net.op("Mul", y, net.weight(f"{prefix}.scale", np.ones(1)), scope=scope)
        x = net.op("Relu", net.op("Add", shifted(y, prefix, "2b"), x, scope=scope), scope=f"{scope}/relu")
    return classifier(net, x, np.zeros((10, CHANNELS)), np.zeros(10), RELU)


def autoencoder(name: str) -> ModelProto:
    """Two strided convolutions down, two transposed ones up, each drawn by He for the values that really meet."""
    rng = draws.rng_for(name)
    net = Net(name)
    x = net.input("input", ["batch", 1, 32, 32])
    geometry: dict[str, Any] = {"kernel_shape": [4, 4], "strides": [2, 2], "pads": [1, 1, 1, 1]}
    for i, (inputs, outputs) in enumerate([(1, 16), (16, 32)]):
        weight = net.weight(f"encoder.{i}.weight", draws.he_normal(rng, (outputs, inputs, 4, 4)))
        x = net.op(
            "Conv", x, weight, net.weight(f"encoder.{i}.bias", np.zeros(outputs)), scope=f"/encoder.{i}", **geometry
        )
        x = net.op("Relu", x, scope=f"/encoder.{i}")
    for i, (inputs, outputs, gain) in enumerate([(32, 16, math.sqrt(2)), (16, 1, 1.0)]):
        fan_in = inputs * 4 * 4 / (2 * 2)  # of 16 kernel positions a stride of 2 lets 4 meet in one output
        weight = net.weight(f"decoder.{i}.weight", draws.normal(rng, (inputs, outputs, 4, 4), gain / math.sqrt(fan_in)))
        x = net.op(
            "ConvTranspose",
            x,
            weight,
            net.weight(f"decoder.{i}.bias", np.zeros(outputs)),
            scope=f"/decoder.{i}",
            **geometry,
        )
        x = net.op("Relu", x, scope=f"/decoder.{i}") if outputs > 1 else x
    return net.model(x, ["batch", 1, 32, 32])


def sequence_classifier(name: str, *, careful: bool) -> ModelProto:
    """An LSTM. Careful: Xavier inputs, orthogonal recurrence, forget bias 1; else torch's U(+-1/sqrt(H))."""
    rng = draws.rng_for(name)
    bound = 1 / math.sqrt(HIDDEN)

    def weight(key: str, shape: tuple[int, ...]) -> Array:
        if key == "fc":
            return draws.torch_default(rng, shape)
        if not careful:
            return draws.uniform(rng, shape, bound)
        draw: Callable[..., Array] = draws.orthogonal if key.endswith("R") else draws.xavier_uniform
        return np.concatenate([draw(rng, (HIDDEN, shape[1])) for _ in range(4)])

    def bias(key: str, shape: tuple[int, ...]) -> Array:
        if key == "fc":
            return np.zeros(shape[0])
        if not careful:
            return draws.uniform(rng, shape[:1], bound)
        values = np.zeros(shape[0])
        values[2 * HIDDEN : 3 * HIDDEN] = 1.0  # gates stand in the order i, o, f, c
        return values

    return lstm(Net(name), ("time", FEATURES), [HIDDEN], 10, CELLS, Values(weight=weight, bias=bias))


def bert_block(name: str) -> ModelProto:
    """Embeddings, one post-LayerNorm encoder layer with GELU as exporters decompose it, pooler, classifier."""
    rng = draws.rng_for(name)
    net = Net(name)
    ids = net.input("input_ids", ["batch", TOKENS], TensorProto.INT64)
    mask = net.input("attention_mask", ["batch", TOKENS], TensorProto.INT64)
    mask = net.op("Cast", net.op("Unsqueeze", mask, net.constant([1, 2], np.int64)), to=TensorProto.FLOAT)
    mask = net.op("Mul", net.op("Sub", net.constant(1.0), mask), net.constant(np.finfo(np.float32).min))

    def table(rows: int, key: str) -> str:
        return net.weight(f"bert.embeddings.{key}_embeddings.weight", draws.normal(rng, (rows, WIDTH), BERT_STD))

    def dense(x: str, key: str, inputs: int, outputs: int) -> str:
        return net.project(x, key, draws.normal(rng, (outputs, inputs), BERT_STD), np.zeros(outputs))

    where = "/bert/embeddings"
    words = net.op("Gather", table(VOCABULARY, "word"), ids, scope=f"{where}/word_embeddings")
    positions = net.op(
        "Gather",
        table(TOKENS, "position"),
        net.constant([list(range(TOKENS))], np.int64),
        scope=f"{where}/position_embeddings",
    )
    x = net.layer_norm(net.op("Add", words, positions, scope=where), "bert.embeddings.LayerNorm", WIDTH)
    layer = "bert.encoder.layer.0"
    parts = [dense(x, f"{layer}.attention.self.{part}", WIDTH, WIDTH) for part in ("query", "key", "value")]
    y = attention(net, "/bert/encoder/layer.0/attention/self", parts, mask, width=WIDTH, heads=HEADS, causal=False)
    y = dense(y, f"{layer}.attention.output.dense", WIDTH, WIDTH)
    x = net.layer_norm(
        net.op("Add", y, x, scope="/bert/encoder/layer.0/attention/output"),
        f"{layer}.attention.output.LayerNorm",
        WIDTH,
    )
    y = dense(x, f"{layer}.intermediate.dense", WIDTH, 4 * WIDTH)
    act = "/bert/encoder/layer.0/intermediate/intermediate_act_fn"
    y = gelu(net, y, act)
    y = dense(y, f"{layer}.output.dense", 4 * WIDTH, WIDTH)
    x = net.layer_norm(net.op("Add", y, x, scope="/bert/encoder/layer.0/output"), f"{layer}.output.LayerNorm", WIDTH)
    first = net.op("Gather", x, net.constant(0, np.int64), scope="/bert/pooler", axis=1)
    pooled = net.linear(first, "bert.pooler.dense", draws.normal(rng, (WIDTH, WIDTH), BERT_STD), np.zeros(WIDTH))
    pooled = net.op("Tanh", pooled, scope="/bert/pooler/activation")
    logits = net.linear(pooled, "classifier", draws.normal(rng, (10, WIDTH), BERT_STD), np.zeros(10))
    return net.model(logits, ["batch", 10], name="logits")


def gpt_block(name: str) -> ModelProto:
    """Pre-LayerNorm, packed q|k|v, GELU by tanh, residual projections at 0.02/sqrt(2), head tied to the embedding."""
    rng = draws.rng_for(name)
    residual_std = BERT_STD / math.sqrt(2)  # 0.02 / sqrt(2 L) for L = 1 block
    values = Values(
        weight=lambda key, shape: draws.normal(rng, shape, residual_std if key.endswith("c_proj") else BERT_STD)
    )
    return transformer(Net(name), (VOCABULARY, TOKENS), (WIDTH, 1), HEADS, Style(activate=gelu_tanh), values)


def samples() -> dict[str, ModelProto]:
    """File name without suffix -> model."""
    return {
        "conv22_relu_xavier": deep_relu("conv22_relu_xavier", draws.xavier_normal),
        "conv22_relu_he": deep_relu("conv22_relu_he", draws.he_normal),
        "resnet_batchnorm": resnet("resnet_batchnorm", last_gamma=1.0),
        "resnet_zero_gamma": resnet("resnet_zero_gamma", last_gamma=0.0),
        "resnet_fixup": resnet_fixup("resnet_fixup"),
        "autoencoder_he": autoencoder("autoencoder_he"),
        "lstm_torch_default": sequence_classifier("lstm_torch_default", careful=False),
        "lstm_orthogonal": sequence_classifier("lstm_orthogonal", careful=True),
        "bert_block": bert_block("bert_block"),
        "gpt_block": gpt_block("gpt_block"),
    }
