"""Inputs that carry a state from one call of the network to the next: they start at zero, and are no data."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

    from initaudit.model.graph import Graph
    from initaudit.probe.inputs.facts import Facts

Dims: TypeAlias = "tuple[int | str | None, ...] | None"
"""Declared shape of a value, where there is one."""

CARRIED = frozenset(("state", "states", "hidden", "h", "c", "cell", "memory", "carry", "rnn", "lstm", "gru"))
"""Words for what is carried. The word alone says little: in reinforcement learning a state is what the agent observes."""
SIDES = frozenset(
    ("in", "out", "input", "output", "new", "next", "prev", "previous", "last", "init", "initial", "final", "updated", "n", "t")
)  # fmt: skip
"""Words that tell the state before a call from the one behind it."""


def mark_states(graph: Graph, facts: Mapping[str, Facts]) -> None:
    """Give the role `state` to floating-point inputs called so of which the graph gives the next value out.

    Those that enter a recurrent operator as its state have the role already.
    """
    leaving: dict[tuple[str, ...], set[Dims]] = {}
    for output in graph.outputs:
        leaving.setdefault(stem(output.name), set()).add(output.dims)
    for name, found in facts.items():
        entering, wanted = graph.values[name], stem(name)
        carried = CARRIED.intersection(wanted) and not found.integer
        if carried and any(_fits(entering.dims, dims) for dims in leaving.get(wanted, ())):
            found.roles.add("state")


def stem(name: str) -> tuple[str, ...]:
    """The words of a name that say what it is, without numbers and without the side of the call."""
    words = re.findall(r"[a-z]+", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower())
    if len(words) == 1 and words[0] in ("hn", "cn"):
        words = [words[0][0]]
    return tuple(word for word in words if word not in SIDES)


def _fits(entering: Dims, leaving: Dims) -> bool:
    """Whether one can be the next value of the other: no declared size contradicts it."""
    if entering is None or leaving is None:
        return True
    if len(entering) != len(leaving):
        return False
    pairs = zip(entering, leaving, strict=True)
    return all(a == b or not (isinstance(a, int) and isinstance(b, int)) for a, b in pairs)
