"""Questions about a value that are asked again and again while a graph is walked, answered once."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from initaudit.model.graph import Node, Value

Answer = TypeVar("Answer")


def once_per_value(ask: Callable[[Value], Answer]) -> Callable[[Value], Answer]:
    """`ask`, with its answers kept in the graph of the value, as long as that lives. For graphs that are finished.

    Layers in a row look at the same values behind them: without this the walks behind `n` layers take `n` times the longest of them.
    """

    @wraps(ask)
    def asked(value: Value) -> Answer:
        known = value.graph.remembered
        key = (ask, value)
        if key not in known:
            known[key] = ask(value)
        answer: Answer = known[key]
        return answer

    return asked


def once_per_node(ask: Callable[[Node], Answer]) -> Callable[[Node], Answer]:
    """The same for questions about a node that each value which arrives there asks: `n` of them would look at `n` operands each."""

    @wraps(ask)
    def asked(node: Node) -> Answer:
        known = node.graph.remembered
        key = (ask, node)
        if key not in known:
            known[key] = ask(node)
        answer: Answer = known[key]
        return answer

    return asked
