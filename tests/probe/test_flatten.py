"""A flattened model computes what the model computes, and names its values as the graph view does."""

from __future__ import annotations

import numpy as np
import onnxruntime
from onnx import ModelProto, TensorProto, helper, numpy_helper

from initaudit.model.build import build_graph
from initaudit.probe.flatten import flatten
from tests.networks import mlp

X = np.random.default_rng(0).standard_normal((3, 4)).astype(np.float32)


def run(model: ModelProto) -> np.ndarray:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"x": X})[0]


def model_with_functions() -> ModelProto:
    """Two calls of a function that holds a branch whose bodies read a value of the function."""
    branch = helper.make_node(
        "If",
        ["positive"],
        ["chosen"],
        then_branch=helper.make_graph(
            [helper.make_node("Mul", ["h", "h"], ["then"])],
            "then",
            [],
            [helper.make_tensor_value_info("then", 1, None)],
        ),
        else_branch=helper.make_graph(
            [helper.make_node("Neg", ["h"], ["else"])], "else", [], [helper.make_tensor_value_info("else", 1, None)]
        ),
    )
    function = helper.make_function(
        "test",
        "Layer",
        ["a", "w"],
        ["chosen"],
        [
            helper.make_node("MatMul", ["a", "w"], ["h"]),
            helper.make_node("ReduceSum", ["h"], ["total"], keepdims=0),
            helper.make_node("Constant", [], ["zero"], value=numpy_helper.from_array(np.float32(0))),
            helper.make_node("Greater", ["total", "zero"], ["positive"]),
            branch,
        ],
        [helper.make_opsetid("", 17)],
    )
    rng = np.random.default_rng(1)
    weights = [numpy_helper.from_array(rng.standard_normal((4, 4)).astype(np.float32), n) for n in ("v", "w")]
    graph = helper.make_graph(
        [
            helper.make_node("Layer", ["x", "v"], ["m"], name="first", domain="test"),
            helper.make_node("Layer", ["m", "w"], ["y"], name="second", domain="test"),
        ],
        "calls",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 4])],
        weights,
    )
    return helper.make_model(
        graph,
        functions=[function],
        opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("test", 1)],
        ir_version=8,
    )


def test_inlining_keeps_the_function():
    """The outputs before and after inlining are the same numbers."""
    model = model_with_functions()
    expected = run(model)

    flat = flatten(model)

    assert not flat.functions
    np.testing.assert_array_equal(run(flat), expected)


def test_values_are_named_as_in_the_graph_view():
    """Every value of the graph view can be found in the flattened model by its name."""
    model = model_with_functions()
    graph = build_graph(model, None)

    flat = flatten(model)

    made = {name for node in flat.graph.node for name in node.output}
    assert made == {value.name for node in graph.nodes for value in node.outputs if value is not None}


def test_a_model_without_functions_is_left_alone():
    """Nothing but the inputs that repeat initializers changes."""
    model = mlp((4, 4))
    model.graph.input.append(helper.make_tensor_value_info(model.graph.initializer[0].name, TensorProto.FLOAT, [4, 4]))
    nodes = [node.SerializeToString() for node in model.graph.node]

    flat = flatten(model)

    assert [i.name for i in flat.graph.input] == ["x"]
    assert [node.SerializeToString() for node in flat.graph.node] == nodes
