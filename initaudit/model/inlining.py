"""How many nodes a graph comes to once calls of the model's functions are replaced by their bodies; counted before any is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from initaudit.errors import InvalidModel
from initaudit.model.bodies import walk_nodes
from initaudit.model.scope import MAX_DEPTH

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from onnx import FunctionProto, NodeProto

FunctionKey = tuple[str, str, str]
"""Domain, name and overload."""

MAX_INLINED = 100_000
"""Nodes that any file may come to; functions that call functions twice double with each level, and files are untrusted. A judgement:
large language models have some tens of thousands."""
INLINED_PER_STORED = 20
"""Nodes that a file may come to beyond that for each that it stores. A judgement: a block that is a function is called once a layer, and
stored beside many nodes that are called once."""


def check_inlined_size(nodes: Sequence[NodeProto], functions: Mapping[FunctionKey, FunctionProto]) -> None:
    """Raises InvalidModel where a function calls itself, or where inlining makes more nodes than a file of this size may hold."""
    if not functions:
        return
    calls = {key: list(walk_nodes(function.node)) for key, function in functions.items()}
    sizes = _sizes(calls)
    whole = sum(sizes.get(key_of(node), 1) for node in walk_nodes(nodes))
    allowed = MAX_INLINED + INLINED_PER_STORED * sum(len(inner) for inner in calls.values())
    if whole > allowed:
        raise InvalidModel(f"functions that call functions come to {whole} nodes, more than {allowed}")


def _sizes(calls: Mapping[FunctionKey, Sequence[NodeProto]]) -> dict[FunctionKey, int]:
    """Nodes of each function with all that it calls; each function is looked at once."""
    sizes: dict[FunctionKey, int] = {}
    for first in calls:
        stack = [(first, iter(calls[first]))]
        unfinished = {first}
        while stack:
            key, rest = stack[-1]
            called = next((k for n in rest if (k := key_of(n)) in calls and k not in sizes), None)
            if called is None:
                sizes[key] = sum(sizes.get(key_of(node), 1) for node in calls[key])
                unfinished.discard(key)
                stack.pop()
            elif called in unfinished or len(stack) > MAX_DEPTH:
                raise InvalidModel(f"function {called[1]!r:.100} calls itself or is nested more than {MAX_DEPTH} deep")
            else:
                unfinished.add(called)
                stack.append((called, iter(calls[called])))
    return sizes


def key_of(node: NodeProto) -> FunctionKey:
    """What a node would call."""
    return node.domain, node.op_type, node.overload
