"""Which layers feed which, against networks whose wiring is known."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from types import SimpleNamespace

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper

from initaudit.extraction.extract import extract_layers
from initaudit.extraction.wiring import Place, wiring
from initaudit.model.load import load_model
from tests.networks import gated, mlp, model

WIDTH = 4
WEIGHT = np.random.default_rng(0).normal(size=(WIDTH, WIDTH)).astype(np.float32)


def places(proto: onnx.ModelProto) -> tuple[Place, ...]:
    """The wiring of a model in memory."""
    loaded = load_model(proto)
    return wiring(loaded.graph, extract_layers(loaded).layers)


def wires(proto: onnx.ModelProto) -> dict[str, list[str]]:
    """What each place reads, by name."""
    found = places(proto)
    return {place.name: [found[source].name for source in place.reads] for place in found}


def dense(name: str, value: str, out: str) -> NodeProto:
    """A layer `name` with a weight of its own."""
    return helper.make_node("MatMul", [value, f"{name}.weight"], [out], name)


def net(
    nodes: Sequence[NodeProto], outputs: Sequence[str] = ("y",), inputs: Sequence[str] = ("x",), **more: np.ndarray
) -> onnx.ModelProto:
    """A network of these nodes; each MatMul named as the layer of a weight gets it."""
    used = {name for node in nodes for name in node.input if name.endswith(".weight")}
    tensors: Mapping[str, np.ndarray] = {**dict.fromkeys(sorted(used), WEIGHT), **more}
    return model(nodes, {name: ["N", WIDTH] for name in inputs}, outputs, tensors)


def test_a_chain_goes_from_the_input_through_every_layer_to_the_output():
    """What lies between two layers, an activation or a reshape, is no place of its own."""
    assert wires(mlp([4, 5, 6, 3])) == {
        "x": [], "/fc0/Gemm": ["x"], "/fc1/Gemm": ["/fc0/Gemm"], "/fc2/Gemm": ["/fc1/Gemm"], "y": ["/fc2/Gemm"],
    }  # fmt: skip


def test_a_skip_connection_meets_its_branch_in_a_join():
    """The sum reads the branch's last layer and what the branch started from."""
    nodes = [
        dense("stem", "x", "s"),
        dense("branch", "s", "b"),
        helper.make_node("Relu", ["b"], ["r"]),
        helper.make_node("Add", ["r", "s"], ["a"], "sum"),
        dense("head", "a", "y"),
    ]

    found = wires(net(nodes))

    assert found == {
        "x": [], "stem": ["x"], "branch": ["stem"], "sum": ["branch", "stem"], "head": ["sum"], "y": ["head"],
    }  # fmt: skip


def test_a_skip_from_the_input_starts_at_the_input():
    """x + f(x)."""
    nodes = [dense("f", "x", "b"), helper.make_node("Add", ["x", "b"], ["y"], "sum")]

    assert wires(net(nodes)) == {"x": [], "f": ["x"], "sum": ["x", "f"], "y": ["sum"]}


def test_parallel_branches_meet_in_one_concatenation():
    """Three layers read the same layer; the concatenation reads them in its own order."""
    branches = [dense(f"branch{i}", "s", f"b{i}") for i in range(3)]
    nodes = [
        dense("stem", "x", "s"),
        *branches,
        helper.make_node("Concat", ["b2", "b0", "b1"], ["y"], "cat", axis=1),
    ]

    found = wires(net(nodes))

    assert [found[f"branch{i}"] for i in range(3)] == [["stem"]] * 3
    assert found["cat"] == ["branch2", "branch0", "branch1"]


def test_a_layer_gated_by_itself_is_no_join():
    """z * sigmoid(z) comes from one layer; up(x) * silu(gate(x)) from two."""
    silu = [
        dense("fc", "x", "z"),
        helper.make_node("Sigmoid", ["z"], ["s"]),
        helper.make_node("Mul", ["z", "s"], ["y"], "silu"),
    ]

    assert "silu" not in wires(net(silu))
    assert wires(gated(1))["product0"] == ["up0", "gate0"]


