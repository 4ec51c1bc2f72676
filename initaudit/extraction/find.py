"""Asks every operator family about every node, and settles what is said more than once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING

from initaudit.kind import Kind
from initaudit.op import AuxiliaryConstant, DetachedConstant, LayerSpec, NotALayer, Operator, key
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
        for name in (
            family.types if isinstance(family.types, tuple) else ()
        ):  # what is none is told as a fault of its package
            table.setdefault(name, []).append(instance)
    return {name: tuple(instances) for name, instances in table.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Discovered:
    """What the operator families said."""

    specs: tuple[tuple[Node, LayerSpec], ...]
    """Layers in topological order."""
    not_layers: tuple[NotALayer, ...]
    """Constants that are no layer, with the reason."""
    refused: Mapping[int, str]
    """By id of the stored tensor: why its use could not be understood."""


def find_specs(graph: Graph, constants: Constants) -> Discovered:
    """Layers of all nodes, bodies included, with their auxiliary constants; of doubtful claims to a tensor only the least doubtful."""
    specs: list[tuple[Node, LayerSpec]] = []
    detached: list[tuple[Node, DetachedConstant]] = []
    not_layers: list[NotALayer] = []
    refused: dict[int, str] = {}
    table = operators()
    for node in graph.walk():
        families = () if BACKWARD in node.name else table.get(key(node), ())
        for family in families:
            try:
                for found in family.find(node, constants):
                    if isinstance(found, NotALayer):
                        not_layers.append(found)
                    elif isinstance(found, DetachedConstant):
                        detached.append((node, found))
                    elif found.operand.tensors:  # a constant made of shapes alone is no weight
                        specs.append((node, found))
            except Exception as error:  # noqa: BLE001  a node that no family understands costs its own weights alone
                reason = f"{node.op_type} {node.name!r}: {error}"
                refused |= dict.fromkeys(_read_by(node, constants), reason)
    for value, reason in constants.opaque.items():
        for tensor in _read_by(value.producer, constants):
            refused.setdefault(tensor, reason)
    specs, rest = _assign(specs, detached)
    specs = sorted(_least_doubtful(specs), key=_Order(graph))
    return Discovered(specs=tuple(specs), not_layers=(*not_layers, *rest), refused=refused)


def _read_by(node: Node | None, constants: Constants) -> list[int]:
    """Ids of the stored tensors behind the inputs of a node."""
    operands = [constants.get(value) for value in (node.inputs if node is not None else ())]
    return [id(tensor) for operand in operands if operand is not None for tensor in operand.tensors]


class _Order:
    """Sort key: the position of a layer's node."""

    def __init__(self, graph: Graph) -> None:
        self.positions = {node: i for i, node in enumerate(graph.walk())}

    def __call__(self, found: tuple[Node, LayerSpec]) -> int:
        return self.positions[found[0]]


def _least_doubtful(specs: list[tuple[Node, LayerSpec]]) -> list[tuple[Node, LayerSpec]]:
    """Without the claims to tensors that a less doubtful one uses."""
    best: dict[int, int] = {}
    for _, spec in specs:
        for operand in (spec.operand, *(c.operand for c in spec.auxiliary)):
            for tensor in operand.tensors:
                best[id(tensor)] = min(best.get(id(tensor), spec.doubt), spec.doubt)
    return [(n, s) for n, s in specs if s.doubt <= best[id(s.operand.tensors[0])]]


def _assign(
    specs: list[tuple[Node, LayerSpec]], detached: list[tuple[Node, DetachedConstant]]
) -> tuple[list[tuple[Node, LayerSpec]], list[NotALayer]]:
    """Give each constant to the layer that made the value it is added to, if it has as many units."""
    makers: dict[Value, list[int]] = {}
    for index, (_, spec) in enumerate(specs):
        if spec.output is not None:
            makers.setdefault(spec.output, []).append(index)
    instead: list[tuple[Node, LayerSpec]] = []
    not_layers: list[NotALayer] = []
    for adder, constant in detached:
        taken = False
        for value in (constant.to, *constant.also):
            for index in makers.get(made_by(value, makers), ()):
                node, spec = specs[index]
                span = constant.span or (0, constant.operand.size)
                if spec.feeds or spec.kind is Kind.EMBEDDING:
                    continue
                fits = span[1] - span[0] in (spec.units, spec.units * spec.copies)
                if fits and not any(c.role == constant.role for c in spec.auxiliary):
                    own = AuxiliaryConstant(operand=constant.operand, role=constant.role, span=constant.span)
                    specs[index] = node, replace(spec, auxiliary=(*spec.auxiliary, own))
                    taken = True
            if taken:
                break
        if not taken and constant.otherwise is not None:
            found = constant.otherwise()
            if isinstance(found, NotALayer):
                not_layers.append(found)
            else:
                instead.append((adder, found))
    return specs + instead, not_layers


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
