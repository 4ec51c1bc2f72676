"""Activations as nodes: one operator where ONNX has it, else the decomposition that exporters write."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np

from initaudit.activations.formulas import LEAKY_SLOPE, QUICK_GELU_SLOPE
from initaudit.errors import UsageError, similar
from initaudit.options import read_positive, read_real

if TYPE_CHECKING:
    from initaudit.making.net import Net

Activate: TypeAlias = Callable[["Net", str, str], str]
"""Adds the nodes to a net: behind a value, under a scope; gives the name of the result."""


def _operator(op_type: str, **attributes: Any) -> Activate:
    return lambda net, x, scope: str(net.op(op_type, x, scope=scope, **attributes))


def _clip(low: float, high: float) -> Activate:
    return lambda net, x, scope: str(net.op("Clip", x, net.constant(low), net.constant(high), scope=scope))


def _times(op_type: str, factor: float = 1.0) -> Activate:
    """The value times what the operator makes of it."""

    def activate(net: Net, x: str, scope: str) -> str:
        scaled = x if factor == 1 else net.op("Mul", x, net.constant(factor), scope=scope)
        return str(net.op("Mul", x, net.op(op_type, scaled, scope=scope), scope=scope))

    return activate


def _prelu(slope: float) -> Activate:
    def activate(net: Net, x: str, scope: str) -> str:
        return str(
            net.op(
                "PRelu", x, net.weight(f"{scope.strip('/').replace('/', '.')}.slope", np.array([slope])), scope=scope
            )
        )

    return activate


def gelu(net: Net, x: str, scope: str) -> str:
    """x/2 (1 + erf(x / sqrt(2)))."""
    erf = net.op("Erf", net.op("Div", x, net.constant(math.sqrt(2)), scope=scope), scope=scope)
    x = net.op("Mul", x, net.op("Add", erf, net.constant(1.0), scope=scope), scope=scope)
    return str(net.op("Mul", x, net.constant(0.5), scope=scope))


def gelu_tanh(net: Net, x: str, scope: str) -> str:
    """x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))."""
    cubic = net.op("Mul", net.op("Pow", x, net.constant(3.0), scope=scope), net.constant(0.044715), scope=scope)
    inner = net.op("Mul", net.op("Add", x, cubic, scope=scope), net.constant(math.sqrt(2 / math.pi)), scope=scope)
    gate = net.op("Add", net.op("Tanh", inner, scope=scope), net.constant(1.0), scope=scope)
    return str(net.op("Mul", net.op("Mul", x, net.constant(0.5), scope=scope), gate, scope=scope))


def _mish(net: Net, x: str, scope: str) -> str:
    gate = net.op("Tanh", net.op("Softplus", x, scope=scope), scope=scope)
    return str(net.op("Mul", x, gate, scope=scope))


def _logsigmoid(net: Net, x: str, scope: str) -> str:
    softplus = net.op("Softplus", net.op("Neg", x, scope=scope), scope=scope)
    return str(net.op("Neg", softplus, scope=scope))


def _square(net: Net, x: str, scope: str) -> str:
    return str(net.op("Mul", x, x, scope=scope))


ACTIVATIONS: Final[dict[str, Activate]] = {
    "linear": lambda _, x, __: x,
    "relu": _operator("Relu"),
    "relu6": _clip(0.0, 6.0),
    "abs": _operator("Abs"),
    "selu": _operator("Selu"),
    "gelu": gelu,
    "gelu_tanh": gelu_tanh,
    "quick_gelu": _times("Sigmoid", QUICK_GELU_SLOPE),
    "silu": _times("Sigmoid"),
    "mish": _mish,
    "hardswish": _operator("HardSwish"),
    "hardsigmoid": _operator("HardSigmoid", alpha=1 / 6),
    "sigmoid": _operator("Sigmoid"),
    "logsigmoid": _logsigmoid,
    "tanh": _operator("Tanh"),
    "hardtanh": _clip(-1.0, 1.0),
    "softplus": _operator("Softplus"),
    "softsign": _operator("Softsign"),
    "tanhshrink": lambda net, x, scope: str(net.op("Sub", x, net.op("Tanh", x, scope=scope), scope=scope)),
    "softshrink": _operator("Shrink", bias=0.5, lambd=0.5),
    "hardshrink": _operator("Shrink", lambd=0.5),
    "relu_squared": lambda net, x, scope: _square(net, str(net.op("Relu", x, scope=scope)), scope),
    "square": _square,
    "sin": _operator("Sin"),
    "cos": _operator("Cos"),
}
"""By torch's functional names, as reports have them; `linear` is none at all."""

WITH_NUMBER: Final[dict[str, tuple[float, Callable[[str], float], Callable[[float], Activate]]]] = {
    "leaky_relu": (LEAKY_SLOPE, read_real, lambda slope: _operator("LeakyRelu", alpha=slope)),
    "prelu": (0.25, read_real, _prelu),
    "elu": (1.0, read_positive, lambda alpha: _operator("Elu", alpha=alpha)),
    "celu": (1.0, read_positive, lambda alpha: _operator("Celu", alpha=alpha)),
    "threshold": (1.0, read_positive, lambda edge: _operator("ThresholdedRelu", alpha=edge)),
}
"""Those with a number that may be given behind a colon, as `leaky_relu:0.2`; torch's default for it (of threshold ONNX's), and how it is read."""
LARGEST: Final = 1e6
"""Of these numbers. A judgement: beyond it float32 has few digits behind the point left."""


def read_activation(text: str) -> Activate:
    """The activation that is written so. Raises UsageError, with the nearest name."""
    name, colon, written = text.strip().lower().partition(":")
    if name in WITH_NUMBER:
        number, read, make = WITH_NUMBER[name]
        try:
            number = read(written) if colon else number
        except UsageError as error:
            raise UsageError(f"activation {text!r}: {error}") from error
        if abs(number) > LARGEST:
            raise UsageError(f"activation {text!r}: must be at most {LARGEST:g} in size")
        return make(number)
    if name not in ACTIVATIONS:
        raise UsageError(f"unknown activation {name!r}{similar(name, [*ACTIVATIONS, *WITH_NUMBER])}")
    if colon:
        raise UsageError(f"activation {text!r}: {name} has no number")
    return ACTIVATIONS[name]
