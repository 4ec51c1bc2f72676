"""A value on the way from a graph input, and what can be asked where it arrives at an operator."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np

from initaudit.errors import InitauditError
from initaudit.model.operators import AxisMap, Values

if TYPE_CHECKING:
    from collections.abc import Iterator

    from initaudit.model.graph import Node, Value
    from initaudit.probe.inputs.facts import Facts

Axes: TypeAlias = tuple[int | None, ...] | None
"""For each axis of a value the axis of the input that it is; None where it is none, or where nothing is known."""


SMALL_CONSTANT = 1 << 16
"""Elements of a constant whose values are looked at: shapes, axes, indices."""


class Step(NamedTuple):
    """A value on the way."""

    value: Value
    axes: Axes
    offset: int | None
    """What was added to the input's own values; None once they are no longer the input's."""


class Visit(NamedTuple):
    """A value arrives at an operator."""

    node: Node
    position: int
    """Which input of the operator it is."""
    axes: Axes
    offset: int | None
    facts: Facts

    @property
    def raw(self) -> bool:
        """Whether the values are still those of the input."""
        return self.offset is not None

    def shape(self, position: int) -> tuple[int, ...] | None:
        """Static shape of another input of the operator."""
        return static_shape(self.node.input(position))

    def out(self, axes: Axes, offset: int | None = None) -> Iterator[Step]:
        """On to the first output."""
        if self.node.outputs and self.node.outputs[0] is not None:
            yield Step(self.node.outputs[0], axes, offset)


def static_shape(value: Value | None) -> tuple[int, ...] | None:
    """Shape of a constant, also behind Identity, Cast, DequantizeLinear and Transpose; or a declared static shape."""
    while value is not None:
        if value.tensor is not None:
            return value.tensor.shape
        node = value.producer
        if (
            node is None
            or node.spec.values is Values.CHANGED
            or node.spec.axis_map not in (AxisMap.SAME, AxisMap.TRANSPOSE)
        ):
            break
        if node.spec.axis_map is AxisMap.TRANSPOSE:
            shape = static_shape(node.input(0))
            if shape is None:
                return None
            order = node.attr("perm") or list(range(len(shape)))[::-1]
            return tuple(shape[i] for i in order) if len(order) == len(shape) else None
        value = node.input(0)
    if value is None or value.dims is None:
        return None
    sizes = tuple(d for d in value.dims if isinstance(d, int) and d > 0)
    return sizes if len(sizes) == len(value.dims) else None


def numbers(value: Value | None) -> np.ndarray:
    """Values of a small constant, flat, also behind operators that keep them, or of a Range; empty where it is none."""
    while value is not None and value.tensor is None and value.producer is not None:
        node = value.producer
        if node.op_type == "Range" and node.is_standard:
            ends = [numbers(node.input(i)) for i in range(3)]
            return (
                np.arange(*(end[0] for end in ends))[:SMALL_CONSTANT]
                if all(end.size == 1 for end in ends)
                else np.empty(0)
            )
        if not node.spec.only_moves or node.spec.values is not Values.KEPT or node.spec.axis_map is AxisMap.TRANSPOSE:
            return np.empty(0)
        value = node.input(0)
    if value is None or value.tensor is None or value.tensor.size > SMALL_CONSTANT or value.tensor.dtype == "string":
        return np.empty(0)
    try:
        return np.asarray(value.tensor.array()).reshape(-1)
    except InitauditError:
        return np.empty(0)


def axes_argument(node: Node) -> list[int] | None:
    """Axes of Squeeze and Unsqueeze, whether attribute or (opset 13) second input; None where they are not constant."""
    given = node.attr("axes") or numbers(node.input(1)).tolist()
    return [int(a) for a in given] or None
