"""Values in the bodies of loops, brought out of every iteration.

Loop and Scan stack what each iteration gives as a scan output. A value that is to be looked at becomes one more of them, with the iterations
as its first axis, under the name that `initaudit.probe.branches.inlined_name` gives it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnx import AttributeProto, ValueInfoProto, helper

from initaudit.model.bodies import bodies_of
from initaudit.probe.branches import way_to

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from onnx import ModelProto, NodeProto

    from initaudit.model.graph import Graph

LOOPS = frozenset(("Loop", "Scan"))
"""Operators that run a body again and again."""
EACH = "{}__each"
"""Name, in a body, of the value that is brought out."""


def way_to_loop(graph: Graph) -> Mapping[str, str] | None:
    """The branches that lead to the loop whose body a graph is; None where it is the body of none, or of a loop in a loop."""
    owner = graph.owner
    return way_to(owner.graph) if owner is not None and owner.op_type in LOOPS else None


def bring_out(model: ModelProto, wanted: Iterable[str]) -> None:
    """Give the loops of the main graph of a flattened model the values `wanted` as further outputs, in place."""
    names = frozenset(wanted)
    if not names:
        return
    for node in model.graph.node:
        if node.op_type in LOOPS:
            _bring_out(node, names)


def _bring_out(node: NodeProto, wanted: frozenset[str]) -> None:
    label = next((name for name in node.output if name), "")
    body = next(b for a in node.attribute if a.type == AttributeProto.GRAPH for b in bodies_of(a))
    inner = [name for part in body.node for name in part.output if name and f"{label}/{name}" in wanted]
    if not inner:
        return
    given = len(body.output) - (node.op_type == "Loop")  # the first output of a Loop's body is its condition
    node.output.extend([""] * (given - len(node.output)))
    for name in inner:
        body.node.append(helper.make_node("Identity", [name], [EACH.format(name)]))
        body.output.append(ValueInfoProto(name=EACH.format(name)))
        node.output.append(f"{label}/{name}")
    for attribute in node.attribute:
        if attribute.name in ("scan_output_axes", "scan_output_directions"):
            attribute.ints.extend([0] * len(inner))
