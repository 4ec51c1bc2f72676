"""Networks with structure: convolutions, residual branches, recurrence, attention."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import TensorProto

from . import draws
from .graph import Net

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from onnx import ModelProto

    from .graph import Array

DEPTH = 22  # of the plain convolutional network, where He et al. 2015 saw Xavier fall behind
CHANNELS, BLOCKS = 16, 3  # of the residual networks
FEATURES, HIDDEN = 32, 48  # of the recurrent networks
VOCABULARY, TOKENS, WIDTH, HEADS = 120, 16, 48, 4  # of the transformers
BERT_STD = 0.02  # Devlin et al. 2019 and Radford et al. 2019: N(0, 0.02) everywhere


def deep_relu(name: str, draw: Callable[[draws.Rng, tuple[int, ...]], Array]) -> ModelProto:
    """A plain stack of convolutions, each followed by ReLU: no norm, no skip connection, zero biases."""
    rng = draws.rng_for(name)
    net = Net(name)
    x = net.input("input", ["batch", 1, 8, 8])
    for i in range(DEPTH):
        weight = draw(rng, (CHANNELS, CHANNELS if i else 1, 3, 3))
        x = net.conv(x, f"layers.{i}", weight, np.zeros(CHANNELS), pads=[1, 1, 1, 1])
        x = net.op("Relu", x, scope=f"/act{i}")
    x = net.op("Flatten", x, axis=1)
    head = draws.xavier_normal(rng, (10, CHANNELS * 8 * 8))
    return net.model(net.linear(x, "fc", head), ["batch", 10])


def resnet(name: str, *, last_gamma: float) -> ModelProto:
    """conv-bn-relu-conv-bn + skip, three times, drawn as torchvision does (He, fan_out)."""
    rng = draws.rng_for(name)
    net = Net(name)
    x = net.input("input", ["batch", 3, 16, 16])

    def conv_norm(x: str, prefix: str, number: int, inputs: int, gamma: float = 1.0) -> str:
        weight = draws.he_normal_fan_out(rng, (CHANNELS, inputs, 3, 3))
        y = net.conv(x, f"{prefix}conv{number}", weight, pads=[1, 1, 1, 1])
        return net.batch_norm(y, f"{prefix}bn{number}", CHANNELS, gamma)

    x = net.op("Relu", conv_norm(x, "", 1, 3), scope="/relu")
    for block in range(BLOCKS):
        prefix = f"blocks.{block}."
        y = net.op("Relu", conv_norm(x, prefix, 1, CHANNELS), scope=f"/blocks.{block}/relu")
        y = conv_norm(y, prefix, 2, CHANNELS, last_gamma)
        x = net.op("Relu", net.op("Add", y, x, scope=f"/blocks.{block}"), scope=f"/blocks.{block}/relu")
    return classifier(net, x, draws.torch_default(rng, (10, CHANNELS)))


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
    return classifier(net, x, np.zeros((10, CHANNELS)))


def classifier(net: Net, x: str, weight: Array) -> ModelProto:
    """Global average pooling and a linear head."""
    x = net.op("Flatten", net.op("GlobalAveragePool", x, scope="/pool"), scope="", axis=1)
    return net.model(net.linear(x, "fc", weight), ["batch", len(weight)])


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


def lstm(name: str, *, careful: bool) -> ModelProto:
    """A sequence classifier. Careful: Xavier inputs, orthogonal recurrence, forget bias 1; else torch's U(+-1/sqrt(H))."""
    rng = draws.rng_for(name)
    net = Net(name)
    bound = 1 / math.sqrt(HIDDEN)
    if careful:
        gates = range(4)
        inputs = np.concatenate([draws.xavier_uniform(rng, (HIDDEN, FEATURES)) for _ in gates])
        recurrent = np.concatenate([draws.orthogonal(rng, (HIDDEN, HIDDEN)) for _ in gates])
        bias = np.zeros(8 * HIDDEN)
        bias[2 * HIDDEN : 3 * HIDDEN] = 1.0  # gates stand in the order i, o, f, c
    else:
        inputs, recurrent, bias = (
            draws.uniform(rng, shape, bound) for shape in [(4 * HIDDEN, FEATURES), (4 * HIDDEN, HIDDEN), (8 * HIDDEN,)]
        )
    x = net.op("Transpose", net.input("input", ["batch", "time", FEATURES]), perm=[1, 0, 2])
    weights = [net.weight(f"onnx::LSTM_{i}", values[None]) for i, values in [(65, inputs), (66, recurrent), (67, bias)]]
    _, last, _ = net.op("LSTM", x, *weights, scope="/rnn", outputs=3, hidden_size=HIDDEN)
    x = net.op("Squeeze", last, net.constant([0], np.int64), scope="/rnn")
    weight = draws.torch_default(rng, (10, HIDDEN))
    return net.model(net.linear(x, "fc", weight), ["batch", 10])


