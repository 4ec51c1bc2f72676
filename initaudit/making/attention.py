"""Attention with several heads, in the nodes that exporters write."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from initaudit.making.net import Net


def attention(net: Net, scope: str, parts: Sequence[str], mask: str, *, width: int, heads: int, causal: bool) -> str:
    """Softmax(q k' / sqrt(d) under the mask) v, with the heads split and merged; `parts` are q, k and v, [batch, tokens, width].

    A causal mask is true where a token may look; any other one is added.
    """
    size = width // heads
    split = net.constant([0, 0, heads, size], np.int64)
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
    return str(net.op("Reshape", x, net.constant([0, 0, width], np.int64), scope=scope))
