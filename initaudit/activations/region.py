"""The elementwise subgraph behind a value: what it computes as a function of one number, and its name."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from initaudit.activations.elementwise import operator_of, scalar
from initaudit.activations.named import Array, Function, Parameters, identify, is_affine

if TYPE_CHECKING:
    from collections.abc import Mapping

    from initaudit.graph import Node, Value

MAX_REGION = 64
"""Elementwise nodes looked at behind one value; the longest decomposition in use (tanh GELU with casts) has under 20."""

_SCALING = frozenset({"Mul", "Div"})
_SHIFTING = frozenset({"Add", "Sub", "Sum"})
_UNARY_IN_FIRST = frozenset({
    "QuantizeLinear", "DequantizeLinear", "QLinearSigmoid", "QLinearLeakyRelu", "CastLike", "Dropout", "BiasGelu", "FastGelu",
})  # fmt: skip
"""Operators that are functions of their first operand; the others are scales, zero points, types, ratios and biases."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Match:
    """A nonlinear elementwise function found in the graph."""

    name: str
    """torch's functional name, or `custom`."""
    parameters: Parameters = field(default_factory=dict)
    """Those off their default."""
    start: Value
    """What enters it."""
    end: Value
    """What leaves it."""
    nodes: frozenset[int]
    """ids of the nodes it is made of."""


class Region:
    """Every node reachable from `start` through elementwise nodes whose other operands are constant."""

    __slots__ = ("_below", "nodes", "start")

    def __init__(self, start: Value) -> None:
        self.start = start
        self.nodes: list[Node] = []
        """In an order in which they can be evaluated."""
        self._below: dict[int, frozenset[int]] = {id(start): frozenset()}
        taken: set[int] = set()
        queue = [start]
        while queue and len(self.nodes) < MAX_REGION:
            for node, _ in queue.pop(0).consumers:
                if id(node) in taken or not self._joins(node):
                    continue
                taken.add(id(node))
                self.nodes.append(node)
                result = node.outputs[0]
                assert result is not None
                below = frozenset().union(*(self._below.get(id(v), frozenset()) for v in node.inputs)) | {id(node)}
                self._below[id(result)] = below
                queue.append(result)

    def _joins(self, node: Node) -> bool:
        if operator_of(node) is None or not node.outputs or node.outputs[0] is None or node.subgraphs:
            return False
        for position, operand in enumerate(node.inputs):
            if operand is None or id(operand) in self._below:
                continue
            if not operand.is_static:
                return False
            if scalar(operand) is None and not _immaterial(node, position):
                return False
        return True

    def values(self) -> list[Value]:
        """Results of the nodes, in order."""
        return [v for n in self.nodes if (v := n.outputs[0]) is not None]

    def nodes_below(self, end: Value) -> frozenset[int]:
        """Which nodes stand between start and `end`, by id."""
        return self._below[id(end)]

    def is_closed(self, end: Value, *, start_too: bool) -> bool:
        """Whether nothing between start and `end` is used elsewhere; `start_too`: nor start itself."""
        inside = self._below[id(end)]
        for value in [self.start, *self.values()]:
            below = self._below[id(value)]
            if value is end or not (value is self.start or (below and below <= inside)):
                continue
            if value is self.start and not start_too:
                continue
            if value.is_output or any(id(n) not in inside and _uses_data(n) for n, _ in value.consumers):
                return False
        return True

    def function(self, end: Value) -> Function:
        """`end` as a function of `start`, elementwise, float64."""
        inside = self._below[id(end)]
        nodes = [n for n in self.nodes if id(n) in inside]

        def evaluate(z: Array) -> Array:
            known: dict[int, Array] = {id(self.start): np.asarray(z, np.float64)}
            with np.errstate(all="ignore"):
                for node in nodes:
                    operator, result = operator_of(node), node.outputs[0]
                    assert operator is not None
                    assert result is not None
                    operands = [_operand(node, v, known) for v in node.inputs]
                    known[id(result)] = operator(node, operands)
            return np.broadcast_to(np.asarray(known[id(end)], np.float64), np.shape(z))

        return evaluate

    def operators(self, end: Value) -> frozenset[str]:
        """op_types between start and `end`."""
        inside = self._below[id(end)]
        return frozenset(n.op_type for n in self.nodes if id(n) in inside)


def _operand(node: Node, value: Value | None, known: Mapping[int, Array]) -> Array | None:
    if value is None:
        return None
    if id(value) in known:
        return known[id(value)]
    number = scalar(value)
    if number is None:
        number = 1.0 if node.op_type in _SCALING else 0.0
    return np.asarray(number)


def _immaterial(node: Node, position: int) -> bool:
    """Whether an operand of unknown value bends nothing: it scales or shifts, or belongs to a quantiser or to the layer."""
    return node.op_type in _SCALING | _SHIFTING or (position > 0 and node.op_type in _UNARY_IN_FIRST)


def _uses_data(node: Node) -> bool:
    return any(v is not None and not v.is_static for v in node.outputs)


def match_activation(value: Value) -> Match | None:
    """The nonlinear elementwise function that `value` goes through next, or None.

    Sought is the longest subgraph that starts at `value`, holds all its uses and has a name; then, behind a scale or
    shift, the same; then the shortest nonlinear subgraph without a name; last, where `value` is used elsewhere too,
    the longest named subgraph among its uses.
    """
    region = Region(value)
    if not region.nodes:
        return None
    closed = [end for end in region.values() if region.is_closed(end, start_too=True)]
    bent = [end for end in closed if not is_affine(region.function(end))]
    for end in reversed(bent):
        found = _named(region, end)
        if found is not None:
            return found
    straight = [end for end in closed if end not in bent]
    if straight:
        further = match_activation(straight[0])
        if further is not None and further.name != "custom":
            return replace(further, nodes=further.nodes | region.nodes_below(straight[0]))
    if bent:
        end = bent[0]
        return Match(name="custom", start=value, end=end, nodes=region.nodes_below(end))
    for end in reversed(region.values()):
        if end not in closed and region.is_closed(end, start_too=False) and not is_affine(region.function(end)):
            found = _named(region, end)
            if found is not None:
                return found
    return None


def _named(region: Region, end: Value) -> Match | None:
    known = identify(region.function(end), region.operators(end))
    if known is None:
        return None
    return Match(name=known[0], parameters=known[1], start=region.start, end=end, nodes=region.nodes_below(end))


def function_between(start: Value, end: Value) -> Function | None:
    """`end` as an elementwise function of `start`, float64; None where the way between them is not elementwise."""
    region = Region(start)
    return region.function(end) if any(v is end for v in region.values()) else None
