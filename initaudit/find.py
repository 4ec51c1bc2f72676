"""Asks every operator family about every node, and settles what is said more than once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from initaudit.errors import InitauditError
from initaudit.op import Aside, Attachment, Companion, LayerSpec, key, operators

if TYPE_CHECKING:
    from collections.abc import Mapping

    from initaudit.graph import Graph, Node, Value
    from initaudit.views import Constants

PASSING = frozenset({"Identity", "Cast", "Reshape", "Transpose", "Flatten", "Squeeze", "Unsqueeze", "DequantizeLinear", "QuantizeLinear", "Dropout", "Slice", "Split", "Gather"})
"""Operators between a layer and the add of its bias: they move or re-encode its output."""

MAX_PASSING = 16
"""Longest such chain; a Reshape, a Transpose and a Cast or two are usual."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finds:
    """What the operator families said."""

    specs: tuple[tuple[Node, LayerSpec], ...]
    """Layers in topological order."""
    asides: tuple[Aside, ...]
    """Constants that are no layer, with the reason."""
    refused: Mapping[int, str]
    """By id of the stored tensor: why its use could not be understood."""
    loose: tuple[Attachment, ...]
    """Constants that should belong to a layer which was not found."""


def find_specs(graph: Graph, constants: Constants) -> Finds:
    """Layers of all nodes, bodies included; companions attached; weak claims dropped where a stronger one uses the tensor."""
    specs: list[tuple[Node, LayerSpec]] = []
    attachments: list[Attachment] = []
    asides: list[Aside] = []
    refused: dict[int, str] = {}
    table = operators()
    for node in graph.walk():
        for family in table.get(key(node), ()):
            try:
                for found in family.find(node, constants):
                    if isinstance(found, LayerSpec):
                        if found.operand.tensors:  # a constant made of shapes alone is no weight
                            specs.append((node, found))
                    elif isinstance(found, Attachment):
                        attachments.append(found)
                    else:
                        asides.append(found)
            except (InitauditError, ValueError, IndexError, TypeError, ZeroDivisionError) as error:
                for value in node.inputs:
                    operand = constants.get(value)
                    for tensor in operand.tensors if operand is not None else ():
                        refused[id(tensor)] = f"{node.op_type} {node.name!r}: {error}"
    specs = _strongest(specs)
    specs, loose = _attach(specs, attachments)
    return Finds(specs=tuple(specs), asides=tuple(asides), refused=refused, loose=tuple(loose))


def _strongest(specs: list[tuple[Node, LayerSpec]]) -> list[tuple[Node, LayerSpec]]:
    best: dict[int, int] = {}
    for _, spec in specs:
        for tensor in spec.operand.tensors:
            best[id(tensor)] = min(best.get(id(tensor), spec.weak), spec.weak)
    return [
        (node, spec)
        for node, spec in specs
        if not spec.operand.tensors or spec.weak <= max(best[id(t)] for t in spec.operand.tensors)
    ]


def _attach(
    specs: list[tuple[Node, LayerSpec]], attachments: list[Attachment]
) -> tuple[list[tuple[Node, LayerSpec]], list[Attachment]]:
    """Give each attachment to the layer that made the value it is added to."""
    makers: dict[Value, list[int]] = {}
    for index, (_, spec) in enumerate(specs):
        if spec.output is not None:
            makers.setdefault(spec.output, []).append(index)
    loose = []
    for attachment in attachments:
        indices = makers.get(made_by(attachment.to, makers), [])
        if not indices:
            loose.append(attachment)
        for index in indices:
            node, spec = specs[index]
            companion = Companion(operand=attachment.operand, role=attachment.role, span=attachment.span or _span(spec))
            specs[index] = node, replace(spec, companions=(*spec.companions, companion))
    return specs, loose


def _span(spec: LayerSpec) -> tuple[int, int] | None:
    return spec.unit_slice


def made_by(value: Value, known: Mapping[Value, object]) -> Value:
    """`value`, or the value it was moved from that is a key of `known`."""
    at = value
    for _ in range(MAX_PASSING):
        if at in known:
            return at
        node = at.producer
        if node is None or node.op_type not in PASSING or node.inputs[0] is None:
            break
        at = node.inputs[0]
    return value
