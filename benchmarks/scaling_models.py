"""Models that grow in one dimension each, made with onnx alone: what `benchmarks/scaling.py` measures."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

Make = Callable[[int], ModelProto]
WIDTH = 4
OPSET = 17


@dataclass(frozen=True, slots=True, kw_only=True)
class Dimension:
    """One way in which a file can grow."""

    make: Make
    largest: int
    """Size up to which it is measured: the largest file of the kind that somebody may send."""


def weight(name: str, seed: int = 0, shape: tuple[int, ...] = (WIDTH, WIDTH)) -> TensorProto:
    """A stored tensor of N(0, 1/4)."""
    values = np.random.default_rng(seed).standard_normal(shape).astype(np.float32) / 2
    return numpy_helper.from_array(values, name)


def value(name: str, code: int = TensorProto.FLOAT, shape: Iterable[int | str] = ("n", WIDTH)) -> onnx.ValueInfoProto:
    """A declared value."""
    return helper.make_tensor_value_info(name, code, list(shape))


def model(
    nodes: list[NodeProto], output: str | list[str], stored: list[TensorProto] | None = None, **given: list
) -> ModelProto:
    """A model from x to the outputs."""
    outputs = [output] if isinstance(output, str) else output
    graph = helper.make_graph(nodes, "g", [value("x")], [value(o) for o in outputs], stored or [])
    imports = [helper.make_opsetid("", OPSET), helper.make_opsetid("own", 1)]
    return helper.make_model(graph, opset_imports=imports, ir_version=8, **given)


def linear(i: int, source: str, stored: list[TensorProto], name: str | None = None) -> NodeProto:
    """A layer of its own weight."""
    stored.append(weight(f"fc{i}.weight" if name is None else name, i))
    return helper.make_node("Gemm", [source, stored[-1].name], [f"h{i}"], name=f"/fc{i}/Gemm", transB=1)


def elementwise(size: int) -> ModelProto:
    kinds = ("Relu", "Neg", "Tanh", "Abs")
    nodes = [helper.make_node(kinds[i % 4], [f"v{i}" if i else "x"], [f"v{i + 1}"]) for i in range(size)]
    return model(nodes, f"v{size}")


def layers(size: int) -> ModelProto:
    """Every second node is a layer."""
    nodes, stored, at = [], [], "x"
    for i in range(size // 2):
        nodes += [linear(i, at, stored), helper.make_node("Relu", [f"h{i}"], [f"y{i}"])]
        at = f"y{i}"
    return model(nodes, at, stored)


def residual_blocks(size: int) -> ModelProto:
    """Blocks of layer, activation, layer and sum on one trunk that never meets an activation."""
    nodes, stored, at = [], [], "x"
    for i in range(size):
        nodes += [
            linear(2 * i, at, stored),
            helper.make_node("Relu", [f"h{2 * i}"], [f"a{i}"]),
            linear(2 * i + 1, f"a{i}", stored),
            helper.make_node("Add", [at, f"h{2 * i + 1}"], [f"s{i}"]),
        ]
        at = f"s{i}"
    return model(nodes, at, stored)


def branches(size: int) -> ModelProto:
    """Layers side by side on the input, added up by one node."""
    stored: list[TensorProto] = []
    nodes = [linear(i, "x", stored) for i in range(size)]
    return model([*nodes, helper.make_node("Sum", [f"h{i}" for i in range(size)], ["y"])], "y", stored)


def linear_only(size: int) -> ModelProto:
    """Layers with nothing between them, then moves of axes that undo each other."""
    nodes, stored, at = [], [], "x"
    for i in range(size):
        nodes.append(linear(i, at, stored))
        at = f"h{i}"
    for i in range(size):
        nodes.append(helper.make_node("Transpose", [at], [f"t{i}"], perm=[1, 0]))
        at = f"t{i}"
    return model(nodes, at, stored)


def consumers(size: int) -> ModelProto:
    """Nodes that read the output of one layer."""
    stored: list[TensorProto] = []
    nodes = [linear(0, "x", stored)]
    nodes += [helper.make_node("Tanh" if i % 2 else "Relu", ["h0"], [f"y{i}"]) for i in range(size)]
    return model([*nodes, helper.make_node("Sum", [f"y{i}" for i in range(size)], ["y"])], "y", stored)


def consumer_layers(size: int) -> ModelProto:
    """Layers that read the output of one layer's activation, each an output of the model."""
    stored: list[TensorProto] = []
    nodes = [linear(0, "x", stored), helper.make_node("Relu", ["h0"], ["a"])]
    nodes += [linear(i, "a", stored) for i in range(1, size)]
    return model(nodes, [f"h{i}" for i in range(1, size)], stored)


