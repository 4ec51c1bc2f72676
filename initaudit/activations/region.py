"""The elementwise subgraph behind a value: what it computes as a function of one number, and its name."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING

import numpy as np

from initaudit.activations.elementwise import operator_of, scalar
from initaudit.activations.named import Function, Parameters, identify, is_affine
from initaudit.model.remembered import once_in_graph

if TYPE_CHECKING:
    from collections.abc import Hashable

    from initaudit.activations.formulas import Array
    from initaudit.model.graph import Node, Value

MAX_REGION = 40
"""Elementwise nodes looked at behind one value; the longest decomposition in use (tanh GELU with casts) has under 20."""

MAX_UNIFORM = 1 << 16
"""Elements up to which a constant is looked through for being one number everywhere. A judgement: looking costs microseconds,
and no activation has a larger operand."""
MAX_SHIFT = 1e3
"""A constant up to this is evidently a shift. A judgement: far beyond it rounding bends what comes out, which only values can tell."""
MAX_KNOWN = 4096
"""Distinct subgraphs remembered; real networks have fewer than a hundred."""

START = 0
"""Number of the value that a function starts from; the expressions behind it count on from there."""
_numbers = count(START + 1)
_meanings: dict[Hashable, int] = {}
"""Number of each expression met: an operator with its attributes, applied to numbered expressions and constants."""

_SCALING = frozenset({"Mul", "Div"})
_CHOOSING = frozenset({"Where", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Equal", "And", "Or", "Xor", "Pow"})
"""Operators that a constant of several values makes a different function for each element: a mask, no activation."""
_SHIFTING = frozenset({"Add", "Sub", "Sum"})


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

    __slots__ = ("_below", "_constants", "_meaning", "_shifted", "_uses", "nodes", "start")

    def __init__(self, start: Value) -> None:
        self.start = start
        self.nodes: list[Node] = []
        """In an order in which they can be evaluated."""
        self._below: dict[int, frozenset[int]] = {id(start): frozenset()}
        self._constants: dict[int, float] = {}
        self._meaning: dict[int, int] = {id(start): START}
        self._shifted = {id(start)}
        """By id: start and what is start plus or minus constants."""
        self._uses: dict[int, frozenset[int]] = {}
        """By id of start and each result: its uses that give data, by id of the node."""
        taken: set[int] = set()
        queue = [start]
        while queue and len(self.nodes) < MAX_REGION:
            for node, _ in queue.pop(0).consumers:
                if len(self.nodes) == MAX_REGION:
                    break
                if id(node) in taken or not self._joins(node):
                    continue
                taken.add(id(node))
                self.nodes.append(node)
                result = node.outputs[0]
                assert result is not None
                below = frozenset().union(*(self._below.get(id(v), frozenset()) for v in node.inputs)) | {id(node)}
                self._below[id(result)] = below
                self._meaning[id(result)] = self._meaning_of(node)
                if self._shifts(node):
                    self._shifted.add(id(result))
                queue.append(result)

    def _joins(self, node: Node) -> bool:
        if operator_of(node) is None or not node.outputs or node.outputs[0] is None or node.subgraphs:
            return False
        for position, operand in enumerate(node.inputs):
            if operand is None or id(operand) in self._below:
                continue
            if not operand.is_static or (node.op_type in _CHOOSING and not _is_uniform(operand)):
                return False
            if id(operand) not in self._constants:
                number = _number(operand)
                if number is None and not _immaterial(node, position):
                    return False
                self._constants[id(operand)] = _neutral(node) if number is None else number
        return True

    def _shifts(self, node: Node) -> bool:
        first, second = (node.input(i) for i in (0, 1))
        return (
            node.op_type in ("Add", "Sub")
            and node.is_standard
            and id(first) in self._shifted
            and abs(self._constants.get(id(second), np.inf)) <= MAX_SHIFT
        )

    def is_shift(self, end: Value) -> bool:
        """Whether the way to `end` is evidently straight: biases, of which there may be thousands in a row."""
        return id(end) in self._shifted

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
            if value.is_output or not self._uses_of(value) <= inside:
                return False
        return True

    def _uses_of(self, value: Value) -> frozenset[int]:
        uses = self._uses.get(id(value))
        if uses is None:
            uses = self._uses[id(value)] = frozenset(id(n) for n, _ in value.consumers if _uses_data(n))
        return uses

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
                    operands = [
                        None if v is None else known[id(v)] if id(v) in known else np.asarray(self._constants[id(v)])
                        for v in node.inputs
                    ]
                    known[id(result)] = operator(node, operands)
            return np.broadcast_to(np.asarray(known[id(end)], np.float64), np.shape(z))

        return evaluate

    def meaning(self, end: Value) -> int:
        """Equal for values that are the same function of start: same operators, attributes and constants, joined alike."""
        return self._meaning[id(end)]

    def _meaning_of(self, node: Node) -> int:
        operands = tuple(self._operand_meaning(v) for v in node.inputs)
        attributes = tuple(sorted((k, a.SerializeToString()) for k, a in node.attributes.items()))
        key = (node.domain, node.op_type, attributes, operands)
        if len(_meanings) >= MAX_KNOWN:
            _meanings.clear()
        return _meanings.setdefault(key, next(_numbers))

    def _operand_meaning(self, value: Value | None) -> Hashable:
        if value is None or id(value) in self._meaning:
            return None if value is None else self._meaning[id(value)]
        return self._constants[id(value)], value.tensor.dtype if value.tensor is not None else None

    def operators(self, end: Value) -> frozenset[str]:
        """Which op_types stand between start and `end`."""
        inside = self._below[id(end)]
        return frozenset(n.op_type for n in self.nodes if id(n) in inside)


@once_in_graph
def _number(value: Value) -> float | None:
    return scalar(value)


def _neutral(node: Node) -> float:
    """Stands for a factor or summand of unknown value, such as one made from shapes."""
    return 1.0 if node.op_type in _SCALING else 0.0


@once_in_graph
def _is_uniform(value: Value) -> bool:
    """Whether a constant is the same for each element, as far as it is stored."""
    tensor = value.tensor
    if tensor is None or tensor.size <= 1:
        return True
    if tensor.size > MAX_UNIFORM or not tensor.is_real:
        return False
    values = tensor.array().reshape(-1)
    return bool((values == values[0]).all())


def _immaterial(node: Node, position: int) -> bool:
    """Whether an operand of unknown value bends nothing: it scales or shifts, or belongs to a quantiser or to the layer."""
    return node.op_type in _SCALING | _SHIFTING or not node.spec.carries(position)


def _uses_data(node: Node) -> bool:
    return any(v is not None and not v.is_static for v in node.outputs)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kind:
    """What an elementwise subgraph computes."""

    affine: bool
    name: str | None
    parameters: Parameters


_known: dict[int, _Kind] = {}
"""By meaning: a network repeats the same few subgraphs behind each layer."""


def _kind(region: Region, end: Value) -> _Kind:
    meaning = region.meaning(end)
    kind = _known.get(meaning)
    if kind is None:
        function = region.function(end)
        affine = is_affine(function)
        found = None if affine else identify(function, region.operators(end))
        kind = _Kind(affine=affine, name=found[0] if found else None, parameters=found[1] if found else {})
        if len(_known) >= MAX_KNOWN:
            _known.clear()
        _known[meaning] = kind
    return kind


@once_in_graph
def match_activations(value: Value) -> list[Match]:
    """The nonlinear elementwise functions that `value` goes through next; more than one where it is used several times.

    Sought is the longest subgraph that starts at `value`, holds all its uses and has a name. Failing that, a scale or
    shift is left to the walk, which comes back behind it; then the shortest nonlinear subgraph without a name; last,
    where `value` is used elsewhere too, the longest named subgraphs among its uses.
    """
    region = Region(value)
    bent = [end for end in reversed(region.values()) if not region.is_shift(end)]
    for end in bent:
        if region.is_closed(end, start_too=True) and (kind := _kind(region, end)).name is not None:
            return [_match(region, end, kind)]
    shortest = next((end for end in region.values() if region.is_closed(end, start_too=True)), None)
    if shortest is not None:
        if region.is_shift(shortest) or (kind := _kind(region, shortest)).affine:
            return []
        return [_match(region, shortest, kind)]
    found: list[Match] = []
    for end in bent:
        if region.is_closed(end, start_too=False) and not any(region.nodes_below(end) & m.nodes for m in found):
            kind = _kind(region, end)
            if kind.name is not None:
                found.append(_match(region, end, kind))
    return found[::-1]


def _match(region: Region, end: Value, kind: _Kind) -> Match:
    return Match(
        name=kind.name or "custom",
        parameters=kind.parameters,
        start=region.start,
        end=end,
        nodes=region.nodes_below(end),
    )


def function_between(start: Value, end: Value) -> Function | None:
    """`end` as an elementwise function of `start`, float64; None where the way between them is not elementwise."""
    region = Region(start)
    return region.function(end) if any(v is end for v in region.values()) else None
