"""The float32 shadow of a model whose element types onnxruntime's CPU provider cannot compute with.

The provider has few kernels for bfloat16, not all for float16, and none for float8 arithmetic. The shadow is the same
graph with float32 in place of these types. The stored weights stay as they are, in the file or in external data: a
Cast behind each of them yields the float32 values under the old name, so nothing is copied before it is needed and
every name in the graph keeps its meaning.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, numpy_helper

from initaudit.model.bodies import bodies_of

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, TypeProto

HALF = frozenset((TensorProto.BFLOAT16, TensorProto.FLOAT16))
"""Two-byte types: arithmetic types that every operator may meet."""
TINY = frozenset(code for name, code in TensorProto.DataType.items() if name.startswith(("FLOAT8", "FLOAT4")))
"""One-byte and smaller types: stored by QuantizeLinear, read by DequantizeLinear, hardly computed with."""
TYPE_ATTRIBUTES = frozenset(("to", "dtype", "output_dtype", "output_datatype", "softmax_precision"))
"""Integer attributes of standard operators that hold an element type."""
STORED = "{}__stored"
"""Name of an initializer behind the Cast that takes its old name."""


def shadow(model: ModelProto) -> list[str]:
    """Turn 16-bit and 8-bit floating point into float32, in place; the note for the report.

    Args:
        model: without calls of model-local functions.
    """
    found = sorted(TensorProto.DataType.Name(code).lower() for code in HALF | TINY if uses(model, frozenset((code,))))
    _graph(model.graph)
    return [f"computed in float32: onnxruntime lacks CPU kernels for {' and '.join(found)}"] if found else []


def uses(model: ModelProto, types: frozenset[int]) -> bool:
    """Whether an input, output, stored tensor, constant or Cast of the model has one of these element types."""
    return _graph_uses(model.graph, types)


def _graph_uses(graph: GraphProto, types: frozenset[int]) -> bool:
    if any(t.data_type in types for t in graph.initializer):
        return True
    if any(_element_type(info.type) in types for info in (*graph.input, *graph.output, *graph.value_info)):
        return True
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.name in TYPE_ATTRIBUTES and attribute.i in types:
                return True
            if attribute.HasField("t") and attribute.t.data_type in types:
                return True
            if any(_graph_uses(body, types) for body in bodies_of(attribute)):
                return True
    return False


def _graph(graph: GraphProto) -> None:
    """Convert one graph and its bodies."""
    quantised = {
        name for node in graph.node if node.op_type == "DequantizeLinear" for name in (node.input[0], *node.input[2:])
    } | {name for node in graph.node if node.op_type == "QuantizeLinear" for name in node.input[2:]}
    casts: list[NodeProto] = []
    for tensor in graph.initializer:
        if tensor.data_type in HALF or (tensor.data_type in TINY and tensor.name not in quantised):
            stored = STORED.format(tensor.name)
            casts.append(onnx.helper.make_node("Cast", [stored], [tensor.name], name=stored, to=TensorProto.FLOAT))
            tensor.name = stored
    for info in (*graph.input, *graph.output, *graph.value_info):
        if info.name not in quantised or _element_type(info.type) in HALF:
            _retype(info.type)
    for node in graph.node:
        _node(node)
    if casts:
        nodes = [*casts, *graph.node]
        copies = [NodeProto.FromString(node.SerializeToString()) for node in nodes]
        del graph.node[:]
        graph.node.extend(copies)


def _node(node: NodeProto) -> None:
    quantising = node.op_type in ("QuantizeLinear", "DequantizeLinear")
    for attribute in node.attribute:
        if attribute.name in TYPE_ATTRIBUTES and (attribute.i in HALF or (attribute.i in TINY and not quantising)):
            attribute.i = TensorProto.FLOAT
        if attribute.HasField("t") and attribute.t.data_type in HALF | TINY:
            values = numpy_helper.to_array(attribute.t).astype(np.float32)
            attribute.t.CopyFrom(numpy_helper.from_array(values, attribute.t.name))
        for body in bodies_of(attribute):
            _graph(body)


def _element_type(kind: TypeProto) -> int:
    """Element type of a tensor, a sequence of tensors or an optional one; 0 where there is none."""
    for _ in range(8):
        which = kind.WhichOneof("value")
        if which in ("tensor_type", "sparse_tensor_type"):
            return int(getattr(kind, which).elem_type)
        if which not in ("sequence_type", "optional_type"):
            break
        kind = getattr(kind, which).elem_type
    return 0


def _retype(kind: TypeProto) -> None:
    for _ in range(8):
        which = kind.WhichOneof("value")
        if which in ("tensor_type", "sparse_tensor_type"):
            tensor = getattr(kind, which)
            if tensor.elem_type in HALF | TINY:
                tensor.elem_type = TensorProto.FLOAT
            return
        if which not in ("sequence_type", "optional_type"):
            return
        kind = getattr(kind, which).elem_type
