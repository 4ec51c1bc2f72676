"""flatten(): the same model without function calls, every value named as `initaudit.model.graph` names it.

Taps and cuts refer to values by these names. Weights are not touched: a model without functions, whose names the graph
keeps anyway, comes back as it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import onnx
from onnx import AttributeProto, GraphProto, ModelProto, NodeProto

from initaudit.model.bodies import walk_nodes, without_doubled_constants
from initaudit.model.build import build_graph
from initaudit.model.unique import distinct

if TYPE_CHECKING:
    from collections.abc import Iterable

    from initaudit.model.graph import Graph, Node

MIN_IR_VERSION = 4
"""First IR version in which an initializer need not be a graph input."""


def flatten(model: ModelProto) -> ModelProto:
    """Inline the functions of `model` in place and return it. Raises InvalidModel where the graph contradicts itself.

    Initializers stop being graph inputs, so that onnxruntime may treat them as constants.
    """
    if model.functions:
        graph = build_graph(model, None, checked=True)
        nodes = [_node(node) for node in graph.nodes]
        del model.graph.node[:]
        model.graph.node.extend(nodes)
        del model.graph.value_info[:]  # names inside functions mean something else now
        _import_domains(model, graph)
        del model.functions[:]
    _drop_constant_inputs(model)
    kept = without_doubled_constants(model.graph.node)
    if kept is not model.graph.node:
        copies = [NodeProto.FromString(node.SerializeToString()) for node in kept]
        del model.graph.node[:]
        model.graph.node.extend(copies)
    _distinguish(walk_nodes(model.graph.node))
    return model


def _distinguish(nodes: Iterable[NodeProto]) -> None:
    """Number the names of nodes that occur more than once: onnx allows them, onnxruntime does not.

    Unnamed nodes of a function share the name of its call in the graph view.
    """
    named = [node for node in nodes if node.name]
    for node, name in zip(named, distinct([(node.name, "") for node in named]), strict=True):
        node.name = name


def _drop_constant_inputs(model: ModelProto) -> None:
    constants = {t.name for t in model.graph.initializer} | {t.values.name for t in model.graph.sparse_initializer}
    kept = [info for info in model.graph.input if info.name not in constants]
    if len(kept) != len(model.graph.input):
        copies = [onnx.ValueInfoProto.FromString(info.SerializeToString()) for info in kept]
        del model.graph.input[:]
        model.graph.input.extend(copies)
    model.ir_version = max(model.ir_version, MIN_IR_VERSION)


def _import_domains(model: ModelProto, graph: Graph) -> None:
    """Operator sets that only functions imported, where their bodies are used."""
    known = {entry.domain for entry in model.opset_import}
    used = {node.proto.domain for node in graph.walk()}
    for function in model.functions:
        for entry in function.opset_import:
            if entry.domain in used - known:
                model.opset_import.append(onnx.helper.make_opsetid(entry.domain, entry.version))
                known.add(entry.domain)


def _node(node: Node) -> NodeProto:
    proto = NodeProto(op_type=node.op_type, domain=node.proto.domain, name=node.name)
    proto.input.extend(value.name if value is not None else "" for value in node.inputs)
    proto.output.extend(value.name if value is not None else "" for value in node.outputs)
    for key, attribute in node.attributes.items():
        if attribute.type == AttributeProto.GRAPH:
            made = AttributeProto(name=key, type=AttributeProto.GRAPH)
            made.g.CopyFrom(_body(node.subgraphs[key], attribute.g))
            proto.attribute.append(made)
        elif attribute.type == AttributeProto.GRAPHS:
            made = AttributeProto(name=key, type=AttributeProto.GRAPHS)
            made.graphs.extend(_body(node.subgraphs[f"{key}[{i}]"], g) for i, g in enumerate(attribute.graphs))
            proto.attribute.append(made)
        else:
            made = proto.attribute.add()
            made.CopyFrom(attribute)
            made.name = key
    return proto


def _body(graph: Graph, proto: GraphProto) -> GraphProto:
    """The body of an If, Loop or Scan with the names of the graph view."""
    body = GraphProto(name=graph.name)
    body.node.extend(_node(node) for node in graph.nodes)
    for target, values, infos in ((body.input, graph.inputs, proto.input), (body.output, graph.outputs, proto.output)):
        for value, info in zip(values, infos, strict=True):
            copy = target.add()
            copy.CopyFrom(info)
            copy.name = value.name
    for value in graph.values.values():
        if value.tensor is None or value.producer is not None:
            continue
        if isinstance(value.tensor.proto, onnx.SparseTensorProto):
            sparse = body.sparse_initializer.add()
            sparse.CopyFrom(value.tensor.proto)
            sparse.values.name = value.name
        elif value.tensor.proto is not None:
            tensor = body.initializer.add()
            tensor.CopyFrom(value.tensor.proto)
            tensor.name = value.name
    return body
