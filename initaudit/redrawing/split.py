"""Tensors of their own for parameters that an exporter stored once because their values were equal."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

from onnx import TensorProto

from initaudit.extraction.copies import names_parameter, read_under, stored_once
from initaudit.extraction.extract import extract_layers
from initaudit.model.build import build_graph

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from onnx import NodeProto

    from initaudit.extraction.layer import Layer
    from initaudit.model.load import Model
    from initaudit.redrawing.choice import Choice

FIRST_FREE_INITIALIZERS = 4
"""IR version from which an initializer need not be a graph input (ONNX IR specification)."""


def split_copies(model: Model, chosen: Sequence[Choice]) -> Model:
    """The model, whose message is changed, with copies split that share a tensor with a layer that is to be drawn anew."""
    return split(model, copies(model, chosen))


def copies(model: Model, chosen: Sequence[Choice]) -> dict[str, str]:
    """Copies that share a tensor with one of the chosen layers, each with the name under which it is stored.

    None where the format has no place for tensors of their own. What is tied is no copy.
    """
    if model.proto.ir_version < FIRST_FREE_INITIALIZERS:
        return {}
    names = _aliases(extract_layers(model).layers, {choice.audit.layer.depth for choice in chosen})
    return {node.output[0]: node.input[0] for node in _merged(model, names)}


def split(model: Model, names: Collection[str]) -> Model:
    """The model, whose message is changed, with tensors of their own for these copies: `b.weight = Identity(a.weight)` becomes an initializer."""
    merged = _merged(model, names)
    if not merged:
        return model
    stored = {tensor.name: tensor for tensor in model.proto.graph.initializer}
    for node in merged:
        own = TensorProto()
        own.CopyFrom(stored[node.input[0]])
        own.name = node.output[0]
        model.proto.graph.initializer.append(own)
        model.proto.graph.node.remove(node)
    return replace(model, graph=build_graph(model.proto, model.folder))


def _merged(model: Model, names: Collection[str]) -> list[NodeProto]:
    """The nodes that give copies their names."""
    if not names:
        return []
    stored = {tensor.name for tensor in model.proto.graph.initializer}
    return [
        node
        for node in model.proto.graph.node
        if node.op_type == "Identity" and node.output[0] in names and node.input[0] in stored
    ]


def _aliases(layers: Sequence[Layer], chosen: set[int]) -> set[str]:
    """Names under which copies read the tensors of the chosen layers."""
    touched = {id(t) for a in layers if a.depth in chosen for t in (*a.weight.tensors[:1], a.bias) if t is not None}
    names: set[str] = set()
    sharing: dict[int, list[Layer]] = defaultdict(list)
    for layer in layers:
        names.update(name for tensor, name in read_under(layer) if id(tensor) in touched and names_parameter(name))
        for tensor in layer.weight.tensors[:1]:
            sharing[id(tensor)].append(layer)
    for key in touched & sharing.keys():
        one = sharing[key][0]
        for other in sharing[key][1:]:
            if stored_once(one, other):
                names.update(
                    name for layer in (one, other) for tensor, name in read_under(layer) if id(tensor) in touched
                )
    return names
