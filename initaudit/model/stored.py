"""Every tensor that a model file holds, wherever in the message it stands: what an audit reads, and what it does not (training, functions that nobody calls)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from initaudit.model.bodies import bodies_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto


VALUE_FIELDS = (
    "raw_data",
    "float_data",
    "int32_data",
    "int64_data",
    "double_data",
    "uint64_data",
    "external_data",
    "data_location",
)
"""Fields of a tensor that say what it holds, or where that lies; texts are left, which no other field can hold."""


def clear_values(tensor: TensorProto) -> None:
    """Leave of a tensor its name, type and shape, and what else is said of it."""
    for field in VALUE_FIELDS:
        tensor.ClearField(field)


def stored_tensors(model: ModelProto) -> Iterator[TensorProto]:
    """The messages that hold values, in the order of the file's fields."""
    yield from _of_graph(model.graph)
    for training in model.training_info:
        yield from _of_graph(training.initialization)
        yield from _of_graph(training.algorithm)
    for function in model.functions:
        yield from _of_attributes(function.attribute_proto)
        yield from _of_nodes(function.node)


def tensors_of(attribute: AttributeProto) -> Iterator[TensorProto]:
    """Those of an attribute, its bodies left out."""
    if attribute.HasField("t"):
        yield attribute.t
    yield from attribute.tensors
    if attribute.HasField("sparse_tensor"):
        yield from (attribute.sparse_tensor.values, attribute.sparse_tensor.indices)
    for sparse in attribute.sparse_tensors:
        yield from (sparse.values, sparse.indices)


def _of_graph(graph: GraphProto) -> Iterator[TensorProto]:
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    yield from _of_nodes(graph.node)


def _of_nodes(nodes: Iterable[NodeProto]) -> Iterator[TensorProto]:
    for node in nodes:
        yield from _of_attributes(node.attribute)


def _of_attributes(attributes: Iterable[AttributeProto]) -> Iterator[TensorProto]:
    for attribute in attributes:
        yield from tensors_of(attribute)
        for body in bodies_of(attribute):
            yield from _of_graph(body)
