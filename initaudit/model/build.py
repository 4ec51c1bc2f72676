"""From protobuf to the navigable graph: names resolved, functions inlined, nodes sorted, contradictions refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import onnx
from onnx import AttributeProto, FunctionProto, GraphProto, NodeProto, ValueInfoProto

from initaudit.model.bodies import bodies_of, without_doubled_constants
from initaudit.model.checked import Opset, check_bound, check_model, opset_of
from initaudit.model.embedding import embedded
from initaudit.model.graph import Graph, Node, Value
from initaudit.model.inlining import check_inlined_size, key_of
from initaudit.model.operators import Use
from initaudit.model.order import sort_nodes
from initaudit.model.scope import Scope
from initaudit.model.tensors import Tensor, checked_tensor, dtype_name, literal_tensor, sparse_tensor

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from onnx import ModelProto


def build_graph(model: ModelProto, folder: Path | None, *, checked: bool = False) -> Graph:
    """View of the main graph. Raises InvalidModel where names do not resolve, cycle, or functions recurse.

    What the file says of itself is looked at before, and of what no folder holds external data is refused, unless the model was `checked`.
    """
    if not checked:
        check_model(model, folder)
    functions = {(f.domain, f.name, f.overload): f for f in model.functions}
    check_inlined_size(model.graph.node, functions)
    graph = Builder(functions, opset_of(model), folder).graph(model.graph, Scope(graph=Graph(model.graph.name)))
    for value, _ in graph.tensors():
        value.is_static = True
    for node in graph.walk():
        static = node.spec.use is Use.SHAPE or (
            not node.subgraphs
            and node.spec.use is not Use.RANDOM
            and all(v is None or v.is_static for v in node.inputs)
        )
        for output in node.outputs:
            if output is not None:
                output.is_static = static
    return graph


class Builder:
    """Makes the graphs of one model: values and nodes, bodies nested, function calls replaced by their bodies."""

    def __init__(self, functions: dict[tuple[str, str, str], FunctionProto], opset: Opset, folder: Path | None) -> None:
        self.functions = functions
        self.opset = opset
        self.folder = folder
        self.constants: dict[int, Tensor] = {}

    def graph(self, proto: GraphProto, scope: Scope) -> Graph:
        """The graph of `scope`, main or body, filled with what the file says of it."""
        graph, names = scope.graph, scope.names
        for tensor in proto.initializer:
            wrapped = self.once(tensor, lambda t=tensor: checked_tensor(t, name=t.name, folder=self.folder))
            scope.define(tensor.name).tensor = wrapped
        for sparse in proto.sparse_initializer:
            name = sparse.values.name
            wrapped = self.once(sparse, lambda s=sparse, n=name: sparse_tensor(s, name=n, folder=self.folder))
            scope.define(name).tensor = wrapped
        for position, info in enumerate(proto.input):
            value = names.get(info.name)
            if value is None or value.graph is not graph or value.tensor is None:  # IR < 4 repeats initializers here
                value = scope.define(info.name)
                value.is_input = True
                value.index = position
            _describe(value, info)
            graph.inputs.append(value)
        self.nodes(proto.node, scope)
        for info in proto.value_info:
            known = names.get(info.name)
            if known is not None and known.graph is graph and known.dims is None:
                _describe(known, info)
        for info in proto.output:
            value = scope.resolve(info.name, f"graph {proto.name!r} output")
            value.is_output = True
            _describe(value, info)
            graph.outputs.append(value)
        sort_nodes(graph)
        return graph

    def once(self, proto: Any, make: Any) -> Tensor:
        """One Tensor per stored message, however often a function that holds it is called."""
        tensor = self.constants.get(id(proto))
        if tensor is None:
            tensor = self.constants[id(proto)] = make()
        return tensor

    def nodes(self, protos: Sequence[NodeProto], scope: Scope) -> None:
        """Create outputs first, then link inputs: files need not be sorted."""
        made: list[tuple[NodeProto, Mapping[str, AttributeProto], Node | None]] = []
        for proto in without_doubled_constants(protos):
            attributes = scope.bind(proto)
            if scope.opset is not None:
                check_bound(proto, attributes, scope.opset)
            if proto.op_type != "Constant":  # whose value is a Tensor, mapped when it is read
                attributes = embedded(attributes, self.folder)
            outputs = [scope.define(name) if name else None for name in proto.output]
            node = None
            if self.function(proto) is None:
                name = f"{scope.prefix}{proto.name}" if proto.name else scope.prefix.rstrip("/")
                node = Node(proto, scope.graph, name, attributes)
                scope.graph.nodes.append(node)
                _give(node, outputs)
            made.append((proto, attributes, node))
        for proto, given, node in made:
            where = f"node {proto.name or proto.op_type!r}"
            inputs = [scope.resolve(name, where) if name else None for name in proto.input]
            if node is None:
                self.inline(proto, given, inputs, scope)
                continue
            _take(node, inputs)
            if node.op_type == "Constant" and node.is_standard and node.outputs and node.outputs[0] is not None:
                node.outputs[0].tensor = self.constant(node, proto.output[0])
            for name, attribute in given.items():
                for index, body in enumerate(bodies_of(attribute)):
                    key = name if attribute.type == AttributeProto.GRAPH else f"{name}[{index}]"
                    node.subgraphs[key] = self.graph(body, scope.body(body.name, node))

    def function(self, proto: NodeProto) -> FunctionProto | None:
        """The function of the model that a node calls; None where it is an operator."""
        return self.functions.get(key_of(proto))

    def inline(
        self, call: NodeProto, attributes: Mapping[str, AttributeProto], inputs: list[Value | None], scope: Scope
    ) -> None:
        """Put the body of a function in place of its call; outputs of the call become Identity nodes' outputs."""
        function = self.function(call)
        assert function is not None
        given = {n: v for n, v in zip(function.input, inputs, strict=False) if v is not None}
        label = call.name or next((o for o in call.output if o), function.name)
        bound = {a.name: a for a in function.attribute_proto} | dict(attributes)
        inner = scope.call(label, function.name, given, bound, self.opset.of_function(function))
        omitted = set(function.input) - set(given)
        self.nodes([_without_inputs(node, omitted) for node in function.node] if omitted else function.node, inner)
        for name, outer in zip(function.output, call.output, strict=False):
            if outer:
                source = inner.resolve(name, f"function {function.name!r} output")
                proto = onnx.helper.make_node("Identity", [name], [outer])
                node = Node(proto, scope.graph, f"{inner.prefix}{name}", {})
                _take(node, [source])
                _give(node, [scope.names[outer]])
                scope.graph.nodes.append(node)

    def constant(self, node: Node, name: str) -> Tensor | None:
        """What a Constant node holds; None for text."""
        for key, attribute in node.attributes.items():
            if key == "value":
                return self.once(
                    attribute.t,
                    lambda t=attribute.t: checked_tensor(t, name=name, folder=self.folder, origin="constant"),
                )
            if key == "sparse_value":
                return self.once(
                    attribute.sparse_tensor,
                    lambda s=attribute.sparse_tensor: sparse_tensor(s, name=name, folder=self.folder),
                )
            if key in ("value_float", "value_floats"):
                return literal_tensor(_float32(node.attr(key)), name=name)
            if key in ("value_int", "value_ints"):
                return literal_tensor(node.attr(key), name=name)
        return None


