"""Walks over a graph from one value: to all that is computed from it, to all that it is computed from, or along a chain."""

from __future__ import annotations

from typing import TYPE_CHECKING

from initaudit.model.operators import Use

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, MutableMapping

    from initaudit.model.graph import Node, Value


def nodes_ahead(start: Value | None, stops: Collection[Node] = ()) -> list[Node]:
    """Nodes that read `start` or what is computed from it, the nearest first, none beyond a node of `stops`.

    What only sees a shape reads nothing. Subgraphs are not entered.
    """
    found: dict[Node, None] = {}
    queue = [] if start is None else [start]
    for value in queue:
        for node, _ in value.consumers:
            if node in found or node.spec.use is Use.SHAPE:
                continue
            found[node] = None
            if node not in stops:
                queue += [output for output in node.outputs if output is not None]
    return list(found)


def nodes_behind(start: Value | None, stops: Collection[Node] = ()) -> list[Node]:
    """Nodes that `start` is computed from, the nearest first, none beyond a node of `stops`."""
    found: dict[Node, None] = {}
    queue = [] if start is None else [start]
    for value in queue:
        node = value.producer
        if node is None or node in found or node.spec.use is Use.SHAPE:
            continue
        found[node] = None
        if node not in stops:
            queue += [operand for operand in node.inputs if operand is not None and not operand.is_static]
    return list(found)


def source_of(value: Value, uses: Collection[Use]) -> Value | None:
    """The one signal that an operator of one of these uses makes the value of; None where it is another operator, or there are several."""
    node = value.producer
    if node is None or node.spec.use not in uses:
        return None
    signals = node.signals()
    return signals[0] if len(signals) == 1 else None


def chain_end(start: Value, step: Callable[[Value], Value | None], known: MutableMapping[Value, Value]) -> Value:
    """The last value that is reached from `start` by one `step` after the other, until it gives None.

    `known` keeps the end for each value on the way: callers that share it take each link once, however many values they start from.
    """
    way, value = [], start
    while value not in known:
        following = step(value)
        if following is None:
            known[value] = value
            break
        way.append(value)
        value = following
    end = known[value]
    known.update(dict.fromkeys(way, end))
    return end
