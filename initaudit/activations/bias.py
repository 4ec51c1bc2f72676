"""The constant vector that is added to a product before anything else happens to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from initaudit.activations.roles import is_scale

if TYPE_CHECKING:
    from initaudit.model.graph import Value
    from initaudit.model.tensors import Tensor

MAX_STEPS = 6
"""Casts, quantisers and reshapes between a product and its bias. A judgement: a quantised export has four."""


def with_bias(value: Value) -> tuple[Value, Tensor | None]:
    """The value after a constant vector is added to it, and that vector; casts and rescaling may stand between."""
    current, steps = value, 0
    while steps < MAX_STEPS and not current.is_output:
        data = [(n, i) for n, i in current.consumers if any(o is not None and not o.is_static for o in n.outputs)]
        if len(data) != 1:
            break
        node, position = data[0]
        result = node.outputs[0]
        if result is None:
            break
        if node.op_type in ("Add", "Sub") and node.is_standard and (node.op_type == "Add" or position == 0):
            other = node.input(1 - position)
            tensor = _vector(other) if other is not None and other.is_static else None
            return (result, tensor) if tensor is not None else (value, None)
        if not node.spec.only_moves and not (node.op_type == "Mul" and is_scale(node, current)):
            break
        current, steps = result, steps + 1
    return value, None


def _vector(value: Value) -> Tensor | None:
    """The stored tensor of a constant that has more than one element along at most one axis."""
    steps = 0
    while value.tensor is None and steps < 8:
        source = value.producer.input(0) if value.producer is not None and value.producer.inputs else None
        if source is None:
            return None
        value, steps = source, steps + 1
    tensor = value.tensor
    if tensor is None or not tensor.shape or sum(n > 1 for n in tensor.shape) > 1:
        return None
    return tensor
