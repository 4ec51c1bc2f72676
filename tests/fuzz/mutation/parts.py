"""Mutations that move nodes into functions and bodies, and that give a model the parts beside its graph."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnx import FunctionProto, ModelProto, NodeProto, helper

from tests.fuzz.mutation.attributes import any_attribute, any_type
from tests.fuzz.mutation.graph import names_in
from tests.fuzz.mutation.tensors import any_tensor
from tests.fuzz.mutation.values import NUMBERS, TEXTS

if TYPE_CHECKING:
    import random
    from collections.abc import Iterable

DEEPEST = 30
"""Functions or bodies in each other."""


def mutate_parts(model: ModelProto, rng: random.Random) -> None:
    """One of the parts."""
    rng.choice(
        (_to_function, _nest_functions, _to_body, _training, _metadata, _quantisation, _value_info, _opsets, _ports)
    )(model, rng)


def _to_function(model: ModelProto, rng: random.Random) -> None:
    """Some nodes become a function of their own, with their attributes or with references in their place."""
    nodes = list(model.graph.node)
    if not nodes:
        return
    start = rng.randrange(len(nodes))
    moved = nodes[start : start + rng.randrange(1, 4)]
    made = {name for node in moved for name in node.output if name}
    reads = sorted({name for node in moved for name in node.input if name} - made)
    name = rng.choice(("F", "Relu", "MatMul", moved[0].op_type, rng.choice(TEXTS)))
    call = NodeProto(
        op_type=name, domain=rng.choice(("mine", "mine", "")), name="call", input=reads, output=sorted(made)
    )
    function = FunctionProto(name=name, domain=call.domain, input=reads, output=sorted(made))
    function.opset_import.extend(model.opset_import)
    for node in moved:
        copy = function.node.add()
        copy.CopyFrom(node)
        for attribute in copy.attribute:
            if rng.random() < 0.3:
                given = call.attribute.add()
                given.CopyFrom(attribute)
                inner = type(attribute)(name=attribute.name, type=attribute.type, ref_attr_name=attribute.name)
                attribute.CopyFrom(inner)
                function.attribute.append(attribute.name)
    if rng.random() < 0.2:
        call.overload = function.overload = "o"
    del model.graph.node[:]
    model.graph.node.extend([*nodes[:start], call, *nodes[start + len(moved) :]])
    model.functions.append(function)
    model.opset_import.append(helper.make_opsetid("mine", 1))


def _nest_functions(model: ModelProto, rng: random.Random) -> None:
    """Functions that call each other, once or twice, the last of them perhaps the first."""
    depth, twice = rng.choice((2, 5, DEEPEST)), rng.random() < 0.5
    for level in range(depth):
        to = f"L{level + 1}" if level + 1 < depth else rng.choice(("Relu", "L0", "Nowhere"))
        domain = "deep" if to.startswith("L") else ""
        nodes = [helper.make_node(to, ["a"], ["b"], domain=domain)]
        nodes.append(helper.make_node(to if twice else "Identity", ["b"], ["c"], domain=domain if twice else ""))
        model.functions.append(
            helper.make_function("deep", f"L{level}", ["a"], ["c"], nodes, [helper.make_opsetid("", 17)])
        )
    _put_before(model, helper.make_node("L0", ["#"], ["deep"], "deep call", domain="deep"), rng)


def _put_before(model: ModelProto, node: NodeProto, rng: random.Random) -> None:
    """In front of some node, which then reads its output; `#` stands for what that one read."""
    readers = [n for n in model.graph.node if n.input]
    if readers:
        reader = rng.choice(readers)
        node.input[0], reader.input[0] = reader.input[0], node.output[0]
    model.graph.node.append(node)


def _to_body(model: ModelProto, rng: random.Random) -> None:
    """Some node moves into the bodies of an If, Loop or Scan, or deep into Ifs."""
    if not model.graph.node:
        return
    at = rng.randrange(len(model.graph.node))
    moved = NodeProto()
    moved.CopyFrom(model.graph.node[at])
    output = next((name for name in moved.output if name), "o")
    for _ in range(rng.choice((1, 1, 1, 3, DEEPEST))):
        outs = [helper.make_tensor_value_info(output, 1, None)]
        body = helper.make_graph([moved], "body", [], outs, [any_tensor(rng, f"{output}.t")])
        kind = rng.choice(("If", "If", "Loop", "Scan"))
        first = rng.choice(names_in(model.graph))
        if kind == "If":
            other = helper.make_graph([], "other", [], outs, [any_tensor(rng, output)])
            moved = helper.make_node("If", [first], [output], then_branch=body, else_branch=other)
        elif kind == "Loop":
            body.input.extend(helper.make_tensor_value_info(n, t, []) for n, t in (("n", 7), ("c", 9)))
            body.output.insert(0, helper.make_tensor_value_info("c", 9, []))
            moved = helper.make_node("Loop", ["", ""], [output], body=body)
        else:
            body.input.append(helper.make_tensor_value_info("step", 1, None))
            moved = helper.make_node("Scan", [first], [output], body=body, num_scan_inputs=rng.choice((1, 0, 2, -1)))
    model.graph.node[at].CopyFrom(moved)


def _training(model: ModelProto, rng: random.Random) -> None:
    info = model.training_info.add()
    info.algorithm.CopyFrom(model.graph)
    info.initialization.node.append(helper.make_node("Constant", [], ["t"], value=any_tensor(rng, "t")))
    info.algorithm.initializer.append(any_tensor(rng, "state"))
    for bindings in (info.initialization_binding, info.update_binding):
        bindings.add(key=rng.choice((*names_in(model.graph), "")), value=rng.choice(TEXTS))


def _metadata(model: ModelProto, rng: random.Random) -> None:
    keys = ("pkg.torch.onnx.name_scopes", "pkg.torch.onnx.class_hierarchy", "namespace", "initaudit", *TEXTS)
    values = ("['', 'a', 'b']", "[", "['a'" * 50, "x" * 1000, *TEXTS)
    holders = (model, model.graph, *model.graph.node, *model.graph.initializer, *model.graph.input, *model.functions)
    for holder in rng.sample(holders, min(3, len(holders))):
        for _ in range(rng.choice((1, 2))):
            holder.metadata_props.add(key=rng.choice(keys), value=rng.choice(values))
    for holder in (model, model.graph):
        holder.doc_string = rng.choice(TEXTS)
    model.producer_name, model.producer_version = rng.choice(("pytorch", "keras", *TEXTS)), rng.choice(TEXTS)


def _quantisation(model: ModelProto, rng: random.Random) -> None:
    note = model.graph.quantization_annotation.add(tensor_name=rng.choice(names_in(model.graph)))
    for key in ("SCALE_TENSOR", "ZERO_POINT_TENSOR"):
        note.quant_parameter_tensor_names.add(key=key, value=rng.choice((*names_in(model.graph), "nobody")))


def _value_info(model: ModelProto, rng: random.Random) -> None:
    """What the file says of the types of values: all of them, and not always the truth."""
    lists: Iterable = (model.graph.value_info, model.graph.input, model.graph.output)
    for name in rng.sample(names_in(model.graph), min(3, len(names_in(model.graph)))):
        info = rng.choice(tuple(lists)).add(name=name)
        info.type.CopyFrom(any_type(rng))


def _opsets(model: ModelProto, rng: random.Random) -> None:
    if rng.random() < 0.3:
        del model.opset_import[:]
    domain = rng.choice(("", "", "ai.onnx", "ai.onnx.ml", "com.microsoft", "mine", "\u202e"))
    model.opset_import.append(helper.make_opsetid(domain, rng.choice((*range(1, 26), *NUMBERS))))
    model.ir_version = rng.choice((*range(1, 14), 0, -1, 1 << 40))


def _ports(model: ModelProto, rng: random.Random) -> None:
    """Inputs of any type and shape, or initializers among them as old files have it."""
    graph = model.graph
    if rng.random() < 0.3:
        graph.input.extend(
            helper.make_tensor_value_info(t.name, t.data_type, list(t.dims)) for t in list(graph.initializer)
        )
    elif graph.input:
        rng.choice(graph.input).type.CopyFrom(any_type(rng))
    if rng.random() < 0.2 and graph.node:
        rng.choice(graph.node).attribute.append(any_attribute(rng, rng.choice(TEXTS)))
