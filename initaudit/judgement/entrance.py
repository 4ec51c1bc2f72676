"""The layers at the entrance of a network: what reaches them is the input itself, on its own scale."""

from __future__ import annotations

from typing import TYPE_CHECKING

from initaudit.model.operators import Use
from initaudit.model.walks import chain_end, source_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from initaudit.measuring.layer_audit import LayerAudit
    from initaudit.model.graph import Value

PASSED = (Use.PASS, Use.SUM, Use.SCALE)
"""What may stand between an input and a layer at the entrance: moves, and sums and products with constants."""


def entrance_layers(layers: Sequence[LayerAudit]) -> dict[str, Value]:
    """Layer name -> the input of the model that arrives there with nothing but linear steps on its way, other layers among them."""
    found: dict[str, Value] = {}
    before: dict[Value, Value] = {}
    known: dict[Value, Value] = {}

    def back(value: Value) -> Value | None:
        return None if value.is_input else before.get(value) or source_of(value, PASSED)

    for audit in layers:
        layer = audit.layer
        if not layer.kind.is_product:
            continue
        entering = None if layer.input is None else chain_end(layer.input, back, known)
        if entering is not None and entering.is_input:
            found[layer.name] = entering
            if layer.activation is None and layer.normalized_by is None and layer.output is not None:
                before[layer.output] = entering
    return found
