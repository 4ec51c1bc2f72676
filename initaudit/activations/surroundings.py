"""Where in the network an output stands: at the end of a residual branch, in front of a norm, at the head."""

from __future__ import annotations

from typing import TYPE_CHECKING

from initaudit.activations.reductions import match_reduction
from initaudit.activations.roles import Role, derives_from, role_of, through_boundary
from initaudit.activations.trace import MAX_VALUES, trace_from

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from initaudit.activations.trace import Ending, Trace
    from initaudit.model.graph import Node, Value

MAX_SHORTCUT = 12
"""Nodes looked back through on a shortcut; pooling, padding, convolution and normalisation are four."""
MAX_RESIDUAL_DEPTH = 3
"""Additions and linear layers that may stand between a layer and the addition of the skip (parallel branches, LoRA)."""
MAX_USES = 8
"""Additions and layers looked behind at each step; the search would grow exponentially without a bound."""
GATES = frozenset({"sigmoid", "tanh", "hardsigmoid"})
"""Activations of recurrent cells: the sum of input and recurrent part in front of them is no residual."""
LINKS = frozenset({"sigmoid", "logsigmoid", "tanh", "softplus", "hardsigmoid", "custom"})
"""Activations that turn the output of a head into a probability, a bounded or a positive number."""


def residual_branch(trace: Trace, origin: Value, depth: int = 0) -> tuple[bool, bool]:
    """(ends a residual branch, lies in one with only linear layers behind it).

    Sums of several branches (attention and feed-forward in parallel) are followed to the addition of the skip, and so is an
    output that its own excitation scales (Hu et al. 2018).
    """
    added = [e.node for e in trace.endings if e.what == Role.ADD.value and e.node is not None][:MAX_USES]
    if any(_adds_skip(node, trace.reached, origin) for node in added):
        return True, True
    if depth >= MAX_RESIDUAL_DEPTH:
        return False, False
    layers = [e.node for e in trace.endings if e.what == Role.LAYER.value and e.node is not None][:MAX_USES]
    excited = _excited(trace) if layers else []
    if any(residual_branch(trace_from(_first_output(node)), origin, depth + 1)[0] for node in (*added, *excited)):
        return True, True
    return False, any(residual_branch(trace_from(_first_output(node)), origin, depth + 1)[1] for node in layers)


def _excited(trace: Trace) -> list[Node]:
    """Products of the output with a gate that layers compute from the output itself: squeeze and excitation."""
    products = [e.node for e in trace.endings if e.what == Role.GATE.value and e.node is not None][:MAX_USES]
    return [
        node
        for node in products
        if all(id(v) in trace.reached or derives_from(v, trace.start) for v in node.inputs if v is not None)
    ]


def _adds_skip(node: Node, reached: Mapping[int, str | None], origin: Value) -> bool:
    """Whether what `node` adds is something that the branch started from, or a projection of it."""
    for operand in node.inputs[:2] if node.spec.normalizes_a_sum else node.inputs:
        if operand is None or operand.is_static or id(operand) in reached:
            continue
        for source, projected in _shortcut(operand):
            if derives_from(origin, source):
                return not _feeds_gates(node, 1 if projected else 2)
    return False


def _feeds_gates(node: Node, least: int) -> bool:
    """Whether the sum is bent by so many kinds of gates; one alone may be the activation behind an identity skip."""
    return len({e.what for e in trace_from(_first_output(node)).endings} & GATES) >= least


def _shortcut(value: Value) -> Iterator[tuple[Value, bool]]:
    """The value, and what it was before the linear steps and the one weight layer of a projection (then True)."""
    projected = False
    for _ in range(MAX_SHORTCUT):
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


def _first_output(node: Node) -> Value:
    return next(v for v in node.outputs if v is not None)


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
    for operand in node.inputs[:2] if fused else node.inputs:
        if operand is None or id(operand) in reached:
            continue
        is_stream = operand.producer is not None and operand.producer.spec.normalizes_a_sum and operand.index > 0
        if is_stream or match_reduction(operand) is not None:
            return False
    if fused:
        return sum(v is not None and bool(v.consumers) for v in node.outputs) == 1
    total = _first_output(node)
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
    if ending.what not in LINKS | {"softmax", Role.ADD.value} or depth >= MAX_RESIDUAL_DEPTH:
        return False
    if ending.match is not None:
        return is_head(trace_from(ending.match.end), depth + 1)
    return ending.node is not None and is_head(trace_from(_first_output(ending.node)), depth + 1)


def leads_to_output_only(value: Value, limit: int = MAX_VALUES) -> bool:
    """Whether the value reaches an output of the model and no further weight layer on any way."""
    queue, seen, output = [value], {id(value)}, False
    while queue:
        current = queue.pop()
        if current.is_output and current.graph.owner is None:
            output = True
        successors = list(through_boundary(current))
        for node, position in current.consumers:
            if role_of(node, position) in (Role.LAYER, Role.RECURRENT, Role.ATTENTION):
                return False
            successors += [v for v in node.outputs if v is not None and not v.is_static]
        for successor in successors:
            if id(successor) not in seen:
                seen.add(id(successor))
                queue.append(successor)
        if len(seen) > limit:
            return False
    return output
