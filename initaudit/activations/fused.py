"""Activations that an operator applies to its own product, as onnxruntime's optimiser and quantiser fuse them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from initaudit.activations import formulas
from initaudit.activations.elementwise import cuts_below_zero
from initaudit.activations.named import closed_form, identify
from initaudit.activations.roles import LAYERS

if TYPE_CHECKING:
    from initaudit.activations.named import Function, Parameters
    from initaudit.model.graph import Node, Value

_FUSED: dict[str, tuple[str, dict[str, float]]] = {
    "Relu": ("relu", {}),
    "LeakyRelu": ("leaky_relu", {"negative_slope": formulas.LEAKY_SLOPE}),
    "Elu": ("elu", {"alpha": 1.0}),
    "Sigmoid": ("sigmoid", {}),
    "Tanh": ("tanh", {}),
    "Softplus": ("softplus", {}),
    "Softsign": ("softsign", {}),
    "HardSigmoid": ("hardsigmoid", {"alpha": formulas.ONNX_HARDSIGMOID_SLOPE, "beta": 0.5}),
    "HardSwish": ("hardswish", {}),
    "Clip": ("hardtanh", {"min_val": -math.inf, "max_val": math.inf}),
    "Gelu": ("gelu", {}),
    "FastGelu": ("gelu_tanh", {}),
    "QuickGelu": ("silu", {"beta": formulas.QUICK_GELU_SLOPE}),
    "Silu": ("silu", {}),
}
"""By the value of the attribute `activation`: name, and parameters in their order with the defaults of the ONNX operator."""

_OUTPUT_ZERO_POINT = {"QLinearConv": 7, "QLinearMatMul": 7, "QGemm": 8}
"""Input that holds the zero point of the output, by operator (schemas of ONNX and onnxruntime)."""
_RESIDUAL_INPUT = {"FusedConv": 3, "NhwcFusedConv": 3}
"""Input that is added before the activation, by operator (schemas of onnxruntime)."""


def fused_activation(value: Value) -> tuple[str, Parameters] | None:
    """Name and parameters of the activation inside the operator that gives `value`; None where there is none."""
    node = value.producer
    if node is None or node.op_type not in LAYERS:
        return None
    if node.op_type == "GemmFastGelu":
        return "gelu_tanh", {}
    position = _OUTPUT_ZERO_POINT.get(node.op_type)
    if position is not None:
        return ("relu", {}) if cuts_below_zero(node.input(position)) else None
    name = node.attr("activation")
    if not isinstance(name, str) or name not in _FUSED:
        return None
    return identify(_function(node, name), frozenset({name}))


def adds_residual(value: Value) -> bool:
    """Whether the operator that gives `value` adds another signal before its activation (FusedConv with Z)."""
    node = value.producer
    return node is not None and node.input(_RESIDUAL_INPUT.get(node.op_type, len(node.inputs))) is not None


def _function(node: Node, operator: str) -> Function:
    name, defaults = _FUSED[operator]
    given = [float(p) for p in node.attr("activation_params", [])]
    attributes = ("activation_alpha", "activation_beta")  # FusedGemm; FusedConv has a list
    parameters = {
        key: given[i] if i < len(given) else float(node.attr(attributes[i], default))
        for i, (key, default) in enumerate(defaults.items())
    }
    function = closed_form(name, parameters)
    assert function is not None
    return function
