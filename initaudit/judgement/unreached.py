"""Outputs that no input reaches: an exporter that traced a network on an example may leave the example in the file and the input unused."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from initaudit.kind import Kind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from initaudit.measuring.layer_audit import LayerAudit
    from initaudit.model.graph import Graph, Value
    from initaudit.probe.probe import ProbeResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreached:
    """An output that is the same for all inputs, though no layer in front of it is to blame."""

    output: str
    behind: int
    """Layers that make it."""
    first: LayerAudit
    """The first of them."""
    is_cut_off: bool
    """The graph has no way from an input to these layers; else only nothing came through in the probe."""


def unreached_outputs(graph: Graph, layers: Sequence[LayerAudit], probe: ProbeResult) -> list[Unreached]:
    """The outputs of `graph` that learned layers make without any input."""
    found: list[Unreached] = []
    if not any(value.is_input for value in graph.inputs):
        return found
    for output in graph.outputs:
        if not (output.is_static or output.name in probe.constant_outputs):
            continue
        nodes = _behind(output)
        behind = [
            a for a in layers if a.layer.kind.has_target and not a.layer.untrainable and id(a.layer.node) in nodes
        ]
        if behind and not any(map(_sees_input, behind)):
            cut_off = all(_is_cut_off(a) for a in behind)
            found.append(Unreached(output=output.name, behind=len(behind), first=behind[0], is_cut_off=cut_off))
    return found


def why_unreached(graph: Graph, layers: Sequence[LayerAudit], probe: ProbeResult) -> str | None:
    """Why nothing that the probe measured says anything of the network's learning; None where some output has an input."""
    found = unreached_outputs(graph, layers, probe)
    made_by_layers = {o.output for o in found}
    if not found or any(output.name not in made_by_layers for output in graph.outputs):
        return None
    return "Whether it learns was not judged: no input reaches its layers."


def _sees_input(audit: LayerAudit) -> bool:
    """Whether something that differs between inputs arrives at the layer, or may, where that was not measured."""
    if _is_cut_off(audit):
        return False
    entered = audit.signal.input if audit.signal is not None else None
    return audit.layer.kind is Kind.EMBEDDING or entered is None or entered.variance > 0.0


def _is_cut_off(audit: LayerAudit) -> bool:
    output = audit.layer.output
    return output is not None and output.is_static


def _behind(output: Value) -> set[int]:
    """The nodes that make a value, by identity, those in the bodies of others with them."""
    found: set[int] = set()
    stack = [output]
    while stack:
        node = stack.pop().producer
        if node is not None and id(node) not in found:
            found.add(id(node))
            found.update(id(inner) for body in node.subgraphs.values() for inner in body.walk())
            stack.extend(node.reads())
    return found
