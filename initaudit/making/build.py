"""Which builder makes which architecture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from initaudit.making.convolution import convolutions
from initaudit.making.mlp import mlp
from initaudit.making.recurrent import lstm
from initaudit.making.residual import residual
from initaudit.making.transformer import transformer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from onnx import ModelProto

    from initaudit.making.net import Net
    from initaudit.making.sizes import Sizes
    from initaudit.making.style import Style
    from initaudit.making.values import Values


def _mlp(net: Net, sizes: Sizes, style: Style, values: Values) -> ModelProto:
    return mlp(net, [sizes.first[0], *sizes.widths, sizes.last], style, values)


def _conv(net: Net, sizes: Sizes, style: Style, values: Values) -> ModelProto:
    return convolutions(net, sizes.first, sizes.middle, sizes.last, style, values)


def _residual(net: Net, sizes: Sizes, style: Style, values: Values) -> ModelProto:
    return residual(net, sizes.first, sizes.middle, sizes.last, style, values)


def _lstm(net: Net, sizes: Sizes, style: Style, values: Values) -> ModelProto:
    return lstm(net, (sizes.first[0], sizes.first[1]), sizes.widths, sizes.last, style, values)


def _transformer(net: Net, sizes: Sizes, style: Style, values: Values) -> ModelProto:
    return transformer(net, (sizes.first[0], sizes.first[1]), sizes.middle[0], sizes.last, style, values)


BUILDERS: Final[Mapping[str, Callable[[Net, Sizes, Style, Values], ModelProto]]] = {
    "mlp": _mlp,
    "conv": _conv,
    "residual": _residual,
    "lstm": _lstm,
    "transformer": _transformer,
}
"""By name of the architecture (`initaudit.making.architectures`)."""