def attention(net: Net, scope: str, parts: Sequence[str], mask: str, *, causal: bool) -> str:
    """Softmax(q k' / sqrt(d) under the mask) v, with the heads split and merged as exporters write it."""
    size = WIDTH // HEADS
    split = net.constant([0, 0, HEADS, size], np.int64)
    q, k, v = (net.op("Reshape", x, split, scope=scope) for x in parts)
    q = net.op("Transpose", q, scope=scope, perm=[0, 2, 1, 3])
    k = net.op("Transpose", k, scope=scope, perm=[0, 2, 3, 1])
    v = net.op("Transpose", v, scope=scope, perm=[0, 2, 1, 3])
    scores = net.op("Div", net.op("MatMul", q, k, scope=scope), net.constant(math.sqrt(size)), scope=scope)
    if causal:
        scores = net.op("Where", mask, scores, net.constant(np.finfo(np.float32).min), scope=scope)
    else:
        scores = net.op("Add", scores, mask, scope=scope)
    x = net.op("MatMul", net.op("Softmax", scores, scope=scope, axis=-1), v, scope=scope)
    x = net.op("Transpose", x, scope=scope, perm=[0, 2, 1, 3])
    return str(net.op("Reshape", x, net.constant([0, 0, WIDTH], np.int64), scope=scope))


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
    y = attention(net, "/bert/encoder/layer.0/attention/self", parts, mask, causal=False)
    y = dense(y, f"{layer}.attention.output.dense", WIDTH, WIDTH)
    x = net.layer_norm(
        net.op("Add", y, x, scope="/bert/encoder/layer.0/attention/output"),
        f"{layer}.attention.output.LayerNorm",
        WIDTH,
    )
    y = dense(x, f"{layer}.intermediate.dense", WIDTH, 4 * WIDTH)
    act = "/bert/encoder/layer.0/intermediate/intermediate_act_fn"
    erf = net.op("Erf", net.op("Div", y, net.constant(math.sqrt(2)), scope=act), scope=act)
    y = net.op("Mul", y, net.op("Add", erf, net.constant(1.0), scope=act), scope=act)
    y = net.op("Mul", y, net.constant(0.5), scope=act)
    y = dense(y, f"{layer}.output.dense", 4 * WIDTH, WIDTH)
    x = net.layer_norm(net.op("Add", y, x, scope="/bert/encoder/layer.0/output"), f"{layer}.output.LayerNorm", WIDTH)
    first = net.op("Gather", x, net.constant(0, np.int64), scope="/bert/pooler", axis=1)
    pooled = net.linear(first, "bert.pooler.dense", draws.normal(rng, (WIDTH, WIDTH), BERT_STD))
    pooled = net.op("Tanh", pooled, scope="/bert/pooler/activation")
    return net.model(
        net.linear(pooled, "classifier", draws.normal(rng, (10, WIDTH), BERT_STD)), ["batch", 10], name="logits"
    )


