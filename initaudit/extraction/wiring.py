"""Which layers feed which: the network with nothing in it but its layers, the places where their signals meet, its inputs and its outputs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import TYPE_CHECKING, Literal

from initaudit.model.operators import Use

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from initaudit.extraction.layer import Layer
    from initaudit.model.graph import Graph, Node, Value

DECISIONS = frozenset(
    ["Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "And", "Or", "Xor", "Not", "IsNaN", "IsInf"]
)
"""Operators whose answer is yes or no: what is chosen by it carries the signal, the answer does not."""
WHOLLY_CARRIED = frozenset({Use.PRODUCT, Use.RECURRENT, Use.ATTENTION, Use.OTHER})
"""Uses in which every operand may carry a signal: the other factor, initial states, keys and values, whatever an unknown operator reads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One place of the network."""

    kind: Literal["input", "layer", "join", "output"]
    """A join is an operator without a weight at which the signals of several places meet: the sum of a skip connection, a gate, a concatenation."""
    name: str
    """Of the node, or of the graph's input or output."""
    op_type: str | None = None
    """Of layers and joins."""
    layers: tuple[str, ...] = ()
    """Names of the layers that the node holds: gates of a recurrent node, parts of a packed projection."""
    inside: tuple[str, ...] = ()
    """Bodies of If, Loop and Scan that it stands in, outermost first."""
    reads: tuple[int, ...] = ()
    """Positions of the places whose signal arrives here with none between, in the order in which the node reads them."""


def wiring(graph: Graph, layers: Iterable[Layer]) -> tuple[Place, ...]:
    """The places of the network, each behind what it reads.

    A signal passes through bodies of If, Loop and Scan once, as if a loop ran one time. Inputs that only join what layers made
    (attention masks, positions) are left out. Time is linear in the size of the graph.
    """
    owned: dict[Node, list[str]] = {}
    for layer in layers:
        owned.setdefault(layer.node, []).append(layer.name)
    return _renumbered(_without_masks(_Tracing(owned).places(graph)))


class _Tracing:
    """Walks the graph once and remembers of each value from which place its signal comes; one at most, since two meet in a join."""

    def __init__(self, owned: Mapping[Node, Sequence[str]]) -> None:
        self._owned = owned
        self._found: list[Place] = []
        self._source: dict[Value, int] = {}
        self._inside: dict[Graph, tuple[str, ...]] = {}

    def places(self, graph: Graph) -> list[Place]:
        self._inside[graph] = ()
        for value in graph.inputs:
            if value.is_input:
                self._source[value] = self._add(Place(kind="input", name=value.name))
        for node, is_left in _visits(graph):
            if is_left:
                self._leave(node)
            elif node.subgraphs:
                self._enter(node)
            else:
                self._visit(node)
        for value in graph.outputs:
            reads = self._sources([value])
            if reads:
                self._add(Place(kind="output", name=value.name, reads=reads))
        return self._found

    def _visit(self, node: Node) -> None:
        operands = node.inputs if node in self._owned else _carried(node)
        reads = self._sources(operands)
        if node in self._owned or len(reads) > 1:
            self._give(node.outputs, self._make(node, reads))
        elif reads:
            self._give(node.outputs, reads[0])

    def _enter(self, node: Node) -> None:
        """What a body reads under a name of its own is what its node reads: operands stand in the same order, the last ones last."""
        for key, body in node.subgraphs.items():
            label = f"{node.op_type} {node.name or ''}".strip()
            self._inside[body] = (*self._inside[node.graph], f"{label} {key}" if node.op_type == "If" else label)
            for inner, outer in zip(reversed(body.inputs), reversed(node.inputs), strict=False):
                reads = self._sources([outer])
                if reads:
                    self._source[inner] = reads[0]

    def _leave(self, node: Node) -> None:
        """An output of the node is the output of its body; of either of two."""
        results = [reversed(body.outputs) for body in node.subgraphs.values()]
        for outer, inner in zip(reversed(node.outputs), zip_longest(*results), strict=False):
            reads = self._sources(inner)
            if reads:
                self._give([outer], reads[0] if len(reads) == 1 else self._make(node, reads))

    def _make(self, node: Node, reads: tuple[int, ...]) -> int:
        layers = tuple(self._owned.get(node, ()))
        name = node.name or next((v.name for v in node.outputs if v is not None), node.op_type)
        kind: Literal["layer", "join"] = "layer" if layers else "join"
        inside = self._inside[node.graph]
        return self._add(Place(kind=kind, name=name, op_type=node.op_type, layers=layers, inside=inside, reads=reads))

    def _add(self, place: Place) -> int:
        self._found.append(place)
        return len(self._found) - 1

    def _give(self, values: Iterable[Value | None], place: int) -> None:
        self._source.update((value, place) for value in values if value is not None)

    def _sources(self, values: Iterable[Value | None]) -> tuple[int, ...]:
        return tuple(dict.fromkeys(self._source[v] for v in values if v is not None and v in self._source))


def _visits(graph: Graph) -> Iterator[tuple[Node, bool]]:
    """Every node in topological order, and whether its bodies lie behind: a node that has any comes before these and behind these."""
    stack: list[tuple[Node, bool]] = [(node, False) for node in reversed(graph.nodes)]
    while stack:
        node, is_left = stack.pop()
        yield node, is_left
        if node.subgraphs and not is_left:
            stack.append((node, True))
            stack += [(inner, False) for body in node.subgraphs.values() for inner in reversed(body.nodes)]


def _carried(node: Node) -> Iterator[Value | None]:
    """Operands of the node that carry a signal to its output."""
    spec = node.spec
    if node.op_type in DECISIONS:
        return
    for position, value in enumerate(node.inputs):
        if spec.use in WHOLLY_CARRIED or spec.carries(position):
            yield value


def _without_masks(places: Sequence[Place]) -> list[Place | None]:
    """None where an input, or a join of inputs, reaches no layer before it meets the signal of one, and where then nothing meets any more."""
    raw = _made_of_inputs(places)
    reaching = {source for place in places if place.kind == "layer" for source in place.reads}
    for position in reversed(range(len(places))):
        if position in raw and position in reaching:
            reaching.update(places[position].reads)
    stands_for: list[int | None] = []
    kept: list[Place | None] = []
    for position, place in enumerate(places):
        reads = tuple(dict.fromkeys(p for p in (stands_for[source] for source in place.reads) if p is not None))
        if (position in raw and position not in reaching) or (place.kind == "output" and not reads):
            stands_for.append(None)
        elif place.kind == "join" and len(reads) == 1:
            stands_for.append(reads[0])
        else:
            stands_for.append(position)
        kept.append(replace(place, reads=reads) if stands_for[-1] == position else None)
    return kept


def _made_of_inputs(places: Sequence[Place]) -> Collection[int]:
    """Inputs, and joins of nothing but these."""
    raw: set[int] = set()
    for position, place in enumerate(places):
        if place.kind == "input" or (place.kind == "join" and raw.issuperset(place.reads)):
            raw.add(position)
    return raw


def _renumbered(places: Sequence[Place | None]) -> tuple[Place, ...]:
    """Those that are left, numbered without gaps."""
    number: dict[int, int] = {}
    kept: list[Place] = []
    for position, place in enumerate(places):
        if place is not None:
            number[position] = len(kept)
            kept.append(replace(place, reads=tuple(number[source] for source in place.reads)))
    return tuple(kept)