def attention(mask: str | None = None) -> onnx.ModelProto:
    """softmax(q k' [+ mask]) v, projected."""
    scores = [helper.make_node("Add", ["qk", mask], ["masked"], "masking")] if mask else []
    nodes = [
        *(dense(name, "x", f"{name}.z") for name in "qkv"),
        helper.make_node("Transpose", ["k.z"], ["k.t"]),
        helper.make_node("MatMul", ["q.z", "k.t"], ["qk"], "scores"),
        *scores,
        helper.make_node("Softmax", ["masked" if mask else "qk"], ["p"]),
        helper.make_node("MatMul", ["p", "v.z"], ["c"], "mixed"),
        dense("out", "c", "y"),
    ]
    return net(nodes, inputs=["x", *([mask] if mask else [])])


def test_attention_joins_queries_with_keys_and_both_with_values():
    """Three projections of one input, two products without weights, one projection behind them."""
    assert wires(attention()) == {
        "x": [], "q": ["x"], "k": ["x"], "v": ["x"], "scores": ["q", "k"], "mixed": ["scores", "v"], "out": ["mixed"], "y": ["out"],
    }  # fmt: skip


def test_a_mask_is_no_part_of_the_wiring():
    """An input that only meets what layers made is left out, and so is the sum at which it did."""
    assert wires(attention("mask")) == wires(attention())


