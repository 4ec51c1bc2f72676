"""The navigable view of a graph: names, order, scopes, functions, and what untrusted files may not do."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from initaudit.errors import InvalidModel
from initaudit.model.build import build_graph
from tests.counting import growth
from tests.networks import model


def identity_chain(names: list[str]) -> list[onnx.NodeProto]:
    return [helper.make_node("Relu", [a], [b], f"to_{b}") for a, b in pairwise(names)]


def test_nodes_are_sorted_whatever_their_order_in_the_file():
    """A node stands behind the nodes that make its inputs."""
    nodes = identity_chain(["x", "a", "b", "y"])
    graph = build_graph(model(nodes[::-1], {"x": [1]}, ["y"], {}), None)

    assert [node.name for node in graph.nodes] == ["to_a", "to_b", "to_y"]


def test_values_know_their_producer_and_consumers():
    """Edges can be walked both ways, with the position at the consumer."""
    nodes = [helper.make_node("Relu", ["x"], ["h"], "relu"), helper.make_node("Add", ["h", "h"], ["y"], "add")]
    graph = build_graph(model(nodes, {"x": [1]}, ["y"], {}), None)
    value = graph.values["h"]

    assert value.producer is graph.nodes[0]
    assert value.consumers == [(graph.nodes[1], 0), (graph.nodes[1], 1)]


def test_initializers_that_are_repeated_as_inputs_are_no_inputs():
    """IR versions before 4 list every initializer among the inputs."""
    proto = model(
        [helper.make_node("Add", ["x", "w"], ["y"])], {"x": [2], "w": [2]}, ["y"], {"w": np.ones(2, np.float32)}
    )
    proto.ir_version = 3

    graph = build_graph(proto, None)

    assert graph.values["w"].tensor is not None
    assert [value.name for value in graph.inputs if value.is_input] == ["x"]


@pytest.mark.parametrize(
    ("nodes", "reason"),
    [
        ([helper.make_node("Add", ["x", "b"], ["a"]), helper.make_node("Relu", ["a"], ["b"])], "cycle"),
        ([helper.make_node("Add", ["x", "nowhere"], ["a"])], "nothing produces"),
        ([helper.make_node("Relu", ["x"], ["a"]), helper.make_node("Neg", ["x"], ["a"])], "more than once"),
    ],
)
def test_graphs_that_contradict_themselves_are_refused(nodes, reason):
    """Cycles, names out of nothing and names given twice are said in one line."""
    with pytest.raises(InvalidModel, match=reason):
        build_graph(model(nodes, {"x": [1]}, ["a"], {}), None)


def test_functions_are_inlined_with_their_attributes():
    """A call becomes the nodes of the body, prefixed by the call, with the attributes that the call binds."""
    body = helper.make_node("LeakyRelu", ["a"], ["b"], "leak")
    reference = body.attribute.add()
    reference.name, reference.ref_attr_name, reference.type = "alpha", "slope", onnx.AttributeProto.FLOAT
    function = helper.make_function("f", "Leak", ["a"], ["b"], [body], [helper.make_opsetid("", 17)], ["slope"])
    proto = model(
        [helper.make_node("Leak", ["x"], ["y"], "call", domain="f", slope=0.25)], {"x": [1]}, ["y"], {}, domains=["f"]
    )
    proto.functions.append(function)

    graph = build_graph(proto, None)

    assert [(node.op_type, node.name) for node in graph.nodes] == [("LeakyRelu", "call/leak"), ("Identity", "call/b")]
    assert graph.nodes[0].attr("alpha") == 0.25


def test_inputs_that_a_call_omits_are_omitted_in_the_body():
    """f(a, low, high) = Clip(a, low, high) called with `a` alone clips at nothing, whatever `low` is around the call."""
    body = helper.make_node("Clip", ["a", "low", "high"], ["b"], "clip")
    function = helper.make_function("f", "Limit", ["a", "low", "high"], ["b"], [body], [helper.make_opsetid("", 17)])
    calls = [
        helper.make_node("Limit", ["x"], ["h"], "short", domain="f"),
        helper.make_node("Limit", ["h", "", "low"], ["y"], "gap", domain="f"),
    ]
    proto = model(calls, {"x": [1]}, ["y"], {"low": np.float32(0)}, domains=["f"])
    proto.functions.append(function)

    graph = build_graph(proto, None)

    clips = [node for node in graph.nodes if node.op_type == "Clip"]
    assert clips[0].inputs == [graph.values["x"], None, None]
    assert clips[1].inputs == [graph.values["h"], None, graph.values["low"]]


def test_a_function_that_calls_itself_is_refused():
    """Recursion in an untrusted file must not exhaust the stack."""
    function = helper.make_function(
        "f", "Again", ["a"], ["b"], [helper.make_node("Again", ["a"], ["b"], domain="f")], [helper.make_opsetid("f", 1)]
    )
    proto = model([helper.make_node("Again", ["x"], ["y"], domain="f")], {"x": [1]}, ["y"], {}, domains=["f"])
    proto.functions.append(function)

    with pytest.raises(InvalidModel, match="calls itself"):
        build_graph(proto, None)


def test_functions_that_double_with_every_level_are_refused():
    """Thirty functions that call the next one twice would be 2**30 nodes."""
    proto = model([helper.make_node("F0", ["x"], ["y"], domain="f")], {"x": [1]}, ["y"], {}, domains=["f"])
    for level in range(30):
        inner = [helper.make_node(f"F{level + 1}", [a], [b], domain="f") for a, b in (("a", "m"), ("m", "b"))]
        proto.functions.append(
            helper.make_function("f", f"F{level}", ["a"], ["b"], inner, [helper.make_opsetid("f", 1)])
        )
    last = [helper.make_node("Relu", ["a"], ["b"])]
    proto.functions.append(helper.make_function("f", "F30", ["a"], ["b"], last, [helper.make_opsetid("", 17)]))

    with pytest.raises(InvalidModel, match=f"come to {2**30 + 0} nodes"):
        build_graph(proto, None)


def test_bodies_see_the_names_around_them_and_keep_their_own():
    """A branch reads outer values; its own values shadow nothing outside."""
    branch = helper.make_graph(
        [helper.make_node("Mul", ["h", "inner"], ["b"])],
        "branch",
        [],
        [helper.make_tensor_value_info("b", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.ones(1, np.float32), "inner")],
    )
    nodes = [
        helper.make_node("Relu", ["x"], ["h"]),
        helper.make_node("If", ["flag"], ["y"], "if", then_branch=branch, else_branch=branch),
    ]
    graph = build_graph(model(nodes, {"x": [1]}, ["y"], {"flag": np.array(True)}), None)

    bodies = list(graph.nodes[1].subgraphs.values())
    assert [body.nodes[0].inputs[0] for body in bodies] == [graph.values["h"]] * 2
    assert len(graph.values["h"].consumers) == 2
    assert sum(1 for _ in graph.walk()) == 4


def test_a_node_waits_for_what_the_innermost_body_gives_out():
    """A body inside a body may give out a value of the main graph as it is; its producer comes first."""
    output = [helper.make_tensor_value_info("h", TensorProto.FLOAT, None)]
    innermost = helper.make_graph([], "innermost", [], output)
    inner = helper.make_node("If", ["flag"], ["i"], "inner", then_branch=innermost, else_branch=innermost)
    body = helper.make_graph([inner], "body", [], [helper.make_tensor_value_info("i", TensorProto.FLOAT, None)])
    nodes = [
        helper.make_node("If", ["flag"], ["y"], "outer", then_branch=body, else_branch=body),
        helper.make_node("Relu", ["x"], ["h"], "relu"),
    ]

    graph = build_graph(model(nodes, {"x": [1]}, ["y"], {"flag": np.array(True)}), None)

    assert [node.name for node in graph.nodes] == ["relu", "outer"]
    assert list(dict.fromkeys(graph.nodes[1].reads())) == [graph.values["flag"], graph.values["h"]]


def test_a_stored_tensor_is_one_object_however_often_a_function_is_called():
    """Two calls of a function share the constant in its body: it is one set of parameters."""
    constant = helper.make_node("Constant", [], ["c"], value=numpy_helper.from_array(np.ones((2, 2), np.float32)))
    function = helper.make_function(
        "f",
        "Layer",
        ["a"],
        ["b"],
        [constant, helper.make_node("MatMul", ["a", "c"], ["b"])],
        [helper.make_opsetid("", 17)],
    )
    calls = [helper.make_node("Layer", [a], [b], f"call_{b}", domain="f") for a, b in (("x", "h"), ("h", "y"))]
    proto = model(calls, {"x": ["N", 2]}, ["y"], {}, domains=["f"])
    proto.functions.append(function)

    tensors = [tensor for _, tensor in build_graph(proto, None).tensors()]

    assert len(tensors) == 2
    assert tensors[0] is tensors[1]


def test_calls_of_one_name_are_numbered_in_linear_time():
    """Twice as many calls of a function, all called alike, are twice the work."""
    inner = [helper.make_node("Relu", ["a"], ["m"]), helper.make_node("Relu", ["m"], ["b"])]
    function = helper.make_function("f", "F", ["a"], ["b"], inner, [helper.make_opsetid("", 17)])

    def building(calls: int) -> Callable[[], object]:
        nodes = [helper.make_node("F", [f"h{i}"], [f"h{i + 1}"], "same", domain="f") for i in range(calls)]
        proto = model(nodes, {"h0": [1]}, [f"h{calls}"], {}, domains=["f"])
        proto.functions.append(function)
        return lambda: build_graph(proto, None)

    assert growth(building, 200) < 2.2
