"""The layers at the entrance of a network: what reaches them is the input itself, on its own scale."""

from __future__ import annotations

from typing import TYPE_CHECKING

from initaudit.model.operators import Use

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from initaudit.measuring.layer_audit import LayerAudit
    from initaudit.model.graph import Value

PASSED = (Use.PASS, Use.SUM, Use.SCALE)
"""What may stand between an input and a layer at the entrance: moves, and sums and products with constants."""


def entrance_layers(layers: Sequence[LayerAudit]) -> dict[str, Value]:
    """Layer name -> the input of the model that arrives there with nothing but linear steps on its way, other layers among them."""
    found: dict[str, Value] = {}
    linear: dict[int, LayerAudit] = {}
    for audit in layers:
        layer = audit.layer
        if not layer.kind.is_product:
            continue
        entering = _input_behind(layer.input, linear)
        if entering is not None:
            found[layer.name] = entering
            if layer.activation is None and layer.normalized_by is None:
                linear[id(layer.output)] = audit
    return found


def _input_behind(value: Value | None, linear: Mapping[int, LayerAudit]) -> Value | None:
    while value is not None and not value.is_input:
        if id(value) in linear:
            value = linear[id(value)].layer.input
            continue
        node = value.producer
        if node is None or node.spec.use not in PASSED:
            return None
        data = [v for i, v in enumerate(node.inputs) if v is not None and not v.is_static and node.spec.carries(i)]
        value = data[0] if len(data) == 1 else None
    return value