def test_a_comparison_passes_no_signal_on():
    """(c > 0) * a + b: of the three layers that are read two carry the signal, the answer to the comparison does not."""
    nodes = [
        dense("a", "x", "za"),
        dense("b", "x", "zb"),
        dense("c", "x", "zc"),
        helper.make_node("Greater", ["zc", "zero"], ["positive"]),
        helper.make_node("Cast", ["positive"], ["mask"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["mask", "za"], ["masked"], "masking"),
        helper.make_node("Add", ["masked", "zb"], ["y"], "sum"),
    ]

    found = wires(net(nodes, zero=np.zeros(1, np.float32)))

    assert "masking" not in found
    assert found["sum"] == ["a", "b"]


def test_unconnected_parts_stand_beside_each_other():
    """Two networks in one file, each with its input and output."""
    nodes = [dense("left", "x", "y"), dense("right", "u", "v")]

    found = wires(net(nodes, outputs=["y", "v"], inputs=["x", "u"]))

    assert found == {"x": [], "u": [], "left": ["x"], "right": ["u"], "y": ["left"], "v": ["right"]}


def test_a_recurrent_node_is_one_place_with_all_its_gates():
    """The eight weights of an LSTM are eight layers of one node; its initial state may come from another layer."""
    hidden = 3
    rng = np.random.default_rng(0)
    tensors = {
        "w": rng.normal(size=(1, 4 * hidden, WIDTH)),
        "r": rng.normal(size=(1, 4 * hidden, hidden)),
        "start.weight": rng.normal(size=(WIDTH, hidden)),
    }
    nodes = [
        dense("start", "u", "h"),
        helper.make_node("LSTM", ["x", "w", "r", "", "", "h"], ["y"], "lstm", hidden_size=hidden),
    ]
    stored = {name: array.astype(np.float32) for name, array in tensors.items()}
    proto = model(nodes, {"x": [5, "N", WIDTH], "u": [1, "N", WIDTH]}, ["y"], stored)

    (recurrent,) = [place for place in places(proto) if place.name == "lstm"]

    assert len(recurrent.layers) == 8
    assert wires(proto)["lstm"] == ["x", "start"]


def body(name: str, nodes: Sequence[NodeProto], inputs: Sequence[str], outputs: Sequence[str]) -> onnx.GraphProto:
    """A body of Loop or If; names that end in `?` are boolean, `i` counts."""
    kinds = {"?": TensorProto.BOOL, "i": TensorProto.INT64}
    infos = [
        [helper.make_tensor_value_info(n, kinds.get(n[-1], TensorProto.FLOAT), None) for n in names]
        for names in (inputs, outputs)
    ]
    return helper.make_graph(list(nodes), name, *infos)


def test_a_loop_is_passed_through_its_body():
    """The state enters the body's layer and leaves it, and the layer says where it stands."""
    step = [helper.make_node("Identity", ["go?"], ["on?"]), dense("inner", "state", "next")]
    nodes = [
        dense("first", "x", "h"),
        helper.make_node(
            "Loop",
            ["three", "", "h"],
            ["g"],
            "loop",
            body=body("b", step, ["i", "go?", "state"], ["on?", "next"]),
        ),
        dense("last", "g", "y"),
    ]
    proto = net(nodes, three=np.array(3), **{"inner.weight": WEIGHT})

    found = wires(proto)

    assert (found["inner"], found["last"]) == (["first"], ["inner"])
    assert {place.name: place.inside for place in places(proto) if place.inside} == {"inner": ("Loop loop",)}


def test_branches_of_an_if_meet_behind_it():
    """Either body's layer may have made the value, so both are read."""
    bodies = {f"{way}_branch": body(way, [dense(way, "h", f"{way}.z")], [], [f"{way}.z"]) for way in ("then", "else")}
    nodes = [
        dense("first", "x", "h"),
        helper.make_node("ReduceMax", ["x"], ["m"], keepdims=0),
        helper.make_node("Greater", ["m", "zero"], ["c"]),
        helper.make_node("If", ["c"], ["z"], "choice", **bodies),
        dense("last", "z", "y"),
    ]
    proto = net(nodes, zero=np.float32(0), **{"then.weight": WEIGHT, "else.weight": WEIGHT})

    found = wires(proto)

    assert (found["then"], found["else"], found["last"]) == (["first"], ["first"], ["choice"])
    assert sorted(found["choice"]) == ["else", "then"]
    assert {place.inside for place in places(proto) if place.name == "then"} == {("If choice then_branch",)}


def test_layers_of_a_function_are_places_like_others():
    """A call is replaced by its body."""
    block = helper.make_function(
        "local", "Block", ["a", "w"], ["c"], [helper.make_node("MatMul", ["a", "w"], ["c"], "fc")], [helper.make_opsetid("", 17)]
    )  # fmt: skip
    calls = [
        helper.make_node("Block", ["x", "w1.weight"], ["h"], "one", domain="local"),
        helper.make_node("Block", ["h", "w2.weight"], ["y"], "two", domain="local"),
    ]
    tensors = {"w1.weight": WEIGHT, "w2.weight": WEIGHT}
    proto = model(calls, {"x": ["N", WIDTH]}, ["y"], tensors, domains=["local"])
    proto.functions.append(block)

    first, second = [place for place in places(proto) if place.kind == "layer"]

    assert places(proto)[second.reads[0]] == first


def test_every_layer_is_in_exactly_one_place_and_reads_only_what_stands_before_it():
    """Whatever the network; here layers, a gate and norms."""
    proto = gated(4, "Sigmoid", norm=True)
    loaded = load_model(proto)
    layers = extract_layers(loaded).layers

    found = wiring(loaded.graph, layers)

    assert [name for place in found for name in place.layers] == [layer.name for layer in layers]
    assert all(source < position for position, place in enumerate(found) for source in place.reads)


def seconds(depth: int) -> float:
    """Processor time of the wiring of a chain of residual blocks."""
    nodes, value = [], "x"
    for i in range(depth):
        nodes += [
            helper.make_node("MatMul", [value, "w"], [f"z{i}"]),
            helper.make_node("Add", [value, f"z{i}"], [f"a{i}"]),
        ]
        value = f"a{i}"
    graph = load_model(model(nodes, {"x": ["N", WIDTH]}, [value], {"w": WEIGHT})).graph
    layers = [SimpleNamespace(node=node, name=node.outputs[0].name) for node in graph.nodes if node.op_type == "MatMul"]
    start = time.process_time()
    found = wiring(graph, layers)
    spent = time.process_time() - start
    assert len(found) == 2 * depth + 2
    return spent


def test_time_grows_with_the_network_and_not_with_its_square():
    """Ten times the nodes, 20,000 of them, take ten times as long; a quadratic walk would take a hundred times."""
    assert seconds(10_000) < 40 * max(seconds(1_000), 1e-3)
