"""Activations that an operator applies to its own product, as onnxruntime's optimiser and quantiser fuse them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from initaudit.activations.elementwise import cuts_below_zero
from initaudit.activations.named import closed_form, identify
from initaudit.model.operators import Use

if TYPE_CHECKING:
    from initaudit.activations.named import Function, Parameters
    from initaudit.model.graph import Node, Value

_FUSED: dict[str, tuple[str, dict[str, float]]] = {
    "Relu": ("relu", {}),
    "LeakyRelu": ("leaky_relu", {"negative_slope": 0.01}),
    "Elu": ("elu", {"alpha": 1.0}),
    "Sigmoid": ("sigmoid", {}),
    "Tanh": ("tanh", {}),
    "Softplus": ("softplus", {}),
    "Softsign": ("softsign", {}),
    "HardSigmoid": ("hardsigmoid", {"alpha": 0.2, "beta": 0.5}),
    "HardSwish": ("hardswish", {}),
    "Clip": ("hardtanh", {"min_val": -math.inf, "max_val": math.inf}),
    "Gelu": ("gelu", {}),
    "FastGelu": ("gelu_tanh", {}),
    "QuickGelu": ("silu", {"beta": 1.702}),
    "Silu": ("silu", {}),
}
"""By the value of the attribute `activation`: name, and parameters in their order with the defaults of the ONNX operator."""


def fused_activation(value: Value) -> tuple[str, Parameters] | None:
    """Name and parameters of the activation inside the operator that gives `value`; None where there is none."""
    node = value.producer
    if node is None or node.spec.use is not Use.PRODUCT:
        return None
    if node.op_type == "GemmFastGelu":
        return "gelu_tanh", {}
    position = node.spec.output_zero_point
    if position is not None:
        return ("relu", {}) if cuts_below_zero(node.input(position)) else None
    name = node.attr("activation")
    if not isinstance(name, str) or name not in _FUSED:
        return None
    return identify(_function(node, name), frozenset({name}))


def adds_residual(value: Value) -> bool:
    """Whether the operator that gives `value` adds another signal to its product, before its activation."""
    node = value.producer
    if node is None or node.spec.addend is None:
        return False
    added = node.input(node.spec.addend)
    return added is not None and not added.is_static


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
