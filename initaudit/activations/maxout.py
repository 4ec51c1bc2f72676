"""Maxout written out: the largest of several units, over an axis that a Reshape split off them (Goodfellow et al. 2013)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from initaudit.activations.reductions import axes_of

if TYPE_CHECKING:
    from initaudit.model.graph import Node, Value


def takes_largest(node: Node, value: Value) -> bool:
    """Whether `node` takes the maximum of `value` over an axis that a Reshape split off the units: maxout, no pooling."""
    before = value.producer
    if node.op_type != "ReduceMax" or before is None or before.op_type != "Reshape":
        return False
    source, shape = before.input(0), before.input(1)
    if source is None or shape is None or shape.tensor is None:
        return False
    axes, rank = axes_of(node), shape.tensor.size
    return (
        rank - 1 == _rank(source) and axes is not None and len(axes) == 1 and axes[0] % rank in (1, rank - 1, rank - 2)
    )


def _rank(value: Value) -> int | None:
    """Number of axes, where the file or the operator says it."""
    if value.dims is not None:
        return len(value.dims)
    return 2 if value.producer is not None and value.producer.op_type == "Gemm" else None