def gpt_block(name: str) -> ModelProto:
    """Pre-LayerNorm, packed q|k|v, GELU by tanh, residual projections at 0.02/sqrt(2), head tied to the embedding."""
    rng = draws.rng_for(name)
    net = Net(name)
    ids = net.input("input_ids", ["batch", TOKENS], TensorProto.INT64)
    wte = net.weight("transformer.wte.weight", draws.normal(rng, (VOCABULARY, WIDTH), BERT_STD))
    wpe = net.weight("transformer.wpe.weight", draws.normal(rng, (TOKENS, WIDTH), BERT_STD))
    words = net.op("Gather", wte, ids, scope="/transformer/wte")
    positions = net.op("Gather", wpe, net.constant([list(range(TOKENS))], np.int64), scope="/transformer/wpe")
    x = net.op("Add", words, positions, scope="/transformer")
    residual_std = BERT_STD / math.sqrt(2)  # 0.02 / sqrt(2 L) for L = 1 block

    def dense(x: str, key: str, inputs: int, outputs: int, std: float = BERT_STD) -> str:
        return net.project(x, f"transformer.h.0.{key}", draws.normal(rng, (outputs, inputs), std), np.zeros(outputs))

    packed = dense(net.layer_norm(x, "transformer.h.0.ln_1", WIDTH), "attn.c_attn", WIDTH, 3 * WIDTH)
    parts = net.op(
        "Split", packed, net.constant([WIDTH] * 3, np.int64), scope="/transformer/h.0/attn", outputs=3, axis=2
    )
    triangle = net.constant(np.tril(np.ones((1, 1, TOKENS, TOKENS), bool)), np.bool_)
    y = attention(net, "/transformer/h.0/attn", parts, triangle, causal=True)
    x = net.op("Add", dense(y, "attn.c_proj", WIDTH, WIDTH, residual_std), x, scope="/transformer/h.0")
    y = dense(net.layer_norm(x, "transformer.h.0.ln_2", WIDTH), "mlp.c_fc", WIDTH, 4 * WIDTH)
    act = "/transformer/h.0/mlp/act"
    cubic = net.op("Mul", net.op("Pow", y, net.constant(3.0), scope=act), net.constant(0.044715), scope=act)
    inner = net.op("Mul", net.op("Add", y, cubic, scope=act), net.constant(math.sqrt(2 / math.pi)), scope=act)
    gate = net.op("Add", net.op("Tanh", inner, scope=act), net.constant(1.0), scope=act)
    y = net.op("Mul", net.op("Mul", y, net.constant(0.5), scope=act), gate, scope=act)
    x = net.op("Add", dense(y, "mlp.c_proj", 4 * WIDTH, WIDTH, residual_std), x, scope="/transformer/h.0")
    x = net.layer_norm(x, "transformer.ln_f", WIDTH)
    head = net.op("Transpose", wte, scope="/lm_head", perm=[1, 0])
    return net.model(net.op("MatMul", x, head, scope="/lm_head"), ["batch", TOKENS, VOCABULARY], name="logits")


def samples() -> dict[str, ModelProto]:
    """File name without suffix -> model."""
    return {
        "conv22_relu_xavier": deep_relu("conv22_relu_xavier", draws.xavier_normal),
        "conv22_relu_he": deep_relu("conv22_relu_he", draws.he_normal),
        "resnet_batchnorm": resnet("resnet_batchnorm", last_gamma=1.0),
        "resnet_zero_gamma": resnet("resnet_zero_gamma", last_gamma=0.0),
        "resnet_fixup": resnet_fixup("resnet_fixup"),
        "autoencoder_he": autoencoder("autoencoder_he"),
        "lstm_torch_default": lstm("lstm_torch_default", careful=False),
        "lstm_orthogonal": lstm("lstm_orthogonal", careful=True),
        "bert_block": bert_block("bert_block"),
        "gpt_block": gpt_block("gpt_block"),
    }
