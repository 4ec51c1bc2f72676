"""Element types of the values of a graph, from the schemas of its operators and without shapes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import onnx
from onnx import TensorProto

from initaudit.model.graph import DEFAULT_DOMAINS
from initaudit.probe.instrument import standard_opset

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

CONCRETE = {f"tensor({TensorProto.DataType.Name(code).lower()})": code for code in TensorProto.DataType.values()}
"""How schemas write an element type."""


def element_types(model: ModelProto) -> dict[str, int]:
    """Element type of every tensor of the main graph whose type is evident; `model` is flattened and sorted.

    An operator without a schema is taken to give what its first input is.
    """
    types = {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    types |= {sparse.values.name: sparse.values.data_type for sparse in model.graph.sparse_initializer}
    for info in model.graph.input:
        types[info.name] = info.type.tensor_type.elem_type
    opset = standard_opset(model)
    for node in model.graph.node:
        for position, name in enumerate(node.output):
            found = _output_type(node, position, types, opset) if name else 0
            if found:
                types[name] = found
    return types


def _output_type(node: NodeProto, position: int, types: dict[str, int], opset: int) -> int:
    """The type of an output; 0 where it is not evident."""
    attributes = {a.name: a for a in node.attribute}
    if node.op_type == "Constant":
        return attributes["value"].t.data_type if "value" in attributes else 0
    if node.op_type == "Cast":
        return int(attributes["to"].i) if "to" in attributes else 0
    if node.op_type == "ConstantOfShape":
        return attributes["value"].t.data_type if "value" in attributes else TensorProto.FLOAT
    first = types.get(node.input[0], 0) if node.input else 0
    if node.domain not in DEFAULT_DOMAINS:
        return first if position == 0 else 0
    try:
        schema = onnx.defs.get_schema(node.op_type, max_inclusive_version=opset)
    except onnx.defs.SchemaError:
        return 0
    kind = schema.outputs[min(position, len(schema.outputs) - 1)].type_str
    if kind in CONCRETE:
        return CONCRETE[kind]
    for number, name in enumerate(node.input):
        if name and schema.inputs[min(number, len(schema.inputs) - 1)].type_str == kind:
            return types.get(name, 0)
    return 0
