"""Asks every operator family about every node, and settles what is said more than once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING

from initaudit.errors import InitauditError
from initaudit.kind import Kind
from initaudit.op import Aside, Attachment, Companion, LayerSpec, Operator, key
from initaudit.registry import discover

if TYPE_CHECKING:
    from collections.abc import Mapping

    from initaudit.model.graph import Graph, Node, Value
    from initaudit.views import Constants

BACKWARD = "_Grad/"
"""In the names of nodes that onnxruntime's training adds: products with a weight on the way back are no further uses of it."""

MAX_PASSING = 16
"""Longest such chain; a Reshape, a Transpose and a Cast or two are usual."""


@cache
def operators() -> Mapping[str, tuple[Operator, ...]]:
    """Operator families by the operators they serve."""
    table: dict[str, list[Operator]] = {}
    for family in discover("initaudit.ops", Operator):
        instance = family()
        for name in family.types:
            table.setdefault(name, []).append(instance)
    return {name: tuple(instances) for name, instances in table.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finds:
    """What the operator families said."""

    specs: tuple[tuple[Node, LayerSpec], ...]
    """Layers in topological order."""
    asides: tuple[Aside, ...]
    """Constants that are no layer, with the reason."""
    refused: Mapping[int, str]
    """By id of the stored tensor: why its use could not be understood."""


def find_specs(graph: Graph, constants: Constants) -> Finds:
    """Layers of all nodes, bodies included; companions attached; weak claims dropped where a stronger one uses the tensor."""
    specs: list[tuple[Node, LayerSpec]] = []
    attachments: list[tuple[Node, Attachment]] = []
    asides: list[Aside] = []
    refused: dict[int, str] = {}
    table = operators()
    for node in graph.walk():
        if BACKWARD in node.name:
            continue
        for family in table.get(key(node), ()):
            try:
                for found in family.find(node, constants):
                    if isinstance(found, LayerSpec):
                        if found.operand.tensors:  # a constant made of shapes alone is no weight
                            specs.append((node, found))
                    elif isinstance(found, Attachment):
                        attachments.append((node, found))
                    else:
                        asides.append(found)
            except (InitauditError, ValueError, IndexError, TypeError, ZeroDivisionError) as error:
                for value in node.inputs:
                    operand = constants.get(value)
                    for tensor in operand.tensors if operand is not None else ():
                        refused[id(tensor)] = f"{node.op_type} {node.name!r}: {error}"
    for value, reason in constants.opaque.items():
        for given in value.producer.inputs if value.producer is not None else ():
            operand = constants.get(given)
            for tensor in operand.tensors if operand is not None else ():
                refused.setdefault(id(tensor), reason)
    specs, rest = _attach(specs, attachments)
    specs = _strongest(specs)
    asides += rest
    return Finds(specs=tuple(sorted(specs, key=_Order(graph))), asides=tuple(asides), refused=refused)


class _Order:
    """Sort key: the position of a layer's node."""

    def __init__(self, graph: Graph) -> None:
        self.positions = {node: i for i, node in enumerate(graph.walk())}

    def __call__(self, found: tuple[Node, LayerSpec]) -> int:
        return self.positions[found[0]]


def _strongest(specs: list[tuple[Node, LayerSpec]]) -> list[tuple[Node, LayerSpec]]:
    """Without the weak claims to tensors that a stronger one uses."""
    best: dict[int, int] = {}
    for _, spec in specs:
        for operand in (spec.operand, *(c.operand for c in spec.companions)):
            for tensor in operand.tensors:
                best[id(tensor)] = min(best.get(id(tensor), spec.weak), spec.weak)
    return [(n, s) for n, s in specs if s.weak <= best[id(s.operand.tensors[0])]]


def _attach(
    specs: list[tuple[Node, LayerSpec]], attachments: list[tuple[Node, Attachment]]
) -> tuple[list[tuple[Node, LayerSpec]], list[Aside]]:
    """Give each attachment to the layer that made the value it is added to, if it has as many units."""
    makers: dict[Value, list[int]] = {}
    for index, (_, spec) in enumerate(specs):
        if spec.output is not None:
            makers.setdefault(spec.output, []).append(index)
    loose: list[tuple[Node, LayerSpec]] = []
    asides: list[Aside] = []
    for adder, attachment in attachments:
        taken = False
        for value in (attachment.to, *attachment.also):
            for index in makers.get(made_by(value, makers), ()):
                node, spec = specs[index]
                span = attachment.span or (0, attachment.operand.size)
                if spec.feeds or spec.kind is Kind.EMBEDDING:
                    continue
                fits = span[1] - span[0] in (spec.units, spec.units * spec.copies)
                if fits and not any(c.role == attachment.role for c in spec.companions):
                    companion = Companion(operand=attachment.operand, role=attachment.role, span=attachment.span)
                    specs[index] = node, replace(spec, companions=(*spec.companions, companion))
                    taken = True
            if taken:
                break
        if not taken and attachment.otherwise is not None:
            instead = attachment.otherwise()
            if isinstance(instead, Aside):
                asides.append(instead)
            else:
                loose.append((adder, instead))
    return specs + loose, asides


def made_by(value: Value, known: Mapping[Value, object]) -> Value:
    """`value`, or the value it was moved from that is a key of `known`."""
    at = value
    for _ in range(MAX_PASSING):
        if at in known:
            return at
        node = at.producer
        if node is None or not (node.spec.only_moves or node.spec.selects) or node.inputs[0] is None:
            break
        at = node.inputs[0]
    return value
