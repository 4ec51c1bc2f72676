"""Where in the network an output stands: in front of a norm, at the head."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from initaudit.activations.branches import MAX_SUMMED, first_output
from initaudit.activations.reductions import match_reduction
from initaudit.activations.roles import Role, role_of, through_boundary
from initaudit.activations.trace import trace_from

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from initaudit.activations.trace import Ending, Trace
    from initaudit.model.graph import Node, Value

MAX_DEPTH = 3
"""Link functions, softmaxes and sums that may stand between a layer and an output of the model; in a row there are two."""
LINKS = frozenset({"sigmoid", "logsigmoid", "tanh", "softplus", "hardsigmoid", "custom"})
"""Activations that turn the output of a head into a probability, a bounded or a positive number."""
_WITH_WEIGHTS = (Role.LAYER, Role.RECURRENT, Role.ATTENTION)


def is_normalized(trace: Trace) -> bool:
    """Every way from the output meets a normalisation before anything else, or the addition that one follows."""
    met = [e for e in trace.endings if e.comes_first]
    return bool(met) and all(e.what.startswith("norm:") or _norm_follows(e.node, trace.reached) for e in met)


def _norm_follows(node: Node | None, reached: Mapping[int, str | None]) -> bool:
    """Whether `node` adds the branch to a normalised skip and only a normalisation sees the sum (post-norm blocks).

    In pre-norm blocks, the last one included, the skip is the stream of all branches before, normalised for the branch
    alone: there the scale of a branch counts against that of the others.
    """
    if node is None or role_of(node) is not Role.ADD:
        return False
    fused = node.spec.normalizes_a_sum
    for operand in node.inputs[:2] if fused else node.inputs[:MAX_SUMMED]:
        if operand is None or id(operand) in reached:
            continue
        is_stream = operand.producer is not None and operand.producer.spec.normalizes_a_sum and operand.index > 0
        if is_stream or match_reduction(operand) is not None:
            return False
    if fused:
        return sum(v is not None and bool(v.consumers) for v in node.outputs) == 1
    total = first_output(node)
    reduced = match_reduction(total)
    return (
        reduced is not None
        and reduced.kind != "softmax"
        and all(id(n) in reduced.nodes or role_of(n, i) is Role.NOTHING for n, i in total.consumers)
    )


def is_head(trace: Trace, depth: int = 0) -> bool:
    """Whether nothing but linear steps, softmax and link functions lie between the layer and outputs of the model."""
    return bool(trace.endings) and all(_is_last(e, depth) for e in trace.endings) and leads_to_output_only(trace.start)


def _is_last(ending: Ending, depth: int) -> bool:
    """Whether an ending is an output, or one lies behind it with nothing but the same between."""
    if ending.what in ("output", "other") or (ending.what == "relu" and depth > 0):
        return True  # behind a softmax or sigmoid the relu of a quantiser changes nothing
    if ending.what not in LINKS | {"softmax", Role.ADD.value} or depth >= MAX_DEPTH:
        return False
    if ending.match is not None:
        return is_head(trace_from(ending.match.end), depth + 1)
    return ending.node is not None and is_head(trace_from(first_output(ending.node)), depth + 1)


def leads_to_output_only(value: Value) -> bool:
    """Whether the value reaches an output of the model and no further weight layer on any way.

    What stands behind is answered first and kept in the graphs, so that each value is looked at once for all layers in front of it.
    """
    waiting = [value]
    while waiting:
        known, current = waiting[-1].graph.remembered, waiting[-1]
        if (_Ahead, current) in known:
            waiting.pop()
            continue
        successors = list(_successors(current))
        unanswered = [v for v in successors if (_Ahead, v) not in v.graph.remembered]
        if unanswered:
            waiting += unanswered
            continue
        behind = [v.graph.remembered[_Ahead, v] for v in successors]
        known[_Ahead, current] = _Ahead(
            layer=any(a.layer for a in behind) or any(role_of(n, i) in _WITH_WEIGHTS for n, i in current.consumers),
            output=any(a.output for a in behind) or (current.is_output and current.graph.owner is None),
        )
    ahead: _Ahead = value.graph.remembered[_Ahead, value]
    return ahead.output and not ahead.layer


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ahead:
    """What a value meets on any way."""

    layer: bool
    """One with weights, or attention."""
    output: bool
    """Of the model."""


def _successors(value: Value) -> Iterator[Value]:
    yield from through_boundary(value)
    for node, _ in value.consumers:
        yield from (v for v in node.outputs if v is not None and not v.is_static)
