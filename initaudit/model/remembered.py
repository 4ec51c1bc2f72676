"""Questions about a value or a node that are asked again and again while a graph is walked, answered once."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from initaudit.model.graph import Node, Value

Answer = TypeVar("Answer")
Subject = TypeVar("Subject", "Value", "Node")


def once_in_graph(ask: Callable[[Subject], Answer]) -> Callable[[Subject], Answer]:
    """`ask`, with its answers kept in the graph of the value or node, as long as that lives. For graphs that are finished.

    Layers in a row look at the same values behind them: without this the walks behind `n` layers take `n` times the longest of them, and `n`
    values that arrive at one node would look at its `n` operands each.
    """

    @wraps(ask)
    def asked(subject: Subject) -> Answer:
        known = subject.graph.remembered
        key = (ask, subject)
        if key not in known:
            known[key] = ask(subject)
        answer: Answer = known[key]
        return answer

    return asked
