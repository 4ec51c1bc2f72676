"""Language models of pre-norm blocks, as GPT-2 is one (Radford et al. 2019)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from onnx import TensorProto

from initaudit.errors import UsageError
from initaudit.making.attention import attention

if TYPE_CHECKING:
    from onnx import ModelProto

    from initaudit.making.net import Net
    from initaudit.making.style import Style
    from initaudit.making.values import Values


def transformer(
    net: Net, text: tuple[int, int], group: tuple[int, int], heads: int, style: Style, values: Values
) -> ModelProto:
    """Logits of the next token at each place; packed q|k|v, and a head that is tied to the embedding.

    Args:
        net: to be filled.
        text: size of the vocabulary, and tokens of an input.
        group: width, and number of blocks.
        heads: of attention.
        style: activation of the dense layers, and dropout at the end of each branch; its norm is LayerNorm whatever it says.
        values: of the weights.

    Raises:
        UsageError: the heads do not share the width.
    """
    (vocabulary, tokens), (width, blocks) = text, group
    if width % heads:
        raise UsageError(f"{heads} heads cannot share a width of {width}")

    def dense(x: str, key: str, inputs: int, outputs: int) -> str:
        shape = (outputs, inputs)
        return net.project(x, key, values.weight(key, shape), values.bias(key, shape))

    ids = net.input("input_ids", ["batch", tokens], TensorProto.INT64)
    wte = net.weight("transformer.wte.weight", values.weight("transformer.wte", (vocabulary, width)))
    wpe = net.weight("transformer.wpe.weight", values.weight("transformer.wpe", (tokens, width)))
    words = net.op("Gather", wte, ids, scope="/transformer/wte")
    positions = net.op("Gather", wpe, net.constant([list(range(tokens))], np.int64), scope="/transformer/wpe")
    x = net.op("Add", words, positions, scope="/transformer")
    for block in range(blocks):
        key, scope = f"transformer.h.{block}", f"/transformer/h.{block}"
        packed = dense(net.layer_norm(x, f"{key}.ln_1", width), f"{key}.attn.c_attn", width, 3 * width)
        thirds = net.constant([width] * 3, np.int64)
        parts = net.op("Split", packed, thirds, scope=f"{scope}/attn", outputs=3, axis=2)
        triangle = net.constant(np.tril(np.ones((1, 1, tokens, tokens), bool)), np.bool_)
        y = attention(net, f"{scope}/attn", parts, triangle, width=width, heads=heads, causal=True)
        y = style.dropped(net, dense(y, f"{key}.attn.c_proj", width, width), f"{scope}/attn/drop")
        x = net.op("Add", y, x, scope=scope)
        y = dense(net.layer_norm(x, f"{key}.ln_2", width), f"{key}.mlp.c_fc", width, 4 * width)
        y = style.activate(net, y, f"{scope}/mlp/act")
        y = style.dropped(net, dense(y, f"{key}.mlp.c_proj", 4 * width, width), f"{scope}/mlp/drop")
        x = net.op("Add", y, x, scope=scope)
    x = net.layer_norm(x, "transformer.ln_f", width)
    head = net.op("Transpose", wte, scope="/lm_head", perm=[1, 0])
    return net.model(net.op("MatMul", x, head, scope="/lm_head"), ["batch", tokens, vocabulary], name="logits")
