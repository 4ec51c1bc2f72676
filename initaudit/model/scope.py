"""Where the names of a file lead: in the main graph, in a body nested in it, in a function inlined into it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from onnx import AttributeProto

from initaudit.errors import InvalidModel
from initaudit.model.graph import Graph, Value

if TYPE_CHECKING:
    from onnx import NodeProto

    from initaudit.model.checked import Opset
    from initaudit.model.graph import Node

MAX_DEPTH = 200
"""Nesting of subgraphs and function calls; deeper than any real model, shallower than Python's own stack."""
MAX_PATH = 2048
"""Characters of the names of nested calls together: each name in the function is prefixed by them. A judgement: paths of modules have
some tens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What a node of the file sees around it."""

    graph: Graph
    """The graph that its outputs become values of."""
    names: dict[str, Value] = field(default_factory=dict)
    """Name in the file -> value, of what is defined here."""
    around: Scope | None = None
    """Of a body: the scope of its node, whose names it sees."""
    prefix: str = ""
    """Path of function calls that the nodes are inlined from, ending in `/`; put in front of their names."""
    attributes: Mapping[str, AttributeProto] = field(default_factory=dict)
    """Of the function call that the nodes are inlined from, by the names that they refer to."""
    opset: Opset | None = None
    """Of the function that the nodes are inlined from; None where they are as the file has them."""
    depth: int = 0
    """Graphs and function calls around this one."""

    def body(self, name: str, owner: Node) -> Scope:
        """The scope of a body of the node `owner`, in which names from here may be shadowed. Raises InvalidModel."""
        if self.depth >= MAX_DEPTH:
            raise InvalidModel(f"graphs are nested more than {MAX_DEPTH} deep")
        return Scope(
            graph=Graph(name, self.graph, owner),
            around=self,
            prefix=self.prefix,
            attributes=self.attributes,
            opset=self.opset,
            depth=self.depth + 1,
        )

    def call(
        self,
        label: str,
        function: str,
        names: dict[str, Value],
        attributes: Mapping[str, AttributeProto],
        opset: Opset,
    ) -> Scope:
        """The scope of a function's body, inlined in place of the call `label`. Raises InvalidModel.

        Args:
            label: of the call, for the path.
            function: its name.
            names: of the inputs that the call gives.
            attributes: that the call gives, and defaults of the others.
            opset: which operators the function may use.
        """
        if self.depth > MAX_DEPTH:
            raise InvalidModel(f"function {function!r} calls itself or is nested more than {MAX_DEPTH} deep")
        if len(self.prefix) + len(label) > MAX_PATH:
            raise InvalidModel(f"the path to function {function!r:.100} is longer than {MAX_PATH} characters")
        return Scope(
            graph=self.graph,
            names=names,
            prefix=f"{self.prefix}{label}/",
            attributes=attributes,
            opset=opset,
            depth=self.depth + 1,
        )

    def define(self, name: str) -> Value:
        """A new value of the graph under a name that is free. Raises InvalidModel where the file has it twice."""
        known = self.names.get(name)
        if known is not None and known.graph is self.graph and not self.prefix:
            raise InvalidModel(f"value {name!r} is defined more than once")
        full = self.graph.free_name(f"{self.prefix}{name}")
        value = self.graph.values[full] = self.names[name] = Value(full, self.graph)
        return value

    def resolve(self, name: str, where: str) -> Value:
        """The value of a name, here or in a graph around. Raises InvalidModel where there is none."""
        value, scope = self.names.get(name), self.around
        while value is None and scope is not None:
            value, scope = scope.names.get(name), scope.around
        graph: Graph | None = self.graph
        while value is None and graph is not None:
            value, graph = graph.values.get(name), graph.parent
        if value is None:
            raise InvalidModel(f"{where}: value {name!r} is used but nothing produces it")
        return value

    def bind(self, proto: NodeProto) -> dict[str, AttributeProto]:
        """Attributes of a node with references to the attributes of the enclosing function call resolved."""
        attributes: dict[str, AttributeProto] = {}
        for attribute in proto.attribute:
            if not attribute.ref_attr_name:
                attributes[attribute.name] = attribute
            elif attribute.ref_attr_name in self.attributes:
                copy = AttributeProto()
                copy.CopyFrom(self.attributes[attribute.ref_attr_name])
                copy.name = attribute.name
                attributes[attribute.name] = copy
        return attributes
