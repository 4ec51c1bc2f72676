"""Bodies of If, Loop and Scan as the messages of the file hold them, for what reads or edits the messages themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnx import AttributeProto

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from onnx import GraphProto, NodeProto


def bodies_of(attribute: AttributeProto) -> Sequence[GraphProto]:
    """The graphs that an attribute holds."""
    return [attribute.g] if attribute.type == AttributeProto.GRAPH else attribute.graphs


def walk_nodes(nodes: Iterable[NodeProto]) -> Iterator[NodeProto]:
    """These nodes of a graph or function and those of their bodies, a node before the nodes of its bodies."""
    for node in nodes:
        yield node
        for attribute in node.attribute:
            for body in bodies_of(attribute):
                yield from walk_nodes(body.node)


def without_doubled_constants(nodes: Sequence[NodeProto]) -> Sequence[NodeProto]:
    """The nodes of a graph without Constants whose value another Constant further on gives as well: onnxruntime takes the last."""
    last = {node.output[0]: i for i, node in enumerate(nodes) if node.op_type == "Constant" and node.output}
    kept = [n for i, n in enumerate(nodes) if n.op_type != "Constant" or not n.output or last[n.output[0]] == i]
    return nodes if len(kept) == len(nodes) else kept
