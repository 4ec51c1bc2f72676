"""Copies are told from ties by how the file names them."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import initaudit
from tests.networks import he, mlp, model
from tests.redrawing.test_split import hidden_twice


def severities(network: onnx.ModelProto, context: str) -> list[str]:
    """Of the findings of INI603."""
    report = initaudit.audit(network, probe="none", context=context)
    return [f.severity.value for f in report.findings if f.code == "INI603"]


@pytest.mark.parametrize("matrix", [False, True])
def test_a_parameter_that_is_another_one_under_its_own_name_is_a_copy(matrix: bool) -> None:
    """`b.weight = Identity(a.weight)`, or where that was folded the bias; a module that is used twice has one name."""
    assert severities(hidden_twice(copied=True, matrix=matrix), "trained") == ["warning"]
    assert severities(hidden_twice(copied=True, matrix=matrix), "fresh") == ["info"]
    assert severities(hidden_twice(copied=False, matrix=matrix), "trained") == []


def test_small_layers_are_compared_too() -> None:
    """Twelve equal floats are no accident; a selector may be used twice."""
    narrow = mlp((3, 4, 3, 4), change={"fc2.weight": lambda _: np.arange(12.0).reshape(4, 3) - 4})
    again = mlp(
        (3, 4, 3, 4),
        change={f"fc{i}.weight": lambda _: np.arange(12.0).reshape(4, 3) - 4 for i in (0, 2)},
    )
    selectors = mlp((3, 4, 3, 4), change={f"fc{i}.weight": lambda _: np.eye(4, 3) for i in (0, 2)})

    assert severities(narrow, "trained") == []
    assert severities(again, "trained") == ["warning"]
    assert severities(selectors, "trained") == []


def test_a_table_and_a_head_may_hold_the_same_values() -> None:
    """Tied embeddings that the exporter wrote twice."""
    table = np.random.default_rng(0).normal(0, 0.1, (50, 16)).astype(np.float32)
    nodes = [
        helper.make_node("Gather", ["table", "x"], ["e"], "table"),
        helper.make_node("Gemm", ["e", "head"], ["y"], "head", transB=1),
    ]
    graph = helper.make_graph(
        nodes, "tied", [helper.make_tensor_value_info("x", TensorProto.INT64, ["N"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 50])],
        [numpy_helper.from_array(table, "table"), numpy_helper.from_array(table, "head")],
    )  # fmt: skip
    network = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)

    assert severities(network, "trained") == []


def test_the_branches_of_an_if_may_share() -> None:
    """Only one of them runs."""
    weight = he((24, 24), np.random.default_rng(0)).astype(np.float32)

    def branch(name: str) -> onnx.GraphProto:
        node = helper.make_node("MatMul", ["x", f"{name}.w"], [f"{name}.y"], name)
        output = helper.make_tensor_value_info(f"{name}.y", TensorProto.FLOAT, None)
        return helper.make_graph([node], name, [], [output], [numpy_helper.from_array(weight, f"{name}.w")])

    nodes = [
        helper.make_node("ReduceSum", ["x"], ["s"], keepdims=0),
        helper.make_node("Greater", ["s", "zero"], ["positive"]),
        helper.make_node("If", ["positive"], ["h"], "if", then_branch=branch("then"), else_branch=branch("else")),
        helper.make_node("MatMul", ["h", "again"], ["y"], "again"),
    ]
    zero = np.zeros((), np.float32)
    alone = model(nodes[:3], {"x": ["N", 24]}, ["h"], {"zero": zero})
    beside = model(nodes, {"x": ["N", 24]}, ["y"], {"zero": zero, "again": weight})

    assert severities(alone, "trained") == []
    assert severities(beside, "trained") != []
