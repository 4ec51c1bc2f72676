"""Elementwise operators in float64, and the value of what is constant: enough to evaluate an activation's subgraph.

A quantise/dequantise pair is taken as exact, except that a QuantizeLinear whose zero point is the smallest code cuts
off everything below zero: quantisers fold a ReLU into it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from onnx import TensorProto

from initaudit.activations import formulas
from initaudit.errors import InitauditError
from initaudit.model.operators import AxisMap
from initaudit.model.tensors import tensor_from_proto

if TYPE_CHECKING:
    from initaudit.activations.formulas import Array
    from initaudit.model.graph import Node, Value

MAX_VALUES = 4096
"""Values of a constant operand that its mean is taken over; a slope or scale per channel has fewer. A judgement."""
MAX_STATIC_STEPS = 64
"""Nodes that may stand between a stored tensor and a constant operand of an activation; real ones have under ten."""

Operator: TypeAlias = Callable[["Node", Sequence[Any]], Any]
"""Result of a node, given its operands as numbers or arrays (None where omitted)."""


def _unary(function: Callable[[Array], Array]) -> Operator:
    return lambda _, x: function(x[0])


def _binary(function: Callable[[Array, Array], Array]) -> Operator:
    def apply(_: Node, x: Sequence[Any]) -> Any:
        result = x[0]
        for other in x[1:]:
            result = function(result, other)
        return result

    return apply


def _clip(node: Node, x: Sequence[Any]) -> Any:
    low = x[1] if len(x) > 1 and x[1] is not None else node.attr("min", -np.inf)
    high = x[2] if len(x) > 2 and x[2] is not None else node.attr("max", np.inf)
    return np.minimum(np.maximum(x[0], low), high)


def _gelu(node: Node, x: Sequence[Any]) -> Any:
    return formulas.gelu_tanh(x[0]) if node.attr("approximate", "none") == "tanh" else formulas.gelu(x[0])


def _selu(node: Node, x: Sequence[Any]) -> Any:
    scale, alpha = node.attr("gamma", formulas.SELU_SCALE), node.attr("alpha", formulas.SELU_ALPHA)
    return scale * formulas.elu(x[0], alpha)


def _shrink(node: Node, x: Sequence[Any]) -> Array:
    lambd, bias, z = node.attr("lambd", 0.5), node.attr("bias", 0.0), x[0]
    return np.where(z < -lambd, z + bias, np.where(z > lambd, z - bias, 0.0))


def _cast(node: Node, x: Sequence[Any]) -> Array:
    return np.asarray(x[0] != 0 if node.attr("to") == TensorProto.BOOL else x[0], np.float64)


def cuts_below_zero(zero_point: Value | None) -> bool:
    """Whether a quantiser with this zero point has no codes for negative values: the quantiser's way to fold a ReLU."""
    if (
        zero_point is None
        or zero_point.tensor is None
        or zero_point.tensor.dtype not in ("int8", "uint8", "int16", "uint16")
    ):
        return False
    codes = zero_point.tensor.array()
    return bool(codes.size) and bool(np.all(codes == np.iinfo(codes.dtype).min))


def _quantize(node: Node, x: Sequence[Any]) -> Any:
    return np.maximum(x[0], 0.0) if cuts_below_zero(node.input(2)) else x[0]


def _dequantize(node: Node, x: Sequence[Any]) -> Any:
    source = node.input(0)
    if source is not None and not source.is_static:
        return x[0]
    zero_point = x[2] if len(x) > 2 and x[2] is not None else 0.0
    return (x[0] - zero_point) * x[1]


def _identity(_: Node, x: Sequence[Any]) -> Any:
    return x[0]


