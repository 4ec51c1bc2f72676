"""Which branch of an If a value lies in, and the graph with a branch in the place of its If.

A probe sees the values of the main graph alone. So the branches that hold layers take the place of their If, one of the two at a time; what
they define keeps its name behind that of the If's first output, for two bodies may use the same names.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from onnx import AttributeProto, NodeProto, helper

from initaudit.model.bodies import bodies_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from onnx import GraphProto, ModelProto, SparseTensorProto, TensorProto

    from initaudit.model.graph import Graph, Node, Value

Branches = Mapping[str, str]
"""First output of an If, as `inlined_name` calls it -> `then_branch` or `else_branch`."""
MAX_COMBINATIONS = 4
"""Choices of branches that are probed, each with inputs of its own. A judgement: two cover both sides of any number of independent Ifs."""


def inlined_name(value: Value) -> str:
    """Name of a value where every branch around it has taken the place of its If."""
    return value.name if value.graph.owner is None else f"{_label(value.graph.owner)}/{value.name}"


def way_to(graph: Graph) -> dict[str, str] | None:
    """The branches that lead to a graph, outermost last; empty for the main graph, None where it lies in a Loop or Scan."""
    way: dict[str, str] = {}
    while graph.owner is not None and graph.parent is not None:
        if graph.owner.op_type != "If":
            return None
        way[_label(graph.owner)] = next(key for key, body in graph.owner.subgraphs.items() if body is graph)
        graph = graph.parent
    return way


def never_taken(graph: Graph) -> bool:
    """Whether a constant condition bars the way to a graph."""
    while graph.owner is not None and graph.parent is not None:
        condition = graph.owner.input(0)
        if graph.owner.op_type == "If" and condition is not None and condition.tensor is not None:
            taken = "then_branch" if bool(condition.tensor.array().all()) else "else_branch"
            if graph.owner.subgraphs.get(taken) is not graph:
                return True
        graph = graph.parent
    return False


def combinations(ways: Sequence[Branches]) -> list[dict[str, str]]:
    """As few choices of branches as a greedy search finds that each way agrees with one of; at most MAX_COMBINATIONS."""
    found: list[dict[str, str]] = []
    for way in sorted(ways, key=len, reverse=True):
        fitting = next((c for c in found if all(c.get(name, branch) == branch for name, branch in way.items())), None)
        if fitting is not None:
            fitting.update(way)
        elif len(found) < MAX_COMBINATIONS:
            found.append(dict(way))
    return found or [{}]


def leads(way: Branches, choice: Branches) -> bool:
    """Whether a choice of branches takes all of a way."""
    return all(choice.get(name) == branch for name, branch in way.items())


def take_branches(model: ModelProto, branches: Branches) -> None:
    """Put the chosen branches of a flattened model in the place of their Ifs, in place."""
    if not branches:
        return
    graph = model.graph
    nodes = list(_taken(graph, graph.node, {}, branches))
    copies = [NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:]
    graph.node.extend(copies)


def _label(node: Node) -> str:
    return next((inlined_name(v) for v in node.outputs if v is not None), node.name)


def _taken(
    target: GraphProto, nodes: Sequence[NodeProto], names: Mapping[str, str], branches: Branches
) -> Iterator[NodeProto]:
    """The nodes with their branches in place; what a branch stores goes to `target`. `names` are the new names of values."""
    for node in nodes:
        renamed = _renamed(node, names)
        label = next((name for name in renamed.output if name), "")
        branch = branches.get(label) if node.op_type == "If" else None
        if branch is None:
            yield renamed
            continue
        body = next(a.g for a in node.attribute if a.name == branch)
        inner = dict(names) | {name: f"{label}/{name}" for name in _defined(body)}
        for tensor in body.initializer:
            target.initializer.append(_tensor(tensor, inner[tensor.name]))
        for sparse in body.sparse_initializer:
            target.sparse_initializer.append(_sparse(sparse, inner[sparse.values.name]))
        yield from _taken(target, body.node, inner, branches)
        for given, output in zip(body.output, renamed.output, strict=False):
            if output:
                yield helper.make_node("Identity", [inner.get(given.name, given.name)], [output])


def _defined(body: GraphProto) -> list[str]:
    stored = [t.name for t in body.initializer] + [t.values.name for t in body.sparse_initializer]
    return [*stored, *(name for node in body.node for name in node.output if name)]


def _renamed(node: NodeProto, names: Mapping[str, str]) -> NodeProto:
    """A copy of the node, and of the bodies it holds, that uses the new names."""
    copy = NodeProto()
    copy.CopyFrom(node)
    for field in (copy.input, copy.output):
        for position, name in enumerate(field):
            field[position] = names.get(name, name)
    for attribute in copy.attribute:
        if attribute.type in (AttributeProto.GRAPH, AttributeProto.GRAPHS):
            for body in bodies_of(attribute):
                _rename_captured(body, names)
    return copy


def _rename_captured(body: GraphProto, names: Mapping[str, str]) -> None:
    """Use the new names of what a body sees of the graphs around it, in place."""
    own = {*_defined(body), *(info.name for info in body.input)}
    seen = {old: new for old, new in names.items() if old not in own}
    copies = [_renamed(node, seen) for node in body.node]
    del body.node[:]
    body.node.extend(copies)
    for info in body.output:
        info.name = seen.get(info.name, info.name)


def _tensor(tensor: TensorProto, name: str) -> TensorProto:
    copy = type(tensor)()
    copy.CopyFrom(tensor)
    copy.name = name
    return copy


def _sparse(sparse: SparseTensorProto, name: str) -> SparseTensorProto:
    copy = type(sparse)()
    copy.CopyFrom(sparse)
    copy.values.name = name
    return copy