def uses_of_a_weight(size: int) -> ModelProto:
    nodes = [helper.make_node("MatMul", [f"v{i}" if i else "x", "w"], [f"v{i + 1}"]) for i in range(size)]
    return model(nodes, f"v{size}", [weight("w")])


def unused_initializers(size: int) -> ModelProto:
    return model([helper.make_node("Relu", ["x"], ["y"])], "y", [weight(f"w{i}", i, (2,)) for i in range(size)])


def joined_initializers(size: int) -> ModelProto:
    nodes = [
        helper.make_node("Concat", [f"c{i}" for i in range(size)], ["c"], axis=0),
        helper.make_node("Add", ["x", "c"], ["y"]),
    ]
    return model(nodes, "y", [weight(f"c{i}", i, (1, WIDTH)) for i in range(size)])


def used_initializers(size: int) -> ModelProto:
    nodes = [helper.make_node("Add", [f"v{i}" if i else "x", f"c{i}"], [f"v{i + 1}"]) for i in range(size)]
    return model(nodes, f"v{size}", [weight(f"c{i}", i, (WIDTH,)) for i in range(size)])


def duplicate_tensors(size: int) -> ModelProto:
    """Layers whose weights hold the same values."""
    nodes, stored, at = [], [], "x"
    for i in range(size):
        stored.append(weight(f"w{i}", 0))
        nodes += [helper.make_node("MatMul", [at, f"w{i}"], [f"h{i}"]), helper.make_node("Relu", [f"h{i}"], [f"y{i}"])]
        at = f"y{i}"
    return model(nodes, at, stored)


def constant_nodes(size: int) -> ModelProto:
    nodes, at = [], "x"
    for i in range(size):
        nodes += [
            helper.make_node("Constant", [], [f"c{i}"], value=weight("", i, (WIDTH,))),
            helper.make_node("Add", [at, f"c{i}"], [f"v{i}"]),
        ]
        at = f"v{i}"
    return model(nodes, at)


def function(name: str, nodes: list[NodeProto], *, calls: bool = False) -> onnx.FunctionProto:
    imports = [helper.make_opsetid("", OPSET), *([helper.make_opsetid("own", 1)] if calls else [])]
    return helper.make_function("own", name, ["a", "w"], ["b"], nodes, imports)


BLOCK = [helper.make_node("MatMul", ["a", "w"], ["m"]), helper.make_node("Relu", ["m"], ["b"])]


def calls(size: int, label: str = "call{}") -> ModelProto:
    """Calls of one function, each with a weight of its own."""
    nodes, stored, at = [], [], "x"
    for i in range(size):
        stored.append(weight(f"w{i}", i))
        nodes.append(helper.make_node("F", [at, f"w{i}"], [f"v{i}"], domain="own", name=label.format(i)))
        at = f"v{i}"
    return model(nodes, at, stored, functions=[function("F", BLOCK)])


def calls_of_one_name(size: int) -> ModelProto:
    return calls(size, "call")


def functions(size: int) -> ModelProto:
    """As many functions as calls."""
    nodes, stored, at, own = [], [], "x", []
    for i in range(size):
        stored.append(weight(f"w{i}", i))
        own.append(function(f"F{i}", BLOCK))
        nodes.append(helper.make_node(f"F{i}", [at, f"w{i}"], [f"v{i}"], domain="own", name=f"c{i}"))
        at = f"v{i}"
    return model(nodes, at, stored, functions=own)


