"""Plain stacks of convolutions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from initaudit.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from onnx import ModelProto

    from initaudit.making.net import Net
    from initaudit.making.style import Style
    from initaudit.making.values import Values

PADS = [1, 1, 1, 1]
"""With a kernel of 3 the sides stay."""


def convolutions(
    net: Net,
    image: tuple[int, ...],
    groups: Sequence[tuple[int, int]],
    classes: int,
    style: Style,
    values: Values,
) -> ModelProto:
    """A classifier of convolutions with kernel 3 and no skip connection; between groups max pooling halves the sides.

    Args:
        net: to be filled.
        image: channels, height, width.
        groups: (channels, convolutions) of each.
        classes: of the dense layer at the end, which sees every position.
        style: what stands behind each convolution; dropout in front of the last layer.
        values: of the weights.

    Raises:
        UsageError: the image is too small to be halved so often.
    """
    inputs, *sides = image
    x = net.input("input", ["batch", *image])
    number = 0
    for group, (channels, count) in enumerate(groups):
        if group:
            sides = halved(sides)
            x = net.op("MaxPool", x, scope=f"/pool{group}", kernel_shape=[2, 2], strides=[2, 2])
        for _ in range(count):
            name, shape = f"layers.{number}", (channels, inputs, 3, 3)
            x = net.conv(x, name, values.weight(name, shape), values.bias(name, shape), pads=PADS)
            x = style.activate(net, style.normed(net, x, f"norms.{number}", channels), f"/act{number}")
            inputs, number = channels, number + 1
    x = style.dropped(net, net.op("Flatten", x, axis=1), "/drop")
    head = (classes, inputs * sides[0] * sides[1])
    return net.model(net.linear(x, "fc", values.weight("fc", head), values.bias("fc", head)), ["batch", classes])


def halved(sides: Sequence[int]) -> list[int]:
    """Raises UsageError where one is 1 already."""
    if min(sides) < 2:
        raise UsageError("the image is too small for so many groups: its sides are halved between them")
    return [side // 2 for side in sides]