def _float32(values: Any) -> Any:
    import numpy as np

    return np.asarray(values, np.float32)


def _give(node: Node, outputs: list[Value | None]) -> None:
    """Make `outputs` the outputs of `node`."""
    node.outputs = outputs
    for position, value in enumerate(outputs):
        if value is not None:
            value.producer, value.index = node, position


def _take(node: Node, inputs: list[Value | None]) -> None:
    """Make `inputs` the inputs of `node`."""
    node.inputs = inputs
    for position, value in enumerate(inputs):
        if value is not None:
            value.consumers.append((node, position))


def _without_inputs(node: NodeProto, omitted: set[str]) -> NodeProto:
    """The node with "" for the inputs that the call omits."""
    if not omitted.intersection(node.input):
        return node
    copy = NodeProto()
    copy.CopyFrom(node)
    for position, name in enumerate(copy.input):
        if name in omitted:
            copy.input[position] = ""
    return copy


def _describe(value: Value, info: ValueInfoProto) -> None:
    if info.type.WhichOneof("value") not in ("tensor_type", "sparse_tensor_type"):
        return
    tensor = info.type.tensor_type if info.type.HasField("tensor_type") else info.type.sparse_tensor_type
    value.dtype = dtype_name(tensor.elem_type)
    if tensor.HasField("shape"):
        value.dims = tuple(d.dim_value if d.HasField("dim_value") else (d.dim_param or None) for d in tensor.shape.dim)
