"""Stretches of a network on which nothing happens that the walk behind a layer takes note of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from initaudit.activations.maxout import takes_largest
from initaudit.activations.reductions import match_reduction
from initaudit.activations.region import match_activations
from initaudit.activations.roles import Role, has_one_signal, role_of, through_boundary
from initaudit.model.operators import AxisMap
from initaudit.model.walks import chain_end

if TYPE_CHECKING:
    from initaudit.model.graph import Value


def end_of_straight(value: Value, *, normalised: bool) -> Value:
    """The last value on the one way on from `value` by linear steps, up to where something branches off, joins or bends it.

    Layers in a row have the same stretch behind them: it is gone along once for all of them. Where a normalisation was passed already
    (`normalised`), further ones are steps like any other.
    """
    step = _next_or_normalised if normalised else _next
    known: dict[Value, Value] = value.graph.remembered.setdefault(step, {})
    return chain_end(value, step, known)


def _next(value: Value) -> Value | None:
    """What follows a value where that is one linear step and nothing else."""
    if value.is_output or match_reduction(value) is not None or match_activations(value):
        return None
    return _only_step(value)


def _next_or_normalised(value: Value) -> Value | None:
    """The same with a normalisation for a step."""
    reduced = match_reduction(value)
    if reduced is None:
        return _next(value)
    alone = all(id(node) in reduced.nodes for node, _ in value.consumers)
    return reduced.end if alone and reduced.kind != "softmax" and not value.is_output else None


def _only_step(value: Value) -> Value | None:
    uses = [(node, position) for node, position in value.consumers if role_of(node, position) is not Role.NOTHING]
    if len(uses) != 1 or next(through_boundary(value), None) is not None:
        return None
    node, position = uses[0]
    if role_of(node, position) is not Role.LINEAR or not has_one_signal(node) or takes_largest(node, value):
        return None
    return node.outputs[0] if node.spec.axis_map is not AxisMap.SPLIT else None