def nested_functions(size: int) -> ModelProto:
    """Each calls the next one, as deep as is allowed."""
    own = [function(f"F{size}", BLOCK)]
    for i in range(size):
        body = [
            helper.make_node(f"F{i + 1}", ["a", "w"], ["c"], domain="own", name="c"),
            helper.make_node("Relu", ["c"], ["b"]),
        ]
        own.append(function(f"F{i}", body, calls=True))
    return model([helper.make_node("F0", ["x", "w"], ["y"], domain="own", name="c")], "y", [weight("w")], functions=own)


def body(i: int, inner: list[NodeProto] | None = None) -> GraphProto:
    """A branch that reads a value from outside."""
    nodes = [
        helper.make_node("Relu", ["x"], [f"r{i}"]),
        *(inner or []),
        helper.make_node("Neg", [f"d{i + 1}" if inner else f"r{i}"], [f"b{i}"]),
    ]
    return helper.make_graph(nodes, f"body{i}", [], [value(f"b{i}")])


def nested_ifs(size: int) -> ModelProto:
    """Depth; eight nodes a level."""
    inner: list[NodeProto] | None = None
    for i in reversed(range(size)):
        chosen = body(i, inner)
        for k in range(8):
            chosen.node.add(op_type="Relu", input=["x"], output=[f"e{i}_{k}"])
        inner = [helper.make_node("If", ["c"], [f"d{i}"], then_branch=chosen, else_branch=body(1000 + i))]
    condition = numpy_helper.from_array(np.array(True), "c")
    return model([*inner, helper.make_node("Relu", ["d0"], ["y"])], "y", [condition])


def ifs(size: int) -> ModelProto:
    """One behind the other in the main graph."""
    nodes, at = [], "x"
    for i in range(size):
        then = helper.make_graph([helper.make_node("Relu", [at], [f"t{i}"])], "t", [], [value(f"t{i}")])
        other = helper.make_graph([helper.make_node("Neg", [at], [f"e{i}"])], "e", [], [value(f"e{i}")])
        nodes.append(helper.make_node("If", ["c"], [f"d{i}"], then_branch=then, else_branch=other))
        at = f"d{i}"
    return model(nodes, at, [numpy_helper.from_array(np.array(True), "c")])


def loops(size: int) -> ModelProto:
    """One behind the other, each with a layer in its body."""
    nodes, at, stored = [], "x", [numpy_helper.from_array(np.array(2, np.int64), "m")]
    for i in range(size):
        stored.append(weight(f"w{i}", i))
        inside = [
            helper.make_node("MatMul", [f"s{i}", f"w{i}"], [f"p{i}"]),
            helper.make_node("Identity", [f"k{i}"], [f"q{i}"]),
        ]
        inputs = [value(f"i{i}", TensorProto.INT64, []), value(f"k{i}", TensorProto.BOOL, []), value(f"s{i}")]
        graph = helper.make_graph(inside, "l", inputs, [value(f"q{i}", TensorProto.BOOL, []), value(f"p{i}")])
        nodes.append(helper.make_node("Loop", ["m", "", at], [f"d{i}"], body=graph))
        at = f"d{i}"
    return model(nodes, at, stored)


