"""INI301: a bias is off where it decides alone, and that of a forget gate by the sum of two."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

import initaudit
from tests.networks import mlp, model, trained_like, xavier

STATIC = initaudit.Config(context="fresh", probe="none")


@pytest.mark.parametrize(
    ("entered", "recurrent", "named"), [(1.0, 0.0, False), (0.5, 0.5, False), (1.0, -1.0, True), (0.0, 0.0, True)]
)
def test_the_sum_of_both_biases_is_judged(entered: float, recurrent: float, named: bool) -> None:
    """ONNX keeps a bias for the input weights and one for the recurrent weights; one alone says nothing. One finding a gate."""
    rng = np.random.default_rng(0)
    bias = np.zeros((1, 2, 4, 16), np.float32)
    bias[0, :, 2] = [[entered], [recurrent]]
    stored = {
        "w": xavier((64, 32), rng).astype(np.float32)[None],
        "r": xavier((64, 16), rng).astype(np.float32)[None],
        "b": bias.reshape(1, 128),
    }
    lstm = helper.make_node("LSTM", ["x", "w", "r", "b"], ["y"], "lstm", hidden_size=16)

    report = initaudit.audit(model([lstm], {"x": ["T", "N", 32]}, ["y"], stored), context="fresh", probe="none")
    found = [f for f in report.findings if f.code == "INI301"]

    assert [f.evidence["measured"] for f in found] == ([pytest.approx(entered + recurrent)] if named else [])


@pytest.mark.parametrize(("bias", "severity"), [(0.0, "info"), (-3.0, "warning"), (-6.0, "warning")])
def test_a_gate_that_starts_shut_is_a_warning(bias: float, severity: str) -> None:
    """At 0 half of the state is left, as in torch; at -3 less than a twentieth, and the gate hardly learns to open."""
    rng = np.random.default_rng(0)
    values = np.zeros((1, 2, 4, 16), np.float32)
    values[0, 0, 2] = bias
    stored = {
        "w": xavier((64, 32), rng).astype(np.float32)[None],
        "r": xavier((64, 16), rng).astype(np.float32)[None],
        "b": values.reshape(1, 128),
    }
    lstm = helper.make_node("LSTM", ["x", "w", "r", "b"], ["y"], "lstm", hidden_size=16)

    report = initaudit.audit(model([lstm], {"x": ["T", "N", 32]}, ["y"], stored), context="fresh", probe="none")

    assert [f.severity.value for f in report.findings if f.code == "INI301"] == [severity]


def test_fix_sets_the_sum_once_and_leaves_the_weights(tmp_path: Path) -> None:
    """The gate's weights are as they should be; the two biases add up to one in every unit, whatever they were."""
    rng = np.random.default_rng(0)
    stored = {
        "w": xavier((64, 32), rng).astype(np.float32)[None],
        "r": xavier((64, 16), rng).astype(np.float32)[None],
        "b": rng.uniform(-0.25, 0.25, (1, 128)).astype(np.float32),
    }
    lstm = helper.make_node("LSTM", ["x", "w", "r", "b"], ["y"], "lstm", hidden_size=16)
    proto = model([lstm], {"x": ["T", "N", 32]}, ["y"], stored)

    initaudit.fix(proto, tmp_path / "out.onnx", config=STATIC, select=("INI301",))
    after = {t.name: numpy_helper.to_array(t) for t in onnx.load(tmp_path / "out.onnx").graph.initializer}
    before, sums = (b.reshape(2, 4, 16) for b in (stored["b"], after["b"]))

    assert all(np.array_equal(stored[name], after[name]) for name in ("w", "r"))
    assert (sums.sum(axis=0)[2] == 1).all()
    assert np.array_equal(np.delete(sums, 2, axis=1), np.delete(before, 2, axis=1))


def siren(omega: float, first: float, depth: int = 3) -> onnx.ModelProto:
    """sin(omega (W x + b)) over two coordinates, as Sitzmann et al. 2020 draw it but for the bound `first` of the first layer."""
    rng = np.random.default_rng(0)
    sizes = (2, *(64,) * depth, 3)
    tensors, nodes, value = {"omega": np.array(omega)}, [], "x"
    for i, (before, after) in enumerate(pairwise(sizes)):
        bound = first if i == 0 else (6 / before) ** 0.5 / omega
        tensors[f"fc{i}.weight"] = rng.uniform(-bound, bound, (after, before))
        tensors[f"fc{i}.bias"] = rng.uniform(-1, 1, after) / before**0.5
        nodes.append(helper.make_node("Gemm", [value, f"fc{i}.weight", f"fc{i}.bias"], [f"z{i}"], f"fc{i}", transB=1))
        nodes.append(helper.make_node("Mul", [f"z{i}", "omega"], [f"o{i}"]))
        nodes.append(helper.make_node("Sin", [f"o{i}"], [f"s{i}"]))
        value = f"s{i}"
    del nodes[-2:]
    nodes[-1].output[0] = "y"
    return model(nodes, {"x": ["N", 2]}, ["y"], {n: np.asarray(a, np.float32) for n, a in tensors.items()})


