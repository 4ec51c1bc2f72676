"""Mutations of what a graph computes: its nodes, and the names by which they are linked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnx import GraphProto, ModelProto, NodeProto, helper

from tests.fuzz.mutation.attributes import any_attribute, mutate_attributes, schema_of, type_code
from tests.fuzz.mutation.tensors import any_tensor
from tests.fuzz.mutation.values import TEXTS, operator

if TYPE_CHECKING:
    import random

LONGEST_CHAIN = 400
"""Copies of a node behind each other at most."""


def names_in(graph: GraphProto) -> list[str]:
    """Every value that a node of the graph may read."""
    names = [entry.name for entry in (*graph.input, *graph.initializer)]
    names += [name for node in graph.node for name in node.output]
    return names or ["x"]


def any_node(graph: GraphProto, rng: random.Random, output: str) -> NodeProto:
    """An operator with so many inputs as it takes, of what the graph has or of new constants, and the attributes that it must have."""
    domain, op_type = operator(rng)
    node = NodeProto(op_type=op_type, domain=domain, name=rng.choice(TEXTS))
    schema = schema_of(node)
    least, most = (schema.min_input, min(schema.max_input, 8)) if schema is not None else (1, 6)
    for _ in range(rng.randint(least, max(least, most))):
        if rng.random() < 0.3:
            constant = f"c{len(graph.initializer)}"
            graph.initializer.append(any_tensor(rng, constant))
            node.input.append(constant)
        else:
            node.input.append(rng.choice((*names_in(graph), "") if rng.random() < 0.1 else names_in(graph)))
    node.output.append(output)
    for name, attribute in sorted(schema.attributes.items()) if schema is not None else ():
        if attribute.required or rng.random() < 0.2:
            node.attribute.append(any_attribute(rng, name, type_code(attribute)))
    return node


def mutate_graph(model: ModelProto, rng: random.Random) -> None:
    """Rewire, insert, exchange or repeat nodes, or give one other attributes."""
    graph = model.graph
    if not graph.node:
        graph.node.append(any_node(graph, rng, "y"))
        return
    node = rng.choice(graph.node)
    match rng.randrange(8):
        case 0 if node.input:
            node.input[rng.randrange(len(node.input))] = rng.choice((*names_in(graph), "", "nobody"))
        case 1:
            _insert(graph, node, rng)
        case 2:
            node.domain, node.op_type = operator(rng)
        case 3 | 4:
            mutate_attributes(node, rng)
        case 5 if node.output:
            _chain(graph, node, rng)
        case 6:
            graph.node.remove(node)
        case _:
            _rename(model, rng)


def _insert(graph: GraphProto, reader: NodeProto, rng: random.Random) -> None:
    """Another operator between a node and what it reads."""
    output = f"new{len(graph.node)}"
    made = any_node(graph, rng, output)
    if reader.input:
        at = rng.randrange(len(reader.input))
        if made.input:
            made.input[0] = reader.input[at]
        reader.input[at] = output
    graph.node.insert(rng.randrange(len(graph.node) + 1), made)


def _chain(graph: GraphProto, node: NodeProto, rng: random.Random) -> None:
    """Copies of a node, each behind the one before, or all reading the same."""
    behind = rng.random() < 0.7
    before = node.output[0]
    for count in range(rng.choice((1, 2, 5, LONGEST_CHAIN))):
        copy = graph.node.add()
        copy.CopyFrom(node)
        copy.output[0] = f"{node.output[0]}~{count}"
        if behind and copy.input:
            copy.input[0] = before
            before = copy.output[0]
        copy.name = node.name if rng.random() < 0.5 else f"{node.name}{count}"
    if rng.random() < 0.7:
        graph.output.append(helper.make_tensor_value_info(before, 1, None))


def _rename(model: ModelProto, rng: random.Random) -> None:
    """One value, everywhere in the main graph: the model is as sound as before, and its report shows the name."""
    graph = model.graph
    old, new = rng.choice(names_in(graph)), rng.choice(TEXTS)
    for entry in (*graph.input, *graph.output, *graph.initializer, *graph.value_info):
        if entry.name == old:
            entry.name = new
    for node in graph.node:
        for listed in (node.input, node.output):
            for at, name in enumerate(listed):
                if name == old:
                    listed[at] = new
    rng.choice(graph.node).name = rng.choice(TEXTS)