def long_name(piece: str) -> Make:
    """One layer whose weight, node and output bear a name of this many characters."""

    def make(size: int) -> ModelProto:
        name = (piece * (size // len(piece) + 1))[:size]
        node = helper.make_node("Gemm", ["x", name], [f"{name}y"], name=f"/{name}/Gemm", transB=1)
        return model([node], f"{name}y", [weight(name)])

    return make


def layer_names(piece: str) -> Make:
    """Layers under names that are alike but for their end."""

    def make(size: int) -> ModelProto:
        nodes, stored, at = [], [], "x"
        for i in range(size):
            nodes += [
                linear(i, at, stored, f"{piece * 20}{i}.weight"),
                helper.make_node("Relu", [f"h{i}"], [f"y{i}"]),
            ]
            at = f"y{i}"
        return model(nodes, at, stored)

    return make


def same_node_name(size: int) -> ModelProto:
    nodes, stored, at = [], [], "x"
    for i in range(size):
        stored.append(weight(f"onnx::MatMul_{i}", i))
        nodes.append(helper.make_node("MatMul", [at, stored[-1].name], [f"h{i}"], name="n"))
        nodes.append(helper.make_node("Relu", [f"h{i}"], [f"y{i}"]))
        at = f"y{i}"
    return model(nodes, at, stored)


def chain_of_constants(kind: str, other: TensorProto | None = None, **attributes: object) -> Make:
    """A weight that goes through this many operators before a layer takes it."""

    def make(size: int) -> ModelProto:
        more = [other.name] if other is not None else []
        nodes = [
            helper.make_node(kind, [f"w{i}" if i else "w", *more], [f"w{i + 1}"], **attributes) for i in range(size)
        ]
        stored = [weight("w"), *([other] if other is not None else [])]
        return model([*nodes, helper.make_node("MatMul", ["x", f"w{size}"], ["y"])], "y", stored)

    return make


def folded(kind: str) -> Make:
    """Layers, each with a weight that an operator makes of a stored one."""

    def make(size: int) -> ModelProto:
        nodes, stored, at = [], [], "x"
        for i in range(size):
            stored.append(weight(f"w{i}", i))
            nodes += [
                helper.make_node(kind, [f"w{i}"], [f"t{i}"]),
                helper.make_node("MatMul", [at, f"t{i}"], [f"h{i}"]),
                helper.make_node("Relu", [f"h{i}"], [f"y{i}"]),
            ]
            at = f"y{i}"
        return model(nodes, at, stored)

    return make


def constant_tree(size: int) -> ModelProto:
    """One constant that many operators make another of, all joined again: a fan in and out of folding."""
    nodes = [helper.make_node("Neg", ["w"], [f"t{i}"]) for i in range(size)]
    nodes += [
        helper.make_node("Sum", [f"t{i}" for i in range(size)], ["s"]),
        helper.make_node("MatMul", ["x", "s"], ["y"]),
    ]
    return model(nodes, "y", [weight("w")])


def metadata(size: int) -> ModelProto:
    made = layers(2)
    for i in range(size):
        made.metadata_props.add(key=f"key{i}", value="a value of some length")
        made.graph.node[0].metadata_props.add(key=f"key{i}", value="namespace")
    return made


def attribute_values(size: int) -> ModelProto:
    made = layers(2)
    made.graph.node[1].attribute.append(helper.make_attribute("note", list(range(size))))
    return made


def attributes(size: int) -> ModelProto:
    made = layers(2)
    made.graph.node[0].attribute.extend(helper.make_attribute(f"note{i}", i) for i in range(size))
    return made


def inputs(size: int) -> ModelProto:
    made = model([helper.make_node("Sum", ["x", *(f"i{k}" for k in range(size))], ["y"])], "y")
    made.graph.input.extend(value(f"i{k}") for k in range(size))
    return made


def outputs(size: int) -> ModelProto:
    nodes = [helper.make_node("Relu", ["x"], [f"o{k}"]) for k in range(size)]
    return model(nodes, [f"o{k}" for k in range(size)])


def declared_values(size: int) -> ModelProto:
    made = layers(4)
    made.graph.value_info.extend(value(f"nowhere{k}") for k in range(size))
    return made


def operator_sets(size: int) -> ModelProto:
    made = layers(2000)
    made.opset_import.extend(helper.make_opsetid(f"domain{k}", 1) for k in range(size))
    return made


def rank(size: int) -> ModelProto:
    """Dimensions of one tensor."""
    made = layers(4)
    made.graph.initializer.append(
        TensorProto(name="r", data_type=TensorProto.FLOAT, dims=[1] * size, raw_data=b"\0" * 4)
    )
    made.graph.node.append(helper.make_node("Neg", ["r"], ["s"]))
    return made


def findings(size: int) -> ModelProto:
    """Layers with something wrong with each."""
    made = layers(2 * size)
    for i, tensor in enumerate(made.graph.initializer):
        scale = (0, 1e-6, 1e6)[i % 3]
        tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) * np.float32(scale), tensor.name))
    return made


