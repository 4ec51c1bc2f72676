"""Whether the size of what a layer computes is that of the model's input, which the file does not tell."""

from __future__ import annotations

from typing import TYPE_CHECKING

from initaudit.model.operators import Use

if TYPE_CHECKING:
    from initaudit.judgement.model_audit import ModelAudit
    from initaudit.measuring.layer_audit import LayerAudit


def is_linear_in_the_input(layer: LayerAudit, audit: ModelAudit) -> bool:
    """Whether nothing but moves, pooling and layers without bias or activation stands between a model input and the layer."""
    linear = {
        a.layer.output: a.layer.input
        for a in audit.layers
        if a.layer.kind.is_product and a.bias is None and a.layer.activation is None and a.layer.normalized_by is None
    }
    value = layer.layer.input
    while value is not None and not value.is_input:
        if value in linear:
            value = linear[value]
            continue
        node = value.producer
        if node is None or node.spec.use is not Use.PASS:
            return False
        data = [v for i, v in enumerate(node.inputs) if v is not None and not v.is_static and node.spec.carries(i)]
        value = data[0] if len(data) == 1 else None
    return value is not None and value.graph.owner is None