@pytest.mark.parametrize("omega", [30.0, 10.0])
def test_no_bias_stops_a_sine(omega: float) -> None:
    """However far a phase is shifted, the wave goes on; and SIREN's own draws are as they should be, the first layer's too."""
    report = initaudit.audit(siren(omega, 0.5), context="fresh", probe="none")

    assert not {"INI301", "INI101", "INI102", "INI103"} & {f.code for f in report.findings if f.layer != "fc3"}
    assert [a.ratio for a in report.audit.layers[:3]] == pytest.approx([1, 1, 1], rel=0.1)


def test_a_first_layer_of_sines_that_spans_no_period_is_drawn_by_its_own_law(tmp_path: Path) -> None:
    """With He's bound over omega the coordinates hardly turn the phase; `fix` gives U(+-1/n) and keeps the phases."""
    result = initaudit.fix(siren(30.0, 0.02), tmp_path / "out.onnx", config=STATIC, layers=("fc0",))
    after = {t.name: numpy_helper.to_array(t) for t in onnx.load(tmp_path / "out.onnx").graph.initializer}

    assert result.before.audit.layers[0].ratio == pytest.approx(0.04, rel=0.2)
    assert 0.45 < abs(after["fc0.weight"]).max() <= 0.5
    assert after["fc0.bias"].std() > 0.3


@pytest.mark.parametrize(("context", "named"), [("fresh", True), ("trained", False)])
def test_how_far_inputs_reach_is_not_known_of_a_trained_network(context: str, named: bool) -> None:
    """Weights that read pixels from 0 to 255 are small against their biases; no unit of them is dead."""
    rng = np.random.default_rng(0)
    tensors = {
        "fc0.weight": rng.standard_t(5, (64, 32)) * 1e-3,
        "fc0.bias": rng.normal(-1, 1, 64),
        "fc1.weight": xavier((10, 64), rng),
    }
    nodes = [
        helper.make_node("Gemm", ["x", "fc0.weight", "fc0.bias"], ["z"], "fc0", transB=1),
        helper.make_node("Relu", ["z"], ["a"]),
        helper.make_node("Gemm", ["a", "fc1.weight"], ["y"], "fc1", transB=1),
    ]
    proto = model(nodes, {"x": ["N", 32]}, ["y"], {n: a.astype(np.float32) for n, a in tensors.items()})

    report = initaudit.audit(proto, context=context, probe="none")

    assert ("INI301" in {f.code for f in report.findings if f.layer == "fc0"}) == named


def test_a_few_units_that_their_bias_decides_are_a_note() -> None:
    """Ordinary in trained networks, and still not passed over."""
    rng = np.random.default_rng(0)
    bias = np.zeros(64)
    bias[:3] = -100.0
    tensors = {"a": xavier((64, 16), rng), "b": xavier((64, 64), rng), "bias": bias, "c": xavier((4, 64), rng)}
    nodes = [
        helper.make_node("Gemm", ["x", "a"], ["h"], "first", transB=1),
        helper.make_node("Relu", ["h"], ["r"]),
        helper.make_node("Gemm", ["r", "b", "bias"], ["z"], "second", transB=1),
        helper.make_node("Relu", ["z"], ["q"]),
        helper.make_node("Gemm", ["q", "c"], ["y"], "head", transB=1),
    ]
    proto = model(nodes, {"x": ["N", 16]}, ["y"], {n: t.astype(np.float32) for n, t in tensors.items()})

    found = [f for f in initaudit.audit(proto, config=STATIC).findings if f.code == "INI301"]

    assert [(f.layer, f.severity.value) for f in found] == [("second", "info")]
    assert "The bias of 3 of 64 units" in found[0].message


def classifier(lead: float, *, softmax: bool) -> onnx.ModelProto:
    """A trained network of ten classes, the bias of the fourth this much above the others."""
    proto = mlp(
        [64, 64, 64, 10],
        draw=trained_like,
        bias=lambda shape, rng: rng.normal(0, 0.3, shape),
        change={"fc2.bias": lambda b: np.where(np.arange(10) == 3, lead, b)},
    )
    if softmax:
        proto.graph.node[-1].output[0] = "logits"
        proto.graph.node.append(helper.make_node("Softmax", ["logits"], ["y"], "softmax"))
    return proto


@pytest.mark.parametrize(
    ("lead", "softmax", "severity"),
    [(1e4, True, "error"), (1e4, False, "warning"), (10.0, True, None), (10.0, False, None)],
)
def test_a_class_that_wins_whatever_comes_in_is_no_note(lead: float, softmax: bool, severity: str | None) -> None:
    """Behind a softmax the network is broken, as its answer is constant; a class that is only frequent is in order."""
    report = initaudit.audit(classifier(lead, softmax=softmax), context="trained")
    found = [f for f in report.active if f.code == "INI301" and f.severity.value != "info"]

    assert [f.severity.value for f in found] == ([severity] if severity else [])
    assert all(f.layer == "/fc2/Gemm" and "unit 3" in f.message for f in found)


def test_of_a_head_of_zeros_the_bias_is_not_to_blame() -> None:
    """Any bias decides there; INI003 names the weights."""
    proto = classifier(1.0, softmax=True)
    for tensor in proto.graph.initializer:
        if tensor.name == "fc2.weight":
            tensor.CopyFrom(numpy_helper.from_array(np.zeros((10, 64), np.float32), tensor.name))

    report = initaudit.audit(proto, context="trained", probe="none")

    assert "INI003" in [f.code for f in report.active]
    assert "INI301" not in [f.code for f in report.active]
