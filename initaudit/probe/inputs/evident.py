"""Whether the runtime will take inputs of some sizes, where the graph alone tells: then no trial run is needed."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from onnx import AttributeProto, TensorProto

from initaudit.probe.cost import guessed_elements, most_elements
from initaudit.probe.shapes import inferred_shapes, known_shapes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from onnx import ModelProto, NodeProto

    from initaudit.probe.inputs.dimensions import Layout
    from initaudit.probe.inputs.ports import Port
    from initaudit.probe.shapes import Shape

ELEMENT_BYTES = 8
"""Of an element of a value whose type is not looked at: no numeric type takes more, and of float32 onnxruntime's arena, which grows in powers of two,
may hold twice as much."""

INTEGERS = frozenset((TensorProto.INT64, TensorProto.INT32, TensorProto.INT16, TensorProto.INT8, TensorProto.UINT8))
"""Element types of ids."""


def evident_bytes(model: ModelProto, ports: Sequence[Port], layout: Layout, sizes: Mapping[str, int]) -> int | None:
    """Bytes of the values that one run holds at a time with these sizes; None where only a trial tells whether it runs.

    Evident are models whose file leaves no size open but that of the batch, whose inputs are all numbers of any value (ids
    may leave their table, flags contradict each other), and for which ONNX's own inference gives a shape to every value
    without a contradiction and carries the batch through to every output.
    """
    if any(d.kind != "batch" for d in layout.dimensions.values()) or any(port.dtype.kind not in "fV" for port in ports):
        return None
    nodes = model.graph.node
    if any(_is_open(node, attribute) for node in nodes for attribute in node.attribute):
        return None
    made = [name for node in nodes for name in node.output if name]
    fed = layout.shapes(sizes)
    shapes = inferred_shapes(model, fed, [*fed, *made], strict=True)
    if shapes is None:
        return None
    for node in nodes:  # inference does not compare what goes into a Reshape with what comes out
        source = shapes.get(node.input[0]) if node.op_type == "Reshape" else None
        if source is not None and math.prod(source) != math.prod(shapes[node.output[0]]):
            return None
    batches = {sizes[key] for key in layout.dimensions}
    if batches and not all(batches.intersection(shapes.get(o.name, ())) for o in model.graph.output):
        return None
    return ELEMENT_BYTES * most_elements(nodes, guessed_elements(nodes, shapes))


def estimated_bytes(model: ModelProto, fed: Mapping[str, Shape]) -> int:
    """Bytes of the values that one run holds at a time where inputs have these shapes, going by what inference tells of them."""
    nodes = model.graph.node
    return ELEMENT_BYTES * most_elements(nodes, guessed_elements(nodes, known_shapes(model, fed) or fed))


def _is_open(node: NodeProto, attribute: AttributeProto) -> bool:
    """Whether the node runs other nodes, or makes whole numbers, which may be ids that leave their table."""
    if attribute.type in (AttributeProto.GRAPH, AttributeProto.GRAPHS):
        return True
    return node.op_type == "Cast" and attribute.name == "to" and attribute.i in INTEGERS
