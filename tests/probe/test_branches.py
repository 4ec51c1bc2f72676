"""Layers in the branches of an If are probed: in the branch that is taken, or in each where the data decide."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import NodeProto, TensorProto, helper, numpy_helper

import initaudit
import initaudit.probe.probe
from tests.networks import he, mlp, model

pytestmark = pytest.mark.usefixtures("in_process")

WIDTH = 32


def body(name: str, nodes: list[NodeProto], output: str, tensors: dict[str, np.ndarray]) -> onnx.GraphProto:
    """A branch with one output and weights of its own."""
    return helper.make_graph(
        nodes,
        name,
        [],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, None)],
        [numpy_helper.from_array(a.astype(np.float32), n) for n, a in tensors.items()],
    )


def layer(name: str, scale: float, seed: int, source: str = "x") -> onnx.GraphProto:
    """Relu(x W) under names that every branch uses."""
    weight = scale * he((WIDTH, WIDTH), np.random.default_rng(seed))
    nodes = [
        helper.make_node("MatMul", [source, "w"], ["z"], name),
        helper.make_node("Relu", ["z"], ["a"], f"{name}_relu"),
    ]
    return body(name, nodes, "a", {"w": weight})


def choosing(condition: NodeProto | None, then: onnx.GraphProto, other: onnx.GraphProto) -> onnx.ModelProto:
    """If behind a condition (the stored `flag` where it is None), and a last layer."""
    rng = np.random.default_rng(0)
    tensors = {"head": he((WIDTH, 4), rng).astype(np.float32), "zero": np.float32(0), "flag": np.asarray(True)}
    nodes = [helper.make_node("ReduceSum", ["x"], ["sum"], keepdims=0)] if condition is not None else []
    nodes += [condition] if condition is not None else []
    nodes += [
        helper.make_node(
            "If", ["flag" if condition is None else "positive"], ["b"], "choice", then_branch=then, else_branch=other
        ),
        helper.make_node("MatMul", ["b", "head"], ["y"], "last"),
    ]
    return model(nodes, {"x": ["N", WIDTH]}, ["y"], tensors)


BY_DATA = helper.make_node("Greater", ["sum", "zero"], ["positive"])


def sizes(report: initaudit.Report) -> dict[str, float]:
    """Mean square of each probed layer."""
    return {a.layer.node.name: a.signal.mean_square for a in report.audit.layers if a.signal is not None}


def test_both_branches_are_probed_where_the_data_decide():
    """Each has its own weights under the same names; one is three times as large as the other."""
    report = initaudit.audit(choosing(BY_DATA, layer("one", 1.0, 1), layer("two", 3.0, 2)), probe="full")

    found = sizes(report)
    assert report.audit.probe.status == "complete"
    assert found["one"] == pytest.approx(2.0, rel=0.3)
    assert found["two"] == pytest.approx(18.0, rel=0.3)
    assert all(a.signal is not None and a.signal.gradient_rms for a in report.audit.layers)


@pytest.mark.parametrize("silent", [0, 1])
def test_a_branch_without_a_signal_does_not_hide_that_of_another(silent: int, monkeypatch: pytest.MonkeyPatch):
    """Its layers are told with the reason, the others as measured, whichever branch is probed first."""
    asked, ask = [], initaudit.probe.probe._probe_plan

    def answer(run: Any, plan: Any) -> Any:
        asked.append(plan)
        nothing = {"unmeasured": "no input differs", "inputs": [], "notes": []}
        return nothing if len(asked) == silent + 1 else ask(run, plan)

    monkeypatch.setattr(initaudit.probe.probe, "_probe_plan", answer)
    probed = initaudit.audit(choosing(BY_DATA, layer("one", 1.0, 1), layer("two", 3.0, 2)), probe="full").audit.probe

    lost = {layer.name for layer in asked[silent].layers}
    assert len(asked) == 2
    assert {name: why for name, why in probed.not_probed.items() if name in lost} == dict.fromkeys(
        lost, "no input differs"
    )
    assert set(probed.signals) == {layer.name for layer in asked[1 - silent].layers}
    assert probed.status == "partial"


def chain(name: str, scale: float, count: int = 5) -> onnx.GraphProto:
    """`count` layers of tanh, their weights `scale` times Xavier's."""
    tensors = {f"w{i}": scale * np.random.default_rng(i).normal(0, WIDTH**-0.5, (WIDTH, WIDTH)) for i in range(count)}
    nodes, value = [], "x"
    for i in range(count):
        nodes.append(helper.make_node("MatMul", [value, f"w{i}"], [f"{name}z{i}"], f"{name}{i}"))
        nodes.append(helper.make_node("Tanh", [f"{name}z{i}"], [f"{name}a{i}"]))
        value = f"{name}a{i}"
    return body(name, nodes, value, tensors)


@pytest.mark.parametrize("scales", [(1.0, 0.01), (0.01, 1.0)])
def test_a_branch_is_not_blamed_for_another(scales: tuple[float, float]):
    """No input runs through both: the sound one is no explosion behind the one in which the signal dies."""
    report = initaudit.audit(choosing(BY_DATA, chain("one", scales[0]), chain("two", scales[1])), context="fresh")

    sound = "one" if scales[0] == 1.0 else "two"
    loud = [f for f in report.findings if f.severity.value != "info"]
    assert loud
    assert not [f for f in loud if f.layer and sound in f.layer]
    assert not {"INI402", "INI502"} & {f.code for f in loud}


def test_the_branch_of_a_constant_condition_is_the_network():
    """It measures what the same layers measure without If; the other branch is listed with its reason."""
    report = initaudit.audit(choosing(None, layer("one", 1.0, 1), layer("two", 3.0, 2)), probe="full")

    assert set(sizes(report)) == {"one", "last"}
    assert list(report.audit.probe.not_probed.values()) == ["it lies in a branch that is never taken"]


def test_a_branch_in_a_branch_is_reached():
    """Three layers behind two Ifs take two or three choices; names of outer bodies are seen from inner ones."""
    inner = helper.make_node(
        "If",
        ["positive"],
        ["c"],
        "inner",
        then_branch=layer("deep", 1.0, 3, "h"),
        else_branch=layer("deeper", 2.0, 4, "h"),
    )
    outer = body(
        "outer",
        [helper.make_node("MatMul", ["x", "v"], ["h"], "outer"), inner],
        "c",
        {"v": he((WIDTH, WIDTH), np.random.default_rng(5))},
    )
    report = initaudit.audit(choosing(BY_DATA, outer, layer("two", 3.0, 2)), probe="full")

    assert set(sizes(report)) == {"outer", "deep", "deeper", "two", "last"}
    assert report.audit.probe.status == "complete"


def test_a_network_that_lies_in_a_branch_is_judged_like_one_that_does_not():
    """The signal that dies in a deep branch is told."""
    deep = mlp((WIDTH,) * 12, "Tanh", lambda shape, rng: rng.normal(0, 0.01, shape))
    inside = helper.make_graph(
        deep.graph.node,
        "deep",
        [],
        [helper.make_tensor_value_info(deep.graph.output[0].name, 1, None)],
        deep.graph.initializer,
    )
    report = initaudit.audit(choosing(None, inside, layer("two", 1.0, 2)), probe="full")

    assert "INI401" in {f.code for f in report.findings}