DIMENSIONS: dict[str, Dimension] = {
    "nodes, elementwise": Dimension(make=elementwise, largest=100_000),
    "nodes, every second a layer": Dimension(make=layers, largest=20_000),
    "residual blocks": Dimension(make=residual_blocks, largest=8_000),
    "layers in a row, moves of axes": Dimension(make=linear_only, largest=10_000),
    "layers side by side": Dimension(make=branches, largest=10_000),
    "consumers of a value": Dimension(make=consumers, largest=100_000),
    "layers that read one value": Dimension(make=consumer_layers, largest=10_000),
    "uses of a weight": Dimension(make=uses_of_a_weight, largest=20_000),
    "initializers, unused": Dimension(make=unused_initializers, largest=100_000),
    "initializers, joined by one node": Dimension(make=joined_initializers, largest=100_000),
    "initializers, added in a row": Dimension(make=used_initializers, largest=4_000),
    "weights with the same values": Dimension(make=duplicate_tensors, largest=10_000),
    "Constant nodes": Dimension(make=constant_nodes, largest=8_000),
    "function calls": Dimension(make=calls, largest=10_000),
    "function calls of one name": Dimension(make=calls_of_one_name, largest=10_000),
    "functions": Dimension(make=functions, largest=10_000),
    "functions in functions": Dimension(make=nested_functions, largest=160),
    "Ifs in Ifs": Dimension(make=nested_ifs, largest=28),
    "Ifs in a row": Dimension(make=ifs, largest=20_000),
    "Loops in a row": Dimension(make=loops, largest=8_000),
    "characters of a name": Dimension(make=long_name("a"), largest=1_000_000),
    "dots in a name": Dimension(make=long_name("a."), largest=1_000_000),
    "digits in a name": Dimension(make=long_name("1"), largest=1_000_000),
    "quotes in a name": Dimension(make=long_name("'"), largest=1_000_000),
    "slashes in a name": Dimension(make=long_name("/a"), largest=1_000_000),
    "layers with long names": Dimension(make=layer_names("block."), largest=10_000),
    "nodes of one name": Dimension(make=same_node_name, largest=10_000),
    "Transposes of a weight": Dimension(make=chain_of_constants("Transpose"), largest=20_000),
    "Identities of a weight": Dimension(make=chain_of_constants("Identity"), largest=20_000),
    "Casts of a weight": Dimension(make=chain_of_constants("Cast", to=TensorProto.FLOAT), largest=20_000),
    "sums of constants": Dimension(make=chain_of_constants("Add", weight("o")), largest=20_000),
    "Tanhs of a weight": Dimension(make=chain_of_constants("Tanh"), largest=5_000),
    "constants from one": Dimension(make=constant_tree, largest=5_000),
    "layers with a Transpose": Dimension(make=folded("Transpose"), largest=8_000),
    "layers with an Exp": Dimension(make=folded("Exp"), largest=4_000),
    "metadata": Dimension(make=metadata, largest=100_000),
    "attributes of a node": Dimension(make=attributes, largest=100_000),
    "values of an attribute": Dimension(make=attribute_values, largest=1_000_000),
    "inputs": Dimension(make=inputs, largest=50_000),
    "outputs": Dimension(make=outputs, largest=50_000),
    "value_info": Dimension(make=declared_values, largest=100_000),
    "operator sets": Dimension(make=operator_sets, largest=10_000),
    "dimensions of a tensor": Dimension(make=rank, largest=20_000),
    "layers with findings": Dimension(make=findings, largest=8_000),
}
