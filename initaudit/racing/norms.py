"""with_norms(): a model whose fresh BatchNorms an exporter folded away, with the norms that training would run."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from onnx import TensorProto

from initaudit.extraction.extract import extract_layers
from initaudit.model.build import build_graph
from initaudit.probe.norms import restore_folded
from initaudit.probe.plan import make_plans
from initaudit.racing.rewriting import flattened

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

    from initaudit.model.load import Model

PLACES = range(1, 5)
"""Inputs of a BatchNormalization that are scale, bias, mean and variance (ONNX operator specification)."""


def with_norms(model: Model) -> Model:
    """The same network as its predictions are about: each norm that the probe puts back learns a scale and a bias of its own.

    The model itself where no norm was folded, or not all of them were fresh.
    """
    proto = flattened(model)
    layers = make_plans(model.graph, extract_layers(model).layers)[0].layers
    known = {output for node in proto.graph.node for output in node.output}
    _, restored = restore_folded(proto, layers, model.folder)
    if not restored:
        return model
    stored = {tensor.name: tensor for tensor in proto.graph.initializer}
    for node in proto.graph.node:
        if node.op_type == "BatchNormalization" and node.input[0] not in known:
            _own_tensors(proto, node, stored)
    return replace(model, path=None, proto=proto, graph=build_graph(proto, model.folder))


def _own_tensors(proto: ModelProto, node: NodeProto, stored: dict[str, TensorProto]) -> None:
    for place in PLACES:
        tensor = TensorProto()
        tensor.CopyFrom(stored[node.input[place]])
        tensor.name = f"{node.output[0]}/{node.input[place]}/{place}"
        proto.graph.initializer.append(tensor)
        node.input[place] = tensor.name
