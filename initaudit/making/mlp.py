"""Plain chains of dense layers."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from onnx import ModelProto

    from initaudit.making.net import Net
    from initaudit.making.style import Style
    from initaudit.making.values import Values


def mlp(net: Net, widths: Sequence[int], style: Style, values: Values) -> ModelProto:
    """A classifier: widths[0] inputs, one layer per further width, all but the last followed by the activation."""
    x = net.input("input", ["batch", widths[0]])
    last = len(widths) - 2
    for i, shape in enumerate((outputs, inputs) for inputs, outputs in pairwise(widths)):
        name = f"layers.{i}"
        x = net.linear(x, name, values.weight(name, shape), values.bias(name, shape))
        if i < last:
            x = style.activate(net, style.normed(net, x, f"norms.{i}", shape[0]), f"/act{i}")
            x = style.dropped(net, x, f"/drop{i}")
    return net.model(x, ["batch", widths[-1]])
