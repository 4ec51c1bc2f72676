"""Bodies of If, Loop and Scan as the messages of the file hold them, for what reads or edits the messages themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnx import AttributeProto

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from onnx import GraphProto, NodeProto


def bodies_of(attribute: AttributeProto) -> Sequence[GraphProto]:
    """The graphs that an attribute holds."""
    return [attribute.g] if attribute.type == AttributeProto.GRAPH else attribute.graphs


def walk_nodes(graph: GraphProto) -> Iterator[NodeProto]:
    """Every node, those of bodies included, a node before the nodes of its bodies."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for body in bodies_of(attribute):
                yield from walk_nodes(body)
