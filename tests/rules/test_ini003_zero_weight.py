"""INI003: a layer of zeros is judged by whether a gradient ever moves it and by what goes past it."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import initaudit
from tests.networks import he, model, trained_like

WIDTH = 32


def severities(proto: onnx.ModelProto, context: str = "fresh", probe: str = "full") -> dict[str | None, str]:
    """What INI003 says, by layer."""
    report = initaudit.audit(proto, context=context, probe=probe)
    return {f.layer: f.severity.value for f in report.findings if f.code == "INI003"}


def excitation(activation: str, bias: float | None = None) -> onnx.ModelProto:
    """h + h * activation(W h) with W = 0, between two random layers."""
    rng = np.random.default_rng(0)
    tensors = {
        "stem": he((WIDTH, 16), rng),
        "zero": np.zeros((WIDTH, WIDTH)),
        "head": he((10, WIDTH), rng),
    }
    nodes = [
        helper.make_node("Gemm", ["x", "stem"], ["h"], "stem", transB=1),
        helper.make_node("Gemm", ["h", "zero"], ["z"], "excite", transB=1),
        helper.make_node(activation, ["z"], ["a"]),
        helper.make_node("Mul", ["h", "a"], ["p"]),
        helper.make_node("Add", ["h", "p"], ["s"]),
        helper.make_node("Gemm", ["s", "head"], ["y"], "head", transB=1),
    ]
    if bias is not None:
        tensors["bias"] = np.full(WIDTH, bias)
        nodes[1].input.append("bias")
    return model(nodes, {"x": ["N", 16]}, ["y"], {n: a.astype(np.float32) for n, a in tensors.items()})


@pytest.mark.parametrize("probe", ["none", "full"])
def test_in_front_of_a_relu_zeros_stay_for_ever(probe: str):
    """Frameworks take the slope 0 at 0, so that no gradient comes back; a negative bias is no better."""
    assert severities(excitation("Relu"), probe=probe) == {"excite": "error"}
    assert severities(excitation("Relu", bias=0.0), probe=probe) == {"excite": "error"}
    assert severities(excitation("Relu", bias=-0.1)) == {"excite": "error"}


@pytest.mark.parametrize("activation", ["Tanh", "Sigmoid", "Elu"])
def test_a_gate_may_start_at_zeros(activation: str):
    """Its slope is not zero there, and the other factor and the skip carry signal and gradient."""
    assert severities(excitation(activation)) == {"excite": "info"}
    assert severities(excitation("Relu", bias=0.5)) == {"excite": "info"}


def test_a_gate_of_zeros_was_not_trained():
    """In a trained network it is a branch that contributes nothing."""
    assert severities(excitation("Tanh"), context="trained") == {"excite": "warning"}


@pytest.mark.parametrize(("activation", "severity"), [("LeakyRelu", "info"), ("Relu", "error")])
def test_the_skip_goes_past_a_branch_whose_zeros_an_activation_follows(activation: str, severity: str):
    """x + phi(W2 phi(W1 x)) with W2 = 0, as Darknet is built and a zero scale folded: the first step leaves zero where phi passes a gradient there."""
    rng = np.random.default_rng(0)
    tensors = {"stem": he((WIDTH, 16), rng), "w1": he((WIDTH, WIDTH), rng), "w2": np.zeros((WIDTH, WIDTH)), "head": he((10, WIDTH), rng)}  # fmt: skip
    nodes = [
        helper.make_node("Gemm", ["x", "stem"], ["h"], "stem", transB=1),
        helper.make_node("Gemm", ["h", "w1"], ["z1"], "first", transB=1),
        helper.make_node("LeakyRelu", ["z1"], ["a1"]),
        helper.make_node("Gemm", ["a1", "w2"], ["z2"], "second", transB=1),
        helper.make_node(activation, ["z2"], ["a2"]),
        helper.make_node("Add", ["h", "a2"], ["s"]),
        helper.make_node("Gemm", ["s", "head"], ["y"], "head", transB=1),
    ]
    proto = model(nodes, {"x": ["N", 16]}, ["y"], {n: a.astype(np.float32) for n, a in tensors.items()})

    assert severities(proto)["second"] == severity


def adapter(**zeros: bool) -> onnx.ModelProto:
    """W x + B A x, behind a first layer and in front of a head."""
    rng = np.random.default_rng(0)
    tensors = {"stem": (WIDTH, 16), "w": (WIDTH, WIDTH), "a": (4, WIDTH), "b": (WIDTH, 4), "head": (10, WIDTH)}
    nodes = [
        helper.make_node("Gemm", ["x", "stem"], ["h"], "stem", transB=1),
        helper.make_node("Gemm", ["h", "w"], ["base"], "base", transB=1),
        helper.make_node("Gemm", ["h", "a"], ["low"], "A", transB=1),
        helper.make_node("Gemm", ["low", "b"], ["update"], "B", transB=1),
        helper.make_node("Add", ["base", "update"], ["s"]),
        helper.make_node("Gemm", ["s", "head"], ["y"], "head", transB=1),
    ]
    stored = {n: np.zeros(s) if zeros.get(n) else he(s, rng) for n, s in tensors.items()}
    return model(nodes, {"x": ["N", 16]}, ["y"], {n: a.astype(np.float32) for n, a in stored.items()})


def test_two_zero_factors_wait_for_each_other():
    """dL/dB needs A x and dL/dA needs B: with one of them drawn both move, with none neither ever does."""
    assert severities(adapter(b=True)) == {"B": "info"}
    assert severities(adapter(a=True, b=True)) == {"A": "error", "B": "error"}


def embedding(*, positions: bool, words: bool = False) -> onnx.ModelProto:
    """Words and positions, looked up and added, a LayerNorm, a layer and a head; a table is drawn, or zero."""
    rng = np.random.default_rng(0)
    shapes = {"word": (50, WIDTH), "position": (12, WIDTH), "fc": (WIDTH, WIDTH), "head": (WIDTH, 10)}
    tensors = {n: rng.normal(0, s[-1] ** -0.5, s).astype(np.float32) for n, s in shapes.items()}
    tensors |= {
        n: np.zeros(shapes[n], np.float32) for n, drawn in (("word", words), ("position", positions)) if not drawn
    }
    tensors |= {"one": np.ones(WIDTH, np.float32), "nil": np.zeros(WIDTH, np.float32)}
    nodes = [
        helper.make_node("Gather", ["word", "ids"], ["w"], "word"),
        helper.make_node("Add", ["w", "position"], ["e"], "position"),
        helper.make_node("LayerNormalization", ["e", "one", "nil"], ["n"], "norm"),
        helper.make_node("MatMul", ["n", "fc"], ["h"], "fc"),
        helper.make_node("Tanh", ["h"], ["t"]),
        helper.make_node("MatMul", ["t", "head"], ["y"], "head"),
    ]
    graph = helper.make_graph(
        nodes,
        "tables",
        [helper.make_tensor_value_info("ids", TensorProto.INT64, ["N", 12])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(a, n) for n, a in tensors.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def test_a_zero_table_is_harmless_where_something_else_feeds_the_path():
    """Positions may start at zero beside words; without words the outputs do not depend on the input."""
    assert severities(embedding(positions=False, words=True)) == {"position": "info"}
    assert severities(embedding(positions=True, words=False))["word"] in ("warning", "error")


def test_a_zero_layer_on_the_only_way_is_no_deliberate_start():
    """Its own first gradient fills it, but until then nothing passes."""
    rng = np.random.default_rng(0)
    tensors = {"a": he((WIDTH, 16), rng), "b": np.zeros((WIDTH, WIDTH)), "c": trained_like((10, WIDTH), rng)}
    nodes = [
        helper.make_node("Gemm", ["x", "a"], ["h"], "first", transB=1),
        helper.make_node("Tanh", ["h"], ["t"]),
        helper.make_node("Gemm", ["t", "b"], ["z"], "middle", transB=1),
        helper.make_node("Tanh", ["z"], ["u"]),
        helper.make_node("Gemm", ["u", "c"], ["y"], "head", transB=1),
    ]
    proto = model(nodes, {"x": ["N", 16]}, ["y"], {n: a.astype(np.float32) for n, a in tensors.items()})

    assert severities(proto)["middle"] in ("warning", "error")


def blocks(count: int) -> onnx.ModelProto:
    """A stem, `count` blocks x + B relu(A x) of which the last has A = 0, and a head."""
    rng = np.random.default_rng(0)
    tensors = {"stem": he((WIDTH, 16), rng), "head": he((10, WIDTH), rng)}
    nodes = [helper.make_node("Gemm", ["x", "stem"], ["h0"], "stem", transB=1)]
    for i in range(count):
        tensors |= {f"a{i}": he((WIDTH, WIDTH), rng) * (i < count - 1), f"b{i}": 0.3 * he((WIDTH, WIDTH), rng)}
        nodes += [
            helper.make_node("Gemm", [f"h{i}", f"a{i}"], [f"p{i}"], f"A{i}", transB=1),
            helper.make_node("Relu", [f"p{i}"], [f"q{i}"]),
            helper.make_node("Gemm", [f"q{i}", f"b{i}"], [f"r{i}"], f"B{i}", transB=1),
            helper.make_node("Add", [f"h{i}", f"r{i}"], [f"h{i + 1}"]),
        ]
    nodes.append(helper.make_node("Gemm", [f"h{count}", "head"], ["y"], "head", transB=1))
    return model(nodes, {"x": ["N", 16]}, ["y"], {n: a.astype(np.float32) for n, a in tensors.items()})


@pytest.mark.parametrize(("count", "severity"), [(1, "error"), (4, "warning")])
def test_one_dead_branch_of_several_can_be_done_without(count: int, severity: str):
    """It never learns, and the network does: with the other branches. The only one takes all that is nonlinear with it."""
    assert severities(blocks(count))[f"A{count - 1}"] == severity
