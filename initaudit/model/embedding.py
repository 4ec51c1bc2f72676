"""External data brought into the message that refers to it, for readers that would look for the file themselves.

onnx looks for external data in the current directory, and so did onnxruntime, for the values of attributes and of everything before 1.21.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnx import AttributeProto, TensorProto

from initaudit.model.bodies import bodies_of
from initaudit.model.external import external_range
from initaudit.model.outline import SMALLEST
from initaudit.model.stored import tensors_of
from initaudit.model.tensors import tensor_from_proto

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from onnx import GraphProto, ModelProto, NodeProto

    from initaudit.model.external import ExternalRange


def embed(model: ModelProto, folder: Path | None) -> None:
    """Leave in a model, in place, only references that onnxruntime resolves in the folder: large initializers whose bytes are there.

    Raises ExternalDataError where bytes are missing, cut short or outside the folder.
    """
    _graph(model.graph, folder)
    for function in model.functions:
        _nodes(function.node, folder)


def embedded(attributes: dict[str, AttributeProto], folder: Path | None) -> dict[str, AttributeProto]:
    """Attributes of one node with their values in them, as copies where they were not. Raises ExternalDataError."""
    outside = {name: a for name, a in attributes.items() if any(map(_is_external, tensors_of(a)))}
    if not outside:
        return attributes
    inside = {name: AttributeProto.FromString(a.SerializeToString()) for name, a in outside.items()}
    for attribute in inside.values():
        _attribute(attribute, folder)
    return {**attributes, **inside}


def _graph(graph: GraphProto, folder: Path | None) -> None:
    for tensor in graph.initializer:
        if _is_external(tensor) and _range(tensor, folder).length < SMALLEST:
            _embed(tensor, folder)
    for sparse in graph.sparse_initializer:
        _embed(sparse.values, folder)
        _embed(sparse.indices, folder)
    _nodes(graph.node, folder)


def _nodes(nodes: Iterable[NodeProto], folder: Path | None) -> None:
    for node in nodes:
        for attribute in node.attribute:
            _attribute(attribute, folder)
            for body in bodies_of(attribute):
                _graph(body, folder)


def _attribute(attribute: AttributeProto, folder: Path | None) -> None:
    for tensor in tensors_of(attribute):
        _embed(tensor, folder)


def _is_external(tensor: TensorProto) -> bool:
    return tensor.data_location == TensorProto.EXTERNAL


def _embed(tensor: TensorProto, folder: Path | None) -> None:
    if _is_external(tensor):
        stored = _range(tensor, folder)
        tensor.raw_data = stored.bytes().tobytes() if stored.length else b""
        tensor.ClearField("external_data")
        tensor.ClearField("data_location")


def _range(tensor: TensorProto, folder: Path | None) -> ExternalRange:
    return external_range(tensor, folder, tensor_from_proto(tensor, name=tensor.name, folder=folder).nbytes())
