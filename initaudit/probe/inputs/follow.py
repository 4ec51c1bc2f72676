"""The way of an input through the graph, on which its facts are found."""

from __future__ import annotations

from typing import TYPE_CHECKING

from initaudit.probe.inputs.facts import Facts
from initaudit.probe.inputs.propagation import pass_through
from initaudit.probe.inputs.scale import BYTE, within
from initaudit.probe.inputs.standardised import scale_of
from initaudit.probe.inputs.walk import Step, Visit

if TYPE_CHECKING:
    from initaudit.model.graph import Value

MAX_STEPS = 20_000
"""Values visited from one input; more than any model has between its input and the constants that matter."""


def facts_of(value: Value, rank: int) -> Facts:
    """Follow the graph input `value` of `rank` forward."""
    facts = Facts(integer=value.dtype is not None and value.dtype.lstrip("u").startswith("int"))
    seen: set[tuple[int, tuple[int | None, ...] | None, int | None]] = set()
    stack = [Step(value, tuple(range(rank)), 0)]
    while stack and len(seen) < MAX_STEPS:
        step = stack.pop()
        key = (id(step.value), step.axes, step.offset)
        if key in seen:
            continue
        seen.add(key)
        for node, position in step.value.consumers:
            stack.extend(pass_through(Visit(node, position, step.axes, step.offset, facts)))
    image = list(facts.kinds.values()).count("space") > 1
    facts.scale = scale_of(value, image=image)
    if facts.scale is None and facts.integer and image and facts.bound is None:
        facts.scale = within(0.0, BYTE, "as pixels are")
    return facts
