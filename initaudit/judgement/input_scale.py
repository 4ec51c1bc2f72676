"""Whether the size of what a layer computes is that of the model's input, which the file does not tell."""

from __future__ import annotations

from typing import TYPE_CHECKING

from initaudit.judgement.model_audit import once_per_audit
from initaudit.model.operators import Use
from initaudit.model.walks import chain_end, source_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from initaudit.judgement.model_audit import ModelAudit
    from initaudit.measuring.layer_audit import LayerAudit
    from initaudit.model.graph import Value


def is_linear_in_the_input(layer: LayerAudit, audit: ModelAudit) -> bool:
    """Whether nothing but moves, pooling and layers without bias or activation stands between a model input and the layer."""
    if layer.layer.input is None:
        return False
    value = chain_end(layer.layer.input, lambda v: _made_from(v, _linear(audit)), _known(audit))
    return value.is_input and value.graph.owner is None


def _made_from(value: Value, linear: Mapping[Value, Value | None]) -> Value | None:
    """What one such step makes the value of, where that is one."""
    if value.is_input or value in linear:
        return linear.get(value)
    return source_of(value, (Use.PASS,))


@once_per_audit
def _linear(audit: ModelAudit) -> dict[Value, Value | None]:
    """Input by output of each layer without bias or activation."""
    return {
        a.layer.output: a.layer.input
        for a in audit.layers
        if a.layer.output is not None
        and a.layer.kind.is_product
        and a.bias is None
        and a.layer.activation is None
        and a.layer.normalized_by is None
    }


@once_per_audit
def _known(audit: ModelAudit) -> dict[Value, Value]:
    """Where the chains end that were followed."""
    return {}
