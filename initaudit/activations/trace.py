"""The walk behind a value: through everything linear, to all the places where it meets something else."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from initaudit.activations.bias import with_bias
from initaudit.activations.maxout import takes_largest
from initaudit.activations.reductions import match_reduction
from initaudit.activations.region import Match, match_activations
from initaudit.activations.roles import Role, is_scale, role_of, through_boundary
from initaudit.activations.straight import end_of_straight
from initaudit.model.operators import AxisMap

if TYPE_CHECKING:
    from initaudit.activations.reductions import Reduced
    from initaudit.model.graph import Node, Value
    from initaudit.model.tensors import Tensor

MAX_VALUES = 400
"""Values followed behind one layer before the walk gives up, straight stretches for one; a packed attention projection reaches about 60."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ending:
    """One place where the output first meets something that is not passed through."""

    what: str
    """An entry of `Layer.feeds`."""
    value: Value
    """What arrives there."""
    node: Node | None = None
    """Where it arrives; None at an output of the graph and where a normalisation is passed."""
    match: Match | None = None
    norm: str | None = None
    """Normalisation passed on the way, or the one that is met."""

    @property
    def comes_first(self) -> bool:
        """Whether no normalisation stands before it."""
        return self.norm is None or self.what.startswith("norm:")


class Trace:
    """Walks from one value through everything linear to where it ends."""

    def __init__(self, start: Value) -> None:
        self.start = start
        self.endings: list[Ending] = []
        self.late_bias: Tensor | None = None
        """A bias that the next operator adds (BiasGelu, SkipLayerNormalization)."""
        self.reached: dict[int, str | None] = {}
        """id of each value reached by linear steps -> the normalisation passed on the way."""
        self.waiting: dict[int, tuple[Node, Value, str | None]] = {}
        """Nodes that combine the value with others, which may turn out to be its own."""
        self.queue: deque[tuple[Value, str | None]] = deque()

    def run(self) -> None:
        """Walk until nothing is left, or MAX_VALUES are reached."""
        self._push(self.start, None)
        while self.queue:
            while self.queue and len(self.reached) < MAX_VALUES:
                value, norm = self.queue.popleft()
                # with nothing else waiting, the order in which endings are met stays the same
                self._visit(value if self.queue else end_of_straight(value, normalised=norm is not None), norm)
            self.queue.clear() if len(self.reached) >= MAX_VALUES else self._reunite()
        for node, value, norm in self.waiting.values():
            self._end(role_of(node).value, value, node, norm)

    def _push(self, value: Value | None, norm: str | None) -> None:
        if value is not None and id(value) not in self.reached:
            self.reached[id(value)] = norm
            self.queue.append((value, norm))

    def _end(self, what: str, value: Value, node: Node | None, norm: str | None, match: Match | None = None) -> None:
        self.endings.append(Ending(what=what, value=value, node=node, match=match, norm=norm))

    def _visit(self, value: Value, norm: str | None) -> None:
        done: frozenset[int] = frozenset()
        reduced = match_reduction(value)
        if reduced is not None:
            done = reduced.nodes
            self._reduce(reduced, value, norm)
        else:
            matches = match_activations(value)
            for match in matches:
                done |= match.nodes
                first = next((n for n, _ in value.consumers if id(n) in match.nodes), None)
                self._end(match.name, value, first, norm, match)
            if matches:
                self._note_bias(value)
        for successor in through_boundary(value):
            self._push(successor, norm)
        if value.is_output and value.graph.owner is None:
            self._end("output", value, None, norm)
        for node, position in value.consumers:
            if id(node) not in done:
                self._step(value, node, position, norm)

    def _note_bias(self, value: Value) -> None:
        for node, _ in value.consumers:
            operand = node.input(1)
            if node.op_type in ("BiasGelu", "FastGelu") and operand is not None:
                self.late_bias = operand.tensor

    def _reduce(self, reduced: Reduced, value: Value, norm: str | None) -> None:
        if reduced.kind == "softmax":
            self._end("softmax", value, reduced.end.producer, norm)
            return
        if norm is None:
            self._end(f"norm:{reduced.kind}", value, None, reduced.kind)
        self._push(reduced.end, norm or reduced.kind)

    def _step(self, value: Value, node: Node, position: int, norm: str | None) -> None:
        role = role_of(node, position)
        if role is Role.LINEAR or (role is Role.GATE and is_scale(node, value)) or _is_bilinear(node, role):
            if takes_largest(node, value):
                self._maxout(value, node, norm)
                return
            parts = (
                node.spec.axis_map is AxisMap.SPLIT
            )  # elsewhere only the first output carries the signal, not masks and scales
            for output in node.outputs if parts else node.outputs[:1]:
                self._push(output, norm)
        elif role in (Role.ADD, Role.GATE, Role.MAXIMUM):
            self.waiting.setdefault(id(node), (node, value, norm))
            added = node.input(4) if node.spec.normalizes_a_sum else None
            self.late_bias = added.tensor if added is not None else self.late_bias
        elif role is not Role.NOTHING:
            self._end(role.value, value, node, norm)

    def _reunite(self) -> None:
        """A sum of values that all come from the start (rotary embedding, complex numbers) is passed through."""
        for key, (node, value, norm) in list(self.waiting.items()):
            if any(v is not None and not v.is_static and id(v) not in self.reached for v in node.inputs):
                continue
            role = role_of(node)
            if role is Role.ADD:
                del self.waiting[key]
                self._push(node.outputs[0], norm)
            elif role is Role.MAXIMUM and len({v for v in node.inputs if v is not None and not v.is_static}) > 1:
                del self.waiting[key]
                self._maxout(value, node, norm)

    def _maxout(self, value: Value, node: Node, norm: str | None) -> None:
        result = node.outputs[0]
        assert result is not None
        found = Match(name="maxout", start=self.start, end=result, nodes=frozenset({id(node)}))
        self._end("maxout", value, node, norm, found)


def _is_bilinear(node: Node, role: Role) -> bool:
    """Whether a product with another signal has a bias of its own: then it is one bilinear layer, x' W y + b."""
    result = node.outputs[0] if role is Role.ATTENTION and node.outputs else None
    return result is not None and with_bias(result)[1] is not None


def trace_from(value: Value) -> Trace:
    """The finished walk that starts at `value`."""
    trace = Trace(value)
    trace.run()
    return trace
