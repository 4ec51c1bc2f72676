"""Whether a BatchNormalization ever saw data: the running statistics in the file tell."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from initaudit.extraction.layer import Layer


def never_updated(layer: Layer) -> bool:
    """Whether the layer is a BatchNormalization whose stored running mean is 0 and variance 1 in every channel."""
    node = layer.node
    if node.op_type != "BatchNormalization":
        return False
    mean, variance = (v.tensor if v is not None else None for v in (node.input(3), node.input(4)))
    if mean is None or variance is None or not mean.size:
        return False
    return not mean.array().any() and bool((variance.array() == 1).all())
