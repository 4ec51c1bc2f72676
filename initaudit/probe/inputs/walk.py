"""A value on the way from a graph input, and what can be asked where it arrives at an operator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np

from initaudit.errors import InitauditError
from initaudit.model.operators import AxisMap, Values
from initaudit.model.remembered import once_in_graph

if TYPE_CHECKING:
    from collections.abc import Iterator

    from initaudit.model.graph import Node, Value
    from initaudit.probe.inputs.facts import Facts

Axes: TypeAlias = tuple[int | None, ...] | None
"""For each axis of a value the axis of the input that it is; None where it is none, or where nothing is known."""


SMALL_CONSTANT = 1 << 16
"""Elements of a constant whose values are looked at: shapes, axes, indices."""


KEEPING = (AxisMap.SAME, AxisMap.TRANSPOSE)
"""What an operator does with the axes of a value whose shape is told from what it takes."""


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
    return None if value is None else _shape_of(value)


@once_in_graph
def _shape_of(value: Value) -> tuple[int, ...] | None:
    orders: list[Any] = []
    while value.tensor is None:
        node = value.producer
        source = node.input(0) if node is not None else None
        if node is None or node.spec.values is Values.CHANGED or node.spec.axis_map not in KEEPING:
            break
        if node.spec.axis_map is AxisMap.TRANSPOSE:
            orders.append(node.attr("perm"))
        if source is None:
            return None
        value = source
    shape = value.tensor.shape if value.tensor is not None else _declared(value)
    for order in reversed(orders):
        if shape is None or (order and len(order) != len(shape)):
            return None
        shape = tuple(shape[i] for i in order) if order else shape[::-1]
    return shape


def _declared(value: Value) -> tuple[int, ...] | None:
    dims = value.dims or ()
    sizes = tuple(d for d in dims if isinstance(d, int) and d > 0)
    return sizes if value.dims is not None and len(sizes) == len(dims) else None


def numbers(value: Value | None) -> np.ndarray:
    """Values of a small constant, flat, also behind operators that keep them, or of a Range; empty where it is none."""
    return np.empty(0) if value is None else _numbers_of(value)


@once_in_graph
def _numbers_of(value: Value) -> np.ndarray:
    while value.tensor is None and value.producer is not None:
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
        source = node.input(0)
        if source is None:
            return np.empty(0)
        value = source
    if value.tensor is None or value.tensor.size > SMALL_CONSTANT or not value.tensor.is_real:
        return np.empty(0)
    try:
        return np.asarray(value.tensor.array()).reshape(-1)
    except InitauditError:
        return np.empty(0)


def axes_argument(node: Node) -> list[int] | None:
    """Axes of Squeeze and Unsqueeze, whether attribute or (opset 13) second input; None where they are not constant."""
    given = node.attr("axes") or numbers(node.input(1)).tolist()
    return [int(a) for a in given] or None
