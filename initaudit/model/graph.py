"""A read-only view of an ONNX graph for navigation: who produces a value, who consumes it, what is constant.

Model-local functions are inlined, so that a layer inside a function is an ordinary node; bodies of If, Loop and Scan
stay nested graphs that see the names of the graphs around them. Values and nodes of the main graph keep the names of
the file; what comes from a function body is prefixed with the path of its call.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any

import onnx
from onnx import AttributeProto, NodeProto

from initaudit.model.operators import OperatorSpec, operator_spec

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Mapping

    from initaudit.model.tensors import Tensor

DEFAULT_DOMAINS = ("", "ai.onnx")


class Value:
    """A named edge: graph input, node output, or constant. `tensor` is set where the value is constant in the file."""

    __slots__ = (
        "consumers", "dims", "dtype", "graph", "index", "is_input", "is_output", "is_static", "name", "producer", "tensor",
    )  # fmt: skip

    def __init__(self, name: str, graph: Graph) -> None:
        self.name = name
        self.graph = graph
        self.producer: Node | None = None
        self.index = 0
        """Position among the producer's outputs, or among the graph's inputs."""
        self.consumers: list[tuple[Node, int]] = []
        """(node, input position), in the order of the file; nodes inside subgraphs count, the node that holds the subgraph does not."""
        self.tensor: Tensor | None = None
        self.is_input = False
        """A graph input without an initializer of the same name."""
        self.is_output = False
        self.is_static = False
        """Known without the data: stored in the file, or computed from stored values and from shapes alone."""
        self.dims: tuple[int | str | None, ...] | None = None
        """Declared shape (symbolic dimensions as str, unknown ones None), where the file declares it."""
        self.dtype: str | None = None

    def __repr__(self) -> str:
        return f"Value({self.name!r})"


class Node:
    """One operator call."""

    __slots__ = (
        "attributes", "domain", "graph", "inputs", "name", "op_type", "outputs", "position", "proto", "subgraphs",
    )  # fmt: skip

    def __init__(self, proto: NodeProto, graph: Graph, name: str, attributes: Mapping[str, AttributeProto]) -> None:
        self.proto = proto
        self.graph = graph
        self.name = name
        """Name in the file, prefixed by the function call it was inlined from; may be empty."""
        self.op_type = proto.op_type
        self.domain = "" if proto.domain in DEFAULT_DOMAINS else proto.domain
        self.attributes = attributes
        """With references to function attributes resolved."""
        self.inputs: list[Value | None] = []
        self.outputs: list[Value | None] = []
        self.subgraphs: dict[str, Graph] = {}
        self.position = 0
        """Index in `graph.nodes`: what a node depends on stands at smaller positions of its graph."""

    def __repr__(self) -> str:
        return f"Node({self.op_type} {self.name!r})"

    @property
    def spec(self) -> OperatorSpec:
        """What the operator does. Raises UsageError where the package that brings it cannot be loaded."""
        return operator_spec(self.op_type, self.domain)

    @property
    def metadata(self) -> dict[str, str]:
        """Key-value pairs that the exporter left at the node."""
        return {entry.key: entry.value for entry in self.proto.metadata_props}

    def attr(self, name: str, default: Any = None) -> Any:
        """Python value of an attribute (str decoded, lists as list), or `default`."""
        attribute = self.attributes.get(name)
        if attribute is None:
            return default
        value = onnx.helper.get_attribute_value(attribute)
        if isinstance(value, bytes):
            return value.decode(errors="replace")
        if attribute.type == AttributeProto.STRINGS:
            return [v.decode(errors="replace") for v in value]
        return list(value) if attribute.type in (AttributeProto.INTS, AttributeProto.FLOATS) else value

    def input(self, index: int) -> Value | None:
        """Input at `index`, or None where it is omitted."""
        return self.inputs[index] if index < len(self.inputs) else None

    def signals(self) -> list[Value]:
        """Inputs that carry the signal, without those that are known without the data."""
        spec = self.spec
        return [v for i, v in enumerate(self.inputs) if v is not None and not v.is_static and spec.carries(i)]

    def reads(self) -> Iterator[Value]:
        """Values of its own graph that the node or one of its bodies reads; one may come more than once."""
        taken = (value for body in self.subgraphs.values() for value in body.reads())
        return (value for value in chain(self.inputs, taken) if value is not None and value.graph is self.graph)

    @property
    def is_standard(self) -> bool:
        """Whether the operator is of the default ONNX domain."""
        return self.domain == ""


class Graph:
    """Nodes in topological order, with inputs, outputs and the values by name."""

    __slots__ = ("_repeated", "inputs", "name", "nodes", "outputs", "owner", "parent", "remembered", "values")

    def __init__(self, name: str, parent: Graph | None = None, owner: Node | None = None) -> None:
        self.name = name
        self.parent = parent
        self.owner = owner
        """The If, Loop or Scan node whose body this is."""
        self.nodes: list[Node] = []
        self.inputs: list[Value] = []
        self.outputs: list[Value] = []
        self.values: dict[str, Value] = {}
        self.remembered: dict[Hashable, Any] = {}
        """Answers of `initaudit.model.remembered`."""
        self._repeated: dict[str, int] = {}
        """By name, how often another value asked for it."""

    def free_name(self, name: str) -> str:
        """`name` where no value bears it, else `name'2`, `name'3` ... in constant time each, however many ask for the same."""
        free, number = name, self._repeated.get(name, 1)
        while free in self.values:
            number += 1
            free = f"{name}'{number}"
        if number > 1:
            self._repeated[name] = number
        return free

    def walk(self) -> Iterator[Node]:
        """Every node, in topological order, a node before the nodes of its bodies."""
        stack: list[Iterator[Node]] = [iter(self.nodes)]
        while stack:
            node = next(stack[-1], None)
            if node is None:
                stack.pop()
                continue
            yield node
            if node.subgraphs:
                stack.extend(iter(graph.nodes) for graph in reversed(node.subgraphs.values()))

    def graphs(self) -> Iterator[Graph]:
        """This graph and every body nested in it."""
        yield self
        for node in self.walk():
            yield from node.subgraphs.values()

    def reads(self) -> Iterator[Value | None]:
        """What its nodes and outputs read, and those of the bodies nested in it, wherever that is defined."""
        for graph in self.graphs():
            for node in graph.nodes:
                yield from node.inputs
            yield from graph.outputs

    def tensors(self) -> Iterator[tuple[Value, Tensor]]:
        """Every constant value with its tensor, bodies included, in file order."""
        for graph in self.graphs():
            for value in graph.values.values():
                if value.tensor is not None:
                    yield value, value.tensor
