"""Whether two layers that read one stored tensor are tied, or were copies that the exporter stored once.

torch's older exporter writes a parameter whose values equal another one's as `b.weight = Identity(a.weight)`; a module that is used
twice, or a parameter that two modules share, has one name. Constants that it folded (`onnx::MatMul_26`) it treats alike in both cases: there
the bias tells. What torch's newer exporter stores once is the same file for a copy and for a tie.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from initaudit.model.parameter_names import module_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from initaudit.extraction.layer import Layer
    from initaudit.model.graph import Graph, Node, Value
    from initaudit.model.tensors import Tensor

MAX_STEPS = 4
"""Operators between an operand and the stored tensor that are passed. A judgement: a transpose, a cast and an Identity."""


def stored_once(layer: Layer, other: Layer) -> bool:
    """Whether the exporter gave two parameters of their own, one for each layer, the same stored tensor."""
    mine, its = _parameters(layer), _parameters(other)
    return any(mine[tensor] != its[tensor] for tensor in mine.keys() & its.keys())


def exclude_each_other(layer: Layer, other: Layer) -> bool:
    """Whether the layers stand in different branches of one If, of which only one runs."""
    branches = dict(_bodies(layer.node))
    return any(owner in branches and branches[owner] != graph for owner, graph in _bodies(other.node))


def read_under(layer: Layer) -> Iterator[tuple[Tensor, str]]:
    """The stored tensors that the layer reads, with the name under which it does: that of the first Identity on the way, or their own."""
    for operand in _operands(layer.node):
        value, alias = operand, None
        for _ in range(MAX_STEPS):
            producer = value.producer
            if value.tensor is not None or producer is None or not producer.spec.only_moves:
                break
            if producer.op_type == "Identity" and alias is None:
                alias = value.name
            source = producer.input(0)
            if source is None:
                break
            value = source
        if value.tensor is not None:
            yield value.tensor, alias or value.name


def names_parameter(name: str) -> bool:
    """Whether a name is that of a parameter in torch: dotted, and no count."""
    return "/" not in name and module_of(name) is not None


def _parameters(layer: Layer) -> dict[int, str]:
    """By the identity of the stored tensor: the parameter as which the layer reads it."""
    return {id(tensor): name for tensor, name in read_under(layer) if names_parameter(name)}


def _operands(node: Node) -> Iterator[Value]:
    """What the node reads, and what is added to its output."""
    added = [n for output in node.outputs if output is not None for n, _ in output.consumers if n.op_type == "Add"]
    for reader in (node, *added):
        yield from (value for value in reader.inputs if value is not None)


def _bodies(node: Node) -> Iterator[tuple[Node, Graph]]:
    """The If nodes around a node, with the branch in which it stands."""
    graph: Graph | None = node.graph
    while graph is not None and graph.owner is not None:
        if graph.owner.op_type == "If":
            yield graph.owner, graph
        graph = graph.parent
