"""From protobuf to the navigable graph: names resolved, functions inlined, nodes sorted, contradictions refused."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, Any

import onnx
from onnx import AttributeProto, FunctionProto, GraphProto, NodeProto, ValueInfoProto

from initaudit.errors import InvalidModel
from initaudit.model.graph import Graph, Node, Value
from initaudit.model.operators import Use
from initaudit.model.tensors import Tensor, dtype_name, literal_tensor, sparse_tensor, tensor_from_proto

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from onnx import ModelProto

MAX_NODES = 2_000_000
"""Nodes after inlining; functions that call functions can otherwise expand without bound (untrusted input). A judgement: large
language models have some tens of thousands."""
MAX_DEPTH = 200
"""Nesting of subgraphs and function calls; deeper than any real model, shallower than Python's own stack."""


def build_graph(model: ModelProto, folder: Path | None) -> Graph:
    """View of the main graph. Raises InvalidModel where names do not resolve, cycle, or functions recurse."""
    functions = {(f.domain, f.name, f.overload): f for f in model.functions}
    graph = Builder(functions, folder).main(model.graph)
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

    def __init__(self, functions: dict[tuple[str, str, str], FunctionProto], folder: Path | None) -> None:
        self.functions = functions
        self.folder = folder
        self.count = 0
        self.constants: dict[int, Tensor] = {}

    def main(self, proto: GraphProto) -> Graph:
        """The main graph."""
        return self.graph(proto, None, None, "", {}, {}, 0)

    def graph(
        self,
        proto: GraphProto,
        parent: Graph | None,
        owner: Node | None,
        prefix: str,
        renames: dict[str, Value],
        bound: Mapping[str, AttributeProto],
        depth: int,
    ) -> Graph:
        """A graph or a body; `renames` maps names of an inlined function to values around the body."""
        if depth > MAX_DEPTH:
            raise InvalidModel(f"graphs are nested more than {MAX_DEPTH} deep")
        graph = Graph(proto.name, parent, owner)
        scope = dict(renames)
        for tensor in proto.initializer:
            wrapped = self.once(tensor, lambda t=tensor: tensor_from_proto(t, name=t.name, folder=self.folder))
            self.new_value(graph, scope, prefix, tensor.name).tensor = wrapped
        for sparse in proto.sparse_initializer:
            name = sparse.values.name
            wrapped = self.once(sparse, lambda s=sparse, n=name: sparse_tensor(s, name=n, folder=self.folder))
            self.new_value(graph, scope, prefix, name).tensor = wrapped
        for position, info in enumerate(proto.input):
            value = scope.get(info.name)
            if value is None or value.graph is not graph or value.tensor is None:  # IR < 4 repeats initializers here
                value = self.new_value(graph, scope, prefix, info.name)
                value.is_input = True
                value.index = position
            _describe(value, info)
            graph.inputs.append(value)
        self.nodes(proto.node, graph, scope, prefix, bound, depth)
        for info in proto.value_info:
            known = scope.get(info.name)
            if known is not None and known.graph is graph and known.dims is None:
                _describe(known, info)
        for info in proto.output:
            value = self.resolve(info.name, graph, scope, f"graph {proto.name!r} output")
            value.is_output = True
            _describe(value, info)
            graph.outputs.append(value)
        _sort(graph)
        return graph

    def once(self, proto: Any, make: Any) -> Tensor:
        """One Tensor per stored message, however often a function that holds it is called."""
        tensor = self.constants.get(id(proto))
        if tensor is None:
            tensor = self.constants[id(proto)] = make()
        return tensor

    def new_value(self, graph: Graph, scope: dict[str, Value], prefix: str, name: str) -> Value:
        """A value of `graph` under a name that is free; `scope` maps the name in the file to it."""
        known = scope.get(name)
        if known is not None and known.graph is graph and not prefix:
            raise InvalidModel(f"value {name!r} is defined more than once")
        full = f"{prefix}{name}"
        while full in graph.values:
            full += "'"
        value = Value(full, graph)
        graph.values[full] = value
        scope[name] = value
        return value

    def resolve(self, name: str, graph: Graph, scope: Mapping[str, Value], where: str) -> Value:
        """The value of a name, here or in a graph around. Raises InvalidModel where there is none."""
        value = scope.get(name)
        outer: Graph | None = graph
        while value is None and outer is not None:
            value, outer = outer.values.get(name), outer.parent
        if value is None:
            raise InvalidModel(f"{where}: value {name!r} is used but nothing produces it")
        return value

    def nodes(
        self,
        protos: Any,
        graph: Graph,
        scope: dict[str, Value],
        prefix: str,
        bound: Mapping[str, AttributeProto],
        depth: int,
    ) -> None:
        """Create outputs first, then link inputs: files need not be sorted."""
        made: list[tuple[NodeProto, Mapping[str, AttributeProto], Node | None]] = []
        for proto in protos:
            self.count += 1
            if self.count > MAX_NODES:
                raise InvalidModel(f"more than {MAX_NODES} nodes once functions are inlined")
            attributes = _bind(proto, bound)
            function = self.functions.get((proto.domain, proto.op_type, proto.overload))
            node = None
            if function is None:
                node = Node(proto, graph, f"{prefix}{proto.name}" if proto.name else prefix.rstrip("/"), attributes)
                graph.nodes.append(node)
            for position, name in enumerate(proto.output):
                value = self.new_value(graph, scope, prefix, name) if name else None
                if node is not None:
                    node.outputs.append(value)
                    if value is not None:
                        value.producer, value.index = node, position
            made.append((proto, attributes, node))
        for proto, given, node in made:
            where = f"node {proto.name or proto.op_type!r}"
            inputs = [self.resolve(n, graph, scope, where) if n else None for n in proto.input]
            if node is None:
                function = self.functions[(proto.domain, proto.op_type, proto.overload)]
                self.inline(function, proto, given, inputs, graph, scope, prefix, depth)
                continue
            node.inputs = inputs
            for position, value in enumerate(inputs):
                if value is not None:
                    value.consumers.append((node, position))
            if node.op_type == "Constant" and node.is_standard and node.outputs and node.outputs[0] is not None:
                node.outputs[0].tensor = self.constant(node, proto.output[0])
            for name, attribute in given.items():
                bodies = [attribute.g] if attribute.type == AttributeProto.GRAPH else list(attribute.graphs)
                for index, body in enumerate(bodies):
                    key = name if attribute.type == AttributeProto.GRAPH else f"{name}[{index}]"
                    node.subgraphs[key] = self.graph(body, graph, node, prefix, scope, bound, depth + 1)

    def inline(
        self,
        function: FunctionProto,
        call: NodeProto,
        attributes: Mapping[str, AttributeProto],
        inputs: list[Value | None],
        graph: Graph,
        scope: dict[str, Value],
        prefix: str,
        depth: int,
    ) -> None:
        """Put the body of `function` in place of its call; outputs of the call become Identity nodes' outputs."""
        if depth > MAX_DEPTH:
            raise InvalidModel(f"function {function.name!r} calls itself or is nested more than {MAX_DEPTH} deep")
        label = call.name or next((o for o in call.output if o), function.name)
        inner_prefix = f"{prefix}{label}/"
        bound = {a.name: a for a in function.attribute_proto} | dict(attributes)
        inner: dict[str, Value] = {}
        for position, name in enumerate(function.input):
            value = inputs[position] if position < len(inputs) else None
            if value is not None:
                inner[name] = value
        body = list(function.node)
        omitted = {n for i, n in enumerate(function.input) if i >= len(inputs) or inputs[i] is None}
        if omitted:
            body = [_without_inputs(node, omitted) for node in body]
        self.nodes(body, graph, inner, inner_prefix, bound, depth + 1)
        for name, outer in zip(function.output, call.output, strict=False):
            if not outer:
                continue
            source = self.resolve(name, graph, inner, f"function {function.name!r} output")
            target = scope[outer]
            node = Node(onnx.helper.make_node("Identity", [name], [outer]), graph, f"{inner_prefix}{name}", {})
            node.inputs, node.outputs = [source], [target]
            source.consumers.append((node, 0))
            target.producer, target.index = node, 0
            graph.nodes.append(node)

    def constant(self, node: Node, name: str) -> Tensor | None:
        """What a Constant node holds; None for text."""
        for key, attribute in node.attributes.items():
            if key == "value":
                return self.once(
                    attribute.t,
                    lambda t=attribute.t: tensor_from_proto(t, name=name, folder=self.folder, origin="constant"),
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


def _bind(proto: NodeProto, bound: Mapping[str, AttributeProto]) -> dict[str, AttributeProto]:
    """Attributes of a node with references to the attributes of the enclosing function call resolved."""
    attributes: dict[str, AttributeProto] = {}
    for attribute in proto.attribute:
        if not attribute.ref_attr_name:
            attributes[attribute.name] = attribute
        elif attribute.ref_attr_name in bound:
            copy = AttributeProto()
            copy.CopyFrom(bound[attribute.ref_attr_name])
            copy.name = attribute.name
            attributes[attribute.name] = copy
    return attributes


def _without_inputs(node: NodeProto, omitted: set[str]) -> NodeProto:
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


def _sort(graph: Graph) -> None:
    """Order nodes topologically (stable), consumers likewise. Raises InvalidModel on a cycle."""
    waiting: dict[int, int] = {}
    blocked: dict[int, list[Node]] = {}
    ready: list[Node] = []
    for node in graph.nodes:
        needs = {id(p): p for p in _producers(node, graph)}
        waiting[id(node)] = len(needs)
        for key in needs:
            blocked.setdefault(key, []).append(node)
        if not needs:
            ready.append(node)
    position = {id(node): i for i, node in enumerate(graph.nodes)}
    heap = [(position[id(n)], n) for n in ready]
    keyed = dict(heap)
    order = list(keyed)
    heapq.heapify(order)
    done: list[Node] = []
    while order:
        node = keyed.pop(heapq.heappop(order))
        done.append(node)
        for follower in blocked.get(id(node), ()):
            waiting[id(follower)] -= 1
            if waiting[id(follower)] == 0:
                keyed[position[id(follower)]] = follower
                heapq.heappush(order, position[id(follower)])
    if len(done) != len(graph.nodes):
        stuck = next(n for n in graph.nodes if waiting[id(n)])
        raise InvalidModel(f"the graph has a cycle through node {stuck.name or stuck.op_type!r}")
    graph.nodes = done
    for place, node in enumerate(done):
        node.position = place


def _producers(node: Node, graph: Graph) -> Iterator[Node]:
    """Nodes of `graph` that must run before `node`, for what it and its bodies read."""
    for value in node.inputs:
        if value is not None and value.graph is graph and value.producer is not None:
            yield value.producer
    for body in node.subgraphs.values():
        for inner in body.walk():
            for value in inner.inputs:
                if value is not None and value.graph is graph and value.producer is not None:
                    yield value.producer
        for value in body.outputs:
            if value.graph is graph and value.producer is not None:
                yield value.producer