OPERATORS: dict[str, Operator] = {
    "Relu": _unary(lambda z: np.maximum(z, 0.0)),
    "Sigmoid": _unary(formulas.sigmoid),
    "Tanh": _unary(np.tanh),
    "Erf": _unary(formulas.erf),
    "Exp": _unary(np.exp),
    "Log": _unary(np.log),
    "Sqrt": _unary(np.sqrt),
    "Reciprocal": _unary(lambda z: 1.0 / z),
    "Neg": _unary(np.negative),
    "Abs": _unary(np.abs),
    "Sign": _unary(np.sign),
    "Floor": _unary(np.floor),
    "Ceil": _unary(np.ceil),
    "Round": _unary(np.round),
    "Sin": _unary(np.sin),
    "Cos": _unary(np.cos),
    "Tan": _unary(np.tan),
    "Asin": _unary(np.arcsin),
    "Acos": _unary(np.arccos),
    "Atan": _unary(np.arctan),
    "Sinh": _unary(np.sinh),
    "Cosh": _unary(np.cosh),
    "Asinh": _unary(np.arcsinh),
    "Acosh": _unary(np.arccosh),
    "Atanh": _unary(np.arctanh),
    "Not": _unary(np.logical_not),
    "Softplus": _unary(formulas.softplus),
    "Softsign": _unary(lambda z: z / (1.0 + np.abs(z))),
    "Mish": _unary(lambda z: z * np.tanh(formulas.softplus(z))),
    "HardSwish": _unary(lambda z: z * formulas.hardsigmoid(z)),
    "Elu": lambda n, x: formulas.elu(x[0], n.attr("alpha", 1.0)),
    "Celu": lambda n, x: formulas.celu(x[0], n.attr("alpha", 1.0)),
    "Selu": _selu,
    "LeakyRelu": lambda n, x: formulas.leaky_relu(x[0], n.attr("alpha", formulas.LEAKY_SLOPE)),
    "PRelu": lambda _, x: np.where(x[0] >= 0, x[0], x[1] * x[0]),
    "ThresholdedRelu": lambda n, x: formulas.threshold(x[0], n.attr("alpha", 1.0)),
    "Shrink": _shrink,
    "HardSigmoid": lambda n, x: formulas.hardsigmoid(
        x[0], n.attr("alpha", formulas.ONNX_HARDSIGMOID_SLOPE), n.attr("beta", 0.5)
    ),
    "Gelu": _gelu,
    "Swish": lambda n, x: formulas.silu(x[0], n.attr("alpha", 1.0)),
    "Clip": _clip,
    "Identity": _identity,
    "Dropout": _identity,
    "Cast": _cast,
    "CastLike": _identity,
    "QuantizeLinear": _quantize,
    "DequantizeLinear": _dequantize,
    "Add": _binary(np.add),
    "Sub": _binary(np.subtract),
    "Mul": _binary(np.multiply),
    "Div": _binary(np.divide),
    "Pow": _binary(np.power),
    "Max": _binary(np.maximum),
    "Min": _binary(np.minimum),
    "Sum": _binary(np.add),
    "Mean": lambda _, x: sum(x) / len(x),
    "Greater": _binary(np.greater),
    "GreaterOrEqual": _binary(np.greater_equal),
    "Less": _binary(np.less),
    "LessOrEqual": _binary(np.less_equal),
    "Equal": _binary(np.equal),
    "And": _binary(np.logical_and),
    "Or": _binary(np.logical_or),
    "Xor": _binary(np.logical_xor),
    "Where": lambda _, x: np.where(x[0], x[1], x[2]),
}
"""Of the default domain."""

CONTRIB_OPERATORS: dict[str, Operator] = {
    "Gelu": _unary(formulas.gelu),
    "BiasGelu": _unary(formulas.gelu),
    "FastGelu": _unary(formulas.gelu_tanh),
    "QuickGelu": lambda n, x: formulas.silu(x[0], n.attr("alpha", formulas.QUICK_GELU_SLOPE)),
    "QLinearSigmoid": _unary(formulas.sigmoid),
    "QLinearLeakyRelu": lambda n, x: formulas.leaky_relu(x[0], n.attr("alpha", formulas.LEAKY_SLOPE)),
    "QuantizeLinear": _quantize,
    "DequantizeLinear": _dequantize,
}
"""Of com.microsoft (onnxruntime); the operand BiasGelu and FastGelu add is the layer's bias, no part of the function."""


def operator_of(node: Node) -> Operator | None:
    """How to evaluate an elementwise node, or None where it is not elementwise (or not known)."""
    if node.is_standard:
        return OPERATORS.get(node.op_type)
    return CONTRIB_OPERATORS.get(node.op_type) if node.domain == "com.microsoft" else None


def scalar(value: Value, budget: int = MAX_STATIC_STEPS) -> float | None:  # noqa: PLR0911  each way to know a number, or that it is unknown
    """A constant operand as one number: the mean where it holds several (slopes, biases); None where it is unknown."""
    if value.tensor is not None:
        if not value.tensor.size or not value.tensor.is_real:
            return None
        try:
            number = float(np.mean(np.asarray(value.tensor.array().reshape(-1)[:MAX_VALUES], np.float64)))
        except (InitauditError, TypeError, ValueError):
            return None
        return number if np.isfinite(number) else None
    node = value.producer
    if node is None or not value.is_static or budget <= 0:
        return None
    if operator_of(node) is None and (node.spec.only_moves or node.spec.axis_map in (AxisMap.EXPAND, AxisMap.TILE)):
        source = node.input(0)
        return scalar(source, budget - 1) if source is not None else None
    if node.op_type == "ConstantOfShape":
        return _fill(node)
    operator = operator_of(node)
    if operator is None:
        return None
    operands: list[Any] = []
    for operand in node.inputs:
        known = None if operand is None else scalar(operand, budget // 2)
        if known is None and operand is not None:
            return None
        operands.append(None if known is None else np.float64(known))
    with np.errstate(all="ignore"):
        result = float(operator(node, operands))
    return result if np.isfinite(result) else None


def _fill(node: Node) -> float | None:
    """What a ConstantOfShape holds everywhere; None where the file does not say it itself."""
    attribute = node.attributes.get("value")
    if attribute is None:
        return 0.0
    try:
        return float(tensor_from_proto(attribute.t, name="value", folder=None).array().reshape(-1)[0])
    except (InitauditError, IndexError, TypeError, ValueError):
        return None
