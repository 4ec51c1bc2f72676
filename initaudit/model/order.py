"""The topological order of a graph's nodes."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

from initaudit.errors import InvalidModel

if TYPE_CHECKING:
    from initaudit.model.graph import Graph


def sort_nodes(graph: Graph) -> None:
    """Order nodes topologically, as in the file wherever that allows it. Raises InvalidModel on a cycle."""
    nodes = graph.nodes
    place = {id(node): i for i, node in enumerate(nodes)}
    needs = [{place[id(value.producer)] for value in node.reads() if value.producer is not None} for node in nodes]
    followers: list[list[int]] = [[] for _ in nodes]
    for i, before in enumerate(needs):
        for j in before:
            followers[j].append(i)
    waiting = [len(before) for before in needs]
    ready = [i for i, count in enumerate(waiting) if count == 0]
    graph.nodes = []
    while ready:
        i = heapq.heappop(ready)
        nodes[i].position = len(graph.nodes)
        graph.nodes.append(nodes[i])
        for follower in followers[i]:
            waiting[follower] -= 1
            if waiting[follower] == 0:
                heapq.heappush(ready, follower)
    if len(graph.nodes) != len(nodes):
        stuck = next(node for node, count in zip(nodes, waiting, strict=True) if count)
        raise InvalidModel(f"the graph has a cycle through node {stuck.name or stuck.op_type!r}")
