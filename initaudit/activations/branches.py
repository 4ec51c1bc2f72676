"""Residual branches: which layers a skip connection goes past, and which one meets it again."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from initaudit.activations.fused import adds_residual
from initaudit.activations.roles import Role, derives_from, role_of
from initaudit.activations.trace import trace_from

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from initaudit.activations.trace import Trace
    from initaudit.model.graph import Graph, Node, Value

MAX_SHORTCUT = 12
"""Nodes looked back through on a shortcut; pooling, padding, convolution and normalisation are four."""
MAX_SUMS = 3
"""Sums that may stand between a layer and the addition of the skip (parallel branches)."""
MAX_SUMMED = 64
"""Operands of one sum that are looked at; each is held against the others. A judgement: the widest in use join some ten branches."""
MAX_USES = 8
"""Additions and products looked behind at each step; the search would grow exponentially without a bound."""
GATES = frozenset({"sigmoid", "tanh", "hardsigmoid"})
"""Activations of recurrent cells: the sum of input and recurrent part in front of them is no residual."""


def ends_residual_branch(trace: Trace, origin: Value, depth: int = 0) -> bool:
    """Whether the output `origin` of a layer, behind which `trace` walked, is added to a skip through linear steps only.

    Sums of several branches (attention and feed-forward in parallel) are followed to the addition of the skip, and so is an
    output that its own excitation scales (Hu et al. 2018).
    """
    added = [e.node for e in trace.endings if e.what == Role.ADD.value and e.node is not None][:MAX_USES]
    if any(_adds_skip(node, trace.reached, origin) for node in added):
        return True
    return depth < MAX_SUMS and any(
        ends_residual_branch(trace_from(first_output(node)), origin, depth + 1) for node in (*added, *_excited(trace))
    )


def _excited(trace: Trace) -> list[Node]:
    """Products of the output with a gate that layers compute from the output itself: squeeze and excitation."""
    if not any(e.what == Role.LAYER.value for e in trace.endings):
        return []
    products = [e.node for e in trace.endings if e.what == Role.GATE.value and e.node is not None][:MAX_USES]
    return [
        node
        for node in products
        if all(id(v) in trace.reached or derives_from(v, trace.start) for v in node.inputs if v is not None)
    ]


def values_in_branches(graph: Graph) -> frozenset[Value]:
    """All values between the split of a skip and the sum where it returns: the signal has a way past them.

    Those in the body of a Loop or Scan lie in the branches of that body alone. Time is linear in the size of the graph,
    times the depth to which skips are nested.
    """
    order = {node: index for index, node in enumerate(graph.walk())}
    descendants: dict[Value, _Descendants] = {}
    for node in order:
        operands = _summed(node)
        if len(operands) < 2:
            continue
        gates = _gates_behind(node)
        for skip in operands:
            branches = [v for v in operands if v is not skip]
            for source, projected in _shortcut(skip):
                if _is_cell(gates, projected=projected):
                    break
                if source not in descendants:
                    descendants[source] = _Descendants(source, order)
                if descendants[source].include(branches):
                    break
    return frozenset().union(*(found.values for found in descendants.values()))


class _Descendants:
    """What is computed from `source` on the way to the values asked about; looks at each node once, however many they are."""

    def __init__(self, source: Value, order: Mapping[Node, int]) -> None:
        self._order = order
        origin = source.producer or source.graph.owner
        self._start = order[origin] if origin is not None else -1
        self._source = source
        self._found = {source}
        self._seen: set[Node] = set()

    @property
    def values(self) -> set[Value]:
        """All that were found, without the source."""
        return self._found - {self._source}

    def include(self, ends: Sequence[Value]) -> bool:
        """Add what lies between the source and `ends`; whether any of these is computed from the source."""
        queue, new = list(ends), []
        while queue:
            node = queue.pop().producer
            if node is None or node in self._seen or self._order[node] <= self._start:
                continue
            self._seen.add(node)
            new.append(node)
            queue += (v for v in node.inputs if v is not None and not v.is_static)
        for node in sorted(new, key=self._order.__getitem__):
            if not self._found.isdisjoint(node.inputs):
                self._found.update(v for v in node.outputs if v is not None)
        return not self._found.isdisjoint(ends)


def _adds_skip(node: Node, reached: Mapping[int, str | None], origin: Value) -> bool:
    """Whether what `node` adds is something that the branch started from, or a projection of it."""
    for operand in _summed(node):
        if id(operand) in reached:
            continue
        for source, projected in _shortcut(operand):
            if derives_from(origin, source):
                return not _is_cell(_gates_behind(node), projected=projected)
    return False


def _summed(node: Node) -> list[Value]:
    """What `node` adds up, of what depends on the data."""
    if role_of(node) is not Role.ADD and not adds_residual(node):
        return []
    operands = node.inputs[:2] if node.spec.normalizes_a_sum else node.inputs
    return list(islice((v for v in operands if v is not None and not v.is_static), MAX_SUMMED))


def _gates_behind(node: Node) -> int:
    """How many kinds of gates bend the sum."""
    return len({e.what for e in trace_from(first_output(node)).endings} & GATES)


def _is_cell(gates: int, *, projected: bool) -> bool:
    """Whether the sum in front of the gates is that of a recurrent cell; one alone may be the activation behind an identity skip."""
    return gates >= (1 if projected else 2)


def _shortcut(value: Value) -> Iterator[tuple[Value, bool]]:
    """Where the value may have split off: itself, or what it was before linear steps and the one layer of a projection (then True)."""
    projected = False
    for _ in range(MAX_SHORTCUT):
        if len(value.consumers) > 1 or any(len(node.outputs) > 1 for node, _ in value.consumers):
            yield value, projected
        node = value.producer
        data = [v for v in node.inputs if v is not None and not v.is_static] if node is not None else []
        if node is None or not data:
            return
        role = role_of(node)
        if role is Role.LAYER and not projected:
            projected = True
        elif role is not Role.LINEAR and node.spec.norm is None:
            return
        value = data[0]


def first_output(node: Node) -> Value:
    """The output that carries the signal."""
    return next(v for v in node.outputs if v is not None)
