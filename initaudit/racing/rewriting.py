"""rewritten(): a model as the converter takes it: one answer, plain names, numbers of single precision, every constant a tensor by name.

The converter turns names into Python source. Here none of them comes from the file any more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from onnx import AttributeProto, ModelProto, TensorProto, helper, numpy_helper

from initaudit.model.bodies import walk_nodes
from initaudit.model.build import build_graph
from initaudit.probe.flatten import flatten

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from onnx import GraphProto, NodeProto

    from initaudit.model.load import Model

DOMAIN = "initaudit"
"""Of operators that are done here rather than by the converter (`initaudit.racing.operators`)."""
OWN = ("BatchNormalization", "Dropout", "Gather")
"""Those operators, and RNN where it has other activations than tanh."""
RECURRENCES = ("Relu", "Tanh", "Sigmoid")
"""Activations that such an RNN may have."""
SQUASHING = ("Softmax", "LogSoftmax", "Sigmoid")
"""What a network for classes may end with; the loss begins before it."""
WIDER = (TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE)
"""Types of real numbers that become float32 for training."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewritten:
    """The model and what became of its names."""

    proto: ModelProto
    names: Mapping[str, str]
    """Of stored tensors: name in the file -> name here."""
    squashed: tuple[str, int] | None
    """The operator at the end that was taken away, and its axis."""


def rewritten(model: Model, answer: str, *, classes: bool) -> Rewritten:
    """A copy for the converter.

    Args:
        model: as loaded.
        answer: the output that is kept.
        classes: whether a softmax or sigmoid at the very end is taken away.
    """
    proto = flattened(model)
    graph = proto.graph
    _store_constants(proto, model.folder)
    kept = answer
    last = next((node for node in graph.node if answer in node.output), None)
    squashed = None
    if classes and last is not None and last.op_type in SQUASHING:
        kept, squashed = last.input[0], (last.op_type, _axis(last, proto))
    del graph.output[:]
    graph.output.append(helper.make_tensor_value_info(kept, TensorProto.FLOAT, None))
    del graph.value_info[:]
    _drop_unused(graph)
    _single_precision(proto)
    _own_domain(proto)
    names = _rename(graph)
    proto.doc_string = graph.doc_string = ""
    return Rewritten(proto=proto, names=names, squashed=squashed)


def _axis(node: NodeProto, model: ModelProto) -> int:
    """Of a softmax; its default changed with operator set 13."""
    given = next((attribute.i for attribute in node.attribute if attribute.name == "axis"), None)
    opset = next((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), 1)
    return given if given is not None else -1 if opset >= 13 else 1


def flattened(model: Model) -> ModelProto:
    """A copy without functions, values named as the graph view names them."""
    proto = ModelProto()
    proto.CopyFrom(model.proto)
    return flatten(proto)


def _store_constants(model: ModelProto, folder: Path | None) -> None:
    """Every constant of the main graph as an initializer with its values inside, wherever the file has them."""
    graph, held = model.graph, build_graph(model, folder)
    stored = {name: value.tensor for name, value in held.values.items() if value.tensor is not None}
    fresh = [_tensor(name, tensor.array()) for name, tensor in stored.items() if tensor.is_real]
    known = {tensor.name for tensor in fresh}
    plain = [t for t in graph.initializer if t.name not in known]
    nodes = [node for node in graph.node if not (node.op_type == "Constant" and node.output[0] in known)]
    nodes = [_copy(node) for node in nodes]
    plain = [TensorProto.FromString(t.SerializeToString()) for t in plain]
    del graph.node[:], graph.initializer[:], graph.sparse_initializer[:]
    graph.node.extend(nodes)
    graph.initializer.extend([*fresh, *plain])


def _tensor(name: str, values: np.ndarray) -> TensorProto:
    array = np.asarray(values)
    if array.dtype.kind not in "biufc":  # a float type that numpy does not know
        array = array.astype(np.float32)
    return numpy_helper.from_array(array, name)


