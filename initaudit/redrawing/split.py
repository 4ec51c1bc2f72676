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
    from collections.abc import Sequence

    from initaudit.extraction.layer import Layer
    from initaudit.model.load import Model
    from initaudit.redrawing.choice import Choice

FIRST_FREE_INITIALIZERS = 4
"""IR version from which an initializer need not be a graph input (ONNX IR specification)."""


def split_copies(model: Model, chosen: Sequence[Choice]) -> Model:
    """The model, whose message is changed, with copies split that share a tensor with a layer that is to be drawn anew.

    `b.weight = Identity(a.weight)` becomes an initializer `b.weight`. What is tied stays tied.
    """
    if model.proto.ir_version < FIRST_FREE_INITIALIZERS:
        return model
    layers = extract_layers(model).layers
    names = _aliases(layers, {choice.audit.layer.depth for choice in chosen})
    stored = {tensor.name: tensor for tensor in model.proto.graph.initializer}
    merged = [
        node
        for node in model.proto.graph.node
        if node.op_type == "Identity" and node.output[0] in names and node.input[0] in stored
    ]
    if not merged:
        return model
    for node in merged:
        own = TensorProto()
        own.CopyFrom(stored[node.input[0]])
        own.name = node.output[0]
        model.proto.graph.initializer.append(own)
        model.proto.graph.node.remove(node)
    return replace(model, graph=build_graph(model.proto, model.folder))


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
