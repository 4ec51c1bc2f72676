"""Residual networks of basic blocks (He et al. 2016, Deep residual learning, figure 2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from initaudit.making.convolution import PADS
from initaudit.making.style import NONE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from onnx import ModelProto

    from initaudit.making.net import Array, Net
    from initaudit.making.style import Style
    from initaudit.making.values import Values


def residual(
    net: Net,
    image: tuple[int, ...],
    groups: Sequence[tuple[int, int]],
    classes: int,
    style: Style,
    values: Values,
    *,
    last_gamma: float = 1.0,
) -> ModelProto:
    """conv-norm-act-conv-norm + skip, then the activation; between groups a stride of 2, and a convolution with kernel 1 in the skip connection.

    Args:
        net: to be filled.
        image: channels, height, width.
        groups: (channels, blocks) of each.
        classes: of the dense layer at the end, behind global average pooling.
        style: norm and activation; dropout in front of the last layer.
        values: of the weights.
        last_gamma: scale of the norm that ends each branch.
    """

    def conv(y: str, key: str, inputs: int, channels: int, *, kernel: int = 3, stride: int = 1) -> str:
        shape = (channels, inputs, kernel, kernel)
        bias = values.bias(key, shape) if style.norm == NONE else None  # a norm takes it out, and adds its own
        strides = {} if stride == 1 else {"strides": [stride, stride]}
        return net.conv(y, key, values.weight(key, shape), bias, pads=PADS if kernel == 3 else [0] * 4, **strides)

    width, number = groups[0][0], 0
    x = net.input("input", ["batch", *image])
    x = style.activate(net, style.normed(net, conv(x, "conv1", image[0], width), "bn1", width), "/relu")
    for group, (channels, count) in enumerate(groups):
        for index in range(count):
            block, stride = f"blocks.{number}", 2 if group and not index else 1
            y = style.normed(net, conv(x, f"{block}.conv1", width, channels, stride=stride), f"{block}.bn1", channels)
            y = conv(style.activate(net, y, f"/{block}/relu"), f"{block}.conv2", channels, channels)
            y = style.normed(net, y, f"{block}.bn2", channels, last_gamma)
            if stride != 1 or width != channels:
                x = conv(x, f"{block}.downsample", width, channels, kernel=1, stride=stride)
            x = style.activate(net, net.op("Add", y, x, scope=f"/{block}"), f"/{block}/relu")
            width, number = channels, number + 1
    head = values.weight("fc", (classes, width))
    return classifier(net, x, head, values.bias("fc", head.shape), style)


def classifier(net: Net, x: str, weight: Array, bias: Array | None, style: Style) -> ModelProto:
    """Global average pooling and a linear head, with the dropout of the style between them."""
    x = net.op("Flatten", net.op("GlobalAveragePool", x, scope="/pool"), scope="", axis=1)
    x = style.dropped(net, x, "/drop")
    return net.model(net.linear(x, "fc", weight, bias), ["batch", len(weight)])