def _drop_unused(graph: GraphProto) -> None:
    """Leave out what the answer does not need."""
    needed = {output.name for output in graph.output}
    kept: list[NodeProto] = []
    for node in reversed(graph.node):
        if needed & set(node.output):
            kept.append(_copy(node))
            needed |= {name for part in walk_nodes([node]) for name in part.input}
            needed |= {output.name for body in _bodies(node) for output in body.output}
    del graph.node[:]
    graph.node.extend(reversed(kept))
    tensors = [TensorProto.FromString(t.SerializeToString()) for t in graph.initializer if t.name in needed]
    del graph.initializer[:]
    graph.initializer.extend(tensors)


def _single_precision(model: ModelProto) -> None:
    """Float16, bfloat16 and float64 as float32: nobody trains in half precision without a scaled loss."""
    for graph in _graphs(model.graph):
        for tensor in graph.initializer:
            if tensor.data_type in WIDER:
                tensor.CopyFrom(numpy_helper.from_array(_real(tensor), tensor.name))
        for info in (*graph.input, *graph.output, *graph.value_info):
            if info.type.tensor_type.elem_type in WIDER:
                info.type.tensor_type.elem_type = TensorProto.FLOAT
        for node in graph.node:
            for attribute in node.attribute:
                if attribute.name in ("to", "dtype") and attribute.i in WIDER:
                    attribute.i = TensorProto.FLOAT
                if attribute.type == AttributeProto.TENSOR and attribute.t.data_type in WIDER:
                    attribute.t.CopyFrom(numpy_helper.from_array(_real(attribute.t), attribute.t.name))


def _real(tensor: TensorProto) -> np.ndarray:
    return np.asarray(numpy_helper.to_array(tensor)).astype(np.float32)


def _own_domain(model: ModelProto) -> None:
    for node in walk_nodes(model.graph.node):
        if not node.domain and (node.op_type in OWN or _is_recurrence(node)):
            node.domain = DOMAIN
    model.opset_import.append(helper.make_opsetid(DOMAIN, 1))


def _is_recurrence(node: NodeProto) -> bool:
    """Whether it is an RNN that the converter would take for another: sequences of one length, no clipping."""
    given = {attribute.name: attribute for attribute in node.attribute}
    if node.op_type != "RNN" or "activations" not in given or {"clip", "layout"} & given.keys():
        return False
    names = [name.decode() for name in given["activations"].strings]
    return set(names) <= set(RECURRENCES) and set(names) != {"Tanh"} and not "".join(node.input[4:5])


def _rename(graph: GraphProto) -> dict[str, str]:
    """Numbers for names, the same one wherever the same name stands; those of the stored tensors."""
    numbers: dict[str, str] = {"": ""}

    def number(name: str) -> str:
        return numbers.setdefault(name, f"v{len(numbers)}")

    names = {tensor.name: number(tensor.name) for tensor in graph.initializer}
    for part in _graphs(graph):
        part.name = "network"
        for named in (*part.initializer, *part.input, *part.output, *part.value_info):
            named.name = number(named.name)
        for node in part.node:
            node.input[:] = [number(name) for name in node.input]
            node.output[:] = [number(name) for name in node.output]
            node.doc_string = ""
    for place, node in enumerate(walk_nodes(graph.node)):
        node.name = f"n{place}"
    return names


def _graphs(graph: GraphProto) -> Iterator[GraphProto]:
    """The graph and the bodies in it."""
    yield graph
    for node in graph.node:
        for body in _bodies(node):
            yield from _graphs(body)


def _bodies(node: NodeProto) -> Iterator[GraphProto]:
    for attribute in node.attribute:
        if attribute.type == AttributeProto.GRAPH:
            yield attribute.g
        yield from attribute.graphs


def _copy(node: NodeProto) -> NodeProto:
    return type(node).FromString(node.SerializeToString())
