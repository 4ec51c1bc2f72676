"""Activations that an operator applies to its own product, as onnxruntime's optimiser and quantiser fuse them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from onnx import helper

from initaudit.activations.elementwise import CONTRIB_OPERATORS, OPERATORS, cuts_below_zero
from initaudit.activations.named import identify
from initaudit.model.graph import Node
from initaudit.model.operators import Use

if TYPE_CHECKING:
    from initaudit.activations.named import Function, Parameters
    from initaudit.model.graph import Value

_PARAMETERS: dict[str, tuple[str, ...]] = {
    "LeakyRelu": ("alpha",),
    "Elu": ("alpha",),
    "HardSigmoid": ("alpha", "beta"),
    "Clip": ("min", "max"),
    "QuickGelu": ("alpha",),
}
"""Attributes of the activation's own operator, in the order in which a fused one lists their values."""
_ALIASES = {"Silu": "Swish"}
_SINGLE = ("activation_alpha", "activation_beta")
"""How FusedGemm names them; FusedConv has a list, `activation_params`."""


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
    function = _function(node, _ALIASES.get(name, name)) if isinstance(name, str) else None
    return None if function is None else identify(function, frozenset({name}))


def adds_residual(node: Node) -> bool:
    """Whether the operator adds another signal to its product, before its activation."""
    added = node.input(node.spec.addend) if node.spec.addend is not None else None
    return added is not None and not added.is_static


def _function(node: Node, operator: str) -> Function | None:
    """What the operator of that name computes with the parameters that the fused `node` gives; None where none has the name."""
    compute = OPERATORS.get(operator) or CONTRIB_OPERATORS.get(operator)
    if compute is None:
        return None
    listed = [float(p) for p in node.attr("activation_params", [])]
    given: dict[str, Any] = {}
    for index, attribute in enumerate(_PARAMETERS.get(operator, ())):
        value = listed[index] if index < len(listed) else node.attr(_SINGLE[index])
        if value is not None:
            given[attribute] = float(value)
    proto = helper.make_node(operator, ["z"], ["y"], **given)
    alone = Node(proto, node.graph, "", {a.name: a for a in proto.attribute})
    return lambda z: compute(alone, [z])
