"""Each rule: a network that triggers it, and a sound one, as alike as can be, that does not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

import initaudit
from initaudit.errors import FixRefused
from initaudit.findings import Remedy
from initaudit.rule import Rule, all_rules
from tests.networks import gated, he, mlp, model, normal, save, trained_like, xavier

Edit = Callable[[np.ndarray], np.ndarray]
WIDTHS = (64, 96, 96, 10)
SHALLOW = (64, *(128,) * 4, 10)
DEEP = (64, *(64,) * 20, 10)


@dataclass(frozen=True)
class Case:
    """A faulty network, a sound one, and how to look at them."""

    faulty: Callable[[], onnx.ModelProto]
    sound: Callable[[], onnx.ModelProto]
    context: str = "fresh"
    probe: str = "none"


def edited(edit: Edit, name: str = "fc1.weight", **options: object) -> Callable[[], onnx.ModelProto]:
    """A He-initialised ReLU network with one tensor edited."""
    return lambda: mlp(WIDTHS, change={name: edit}, **options)  # type: ignore[arg-type]


def with_values(index: tuple[int, ...], value: float) -> Edit:
    """One element set."""

    def edit(w: np.ndarray) -> np.ndarray:
        w[index] = value
        return w

    return edit


def repeated(w: np.ndarray) -> np.ndarray:
    """Most rows equal the first."""
    w[: len(w) * 3 // 4] = w[0]
    return w


def half_precision(scale: float) -> Callable[[], onnx.ModelProto]:
    """A layer that computes in float16."""

    def build() -> onnx.ModelProto:
        weight = (np.random.default_rng(0).normal(0, 1, (64, 64)) * scale).astype(np.float16)
        nodes = [
            helper.make_node("Cast", ["x"], ["xh"], to=onnx.TensorProto.FLOAT16),
            helper.make_node("MatMul", ["xh", "w"], ["z"], "fc"),
            helper.make_node("Cast", ["z"], ["y"], to=onnx.TensorProto.FLOAT),
        ]
        return model(nodes, {"x": ["N", 64]}, ["y"], {"w": weight})

    return build


def convolution(running_mean: float, variance: float = 1.0) -> Callable[[], onnx.ModelProto]:
    """Conv and BatchNormalization with these running means and variances."""

    def build() -> onnx.ModelProto:
        rng = np.random.default_rng(0)
        ones, zeros = np.ones(16, np.float32), np.zeros(16, np.float32)
        tensors = {
            "w": trained_like((16, 8, 3, 3), rng).astype(np.float32),
            "gamma": rng.normal(1, 0.2, 16).astype(np.float32),
            "beta": rng.normal(0, 0.2, 16).astype(np.float32),
            "mean": zeros + np.float32(running_mean),
            "var": variance * ones,
        }
        nodes = [
            helper.make_node("Conv", ["x", "w"], ["z"], "conv", kernel_shape=[3, 3]),
            helper.make_node("BatchNormalization", ["z", "gamma", "beta", "mean", "var"], ["y"], "bn"),
        ]
        return model(nodes, {"x": ["N", 8, 8, 8]}, ["y"], tensors)

    return build


def normalised(std: float, scale: float = 1.0) -> Callable[[], onnx.ModelProto]:
    """Eight layers, each followed by LayerNormalization: the scale of the weights does not show in the signal, only in the steps."""

    def build() -> onnx.ModelProto:
        rng = np.random.default_rng(0)
        tensors = {"one": np.full(64, scale, np.float32), "zero": np.zeros(64, np.float32)}
        nodes, value = [], "x"
        for i in range(8):
            tensors[f"w{i}"] = rng.normal(0, std, (64, 64)).astype(np.float32)
            nodes.append(helper.make_node("MatMul", [value, f"w{i}"], [f"z{i}"], f"fc{i}"))
            nodes.append(
                helper.make_node("LayerNormalization", [f"z{i}", "one", "zero"], [f"n{i}"], f"ln{i}", epsilon=1e-30)
            )
            nodes.append(helper.make_node("Relu", [f"n{i}"], [f"a{i}"]))
            value = f"a{i}"
        tensors["head"] = rng.normal(0, 0.125, (64, 10)).astype(np.float32)
        nodes.append(helper.make_node("MatMul", [value, "head"], ["y"], "head"))
        return model(nodes, {"x": ["N", 64]}, ["y"], tensors)

    return build


def unknown_operator(domain: str) -> Callable[[], onnx.ModelProto]:
    """A linear layer and an operator with a weight of its own."""

    def build() -> onnx.ModelProto:
        rng = np.random.default_rng(0)
        tensors = {n: rng.normal(0, 0.18, (64, 64)).astype(np.float32) for n in ("w", "v")}
        op = "Frobnicate" if domain else "MatMul"
        nodes = [helper.make_node("MatMul", ["x", "w"], ["z"], "fc"), helper.make_node("Relu", ["z"], ["r"])]
        nodes.append(helper.make_node(op, ["r", "v"], ["y"], "last", domain=domain))
        return model(nodes, {"x": ["N", 64]}, ["y"], tensors, domains=[domain] if domain else [])

    return build


def torch_default(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """U(+-1/sqrt(fan_in))."""
    bound = np.prod(shape[1:]) ** -0.5
    return rng.uniform(-bound, bound, shape)


def copied(tensors_differ: bool) -> Callable[[], onnx.ModelProto]:
    """Two hidden layers with the same values, or not."""
    values: list[np.ndarray] = []

    def keep(w: np.ndarray) -> np.ndarray:
        values.append(w.copy())
        return w

    return lambda: mlp(
        (64, 64, 64, 10),
        draw=trained_like,
        change={"fc0.weight": keep, "fc1.weight": (lambda w: w) if tensors_differ else (lambda _: values[-1])},
    )


SOUND = edited(lambda w: w)
CASES = {
    "INI001": Case(edited(with_values((0, 0), np.nan)), SOUND),
    "INI002": Case(edited(lambda w: np.full_like(w, 0.1)), SOUND),
    "INI003": Case(edited(np.zeros_like), SOUND),
    "INI004": Case(edited(repeated), SOUND),
    "INI005": Case(half_precision(1e-6), half_precision(0.1)),
    "INI101": Case(edited(lambda w: w * 0.01), SOUND),
    "INI102": Case(edited(lambda w: w * 30), SOUND),
    "INI103": Case(lambda: mlp((64, 256, 64, 10), draw=xavier), lambda: mlp((64, 256, 64, 10), draw=he)),
    "INI104": Case(edited(np.abs), SOUND),
    "INI105": Case(edited(with_values((3, 5), 300.0)), SOUND),
    "INI106": Case(normalised(0.125, scale=1e-3), normalised(0.125), probe="full"),
    "INI107": Case(convolution(0.0, variance=-0.1), convolution(0.0)),
    "INI201": Case(edited(lambda w: np.outer(w[:, 0], w[0]) + 1e-4 * w), SOUND),
    "INI301": Case(edited(lambda b: b - 100, "fc1.bias"), SOUND),
    "INI302": Case(convolution(0.0), convolution(0.3), context="trained"),
    "INI401": Case(lambda: mlp(DEEP, "Tanh", normal(0.01)), lambda: mlp(DEEP, "Tanh", xavier), probe="full"),
    "INI402": Case(lambda: mlp(DEEP, "Relu", normal(1.5)), lambda: mlp(DEEP, "Relu", he), probe="full"),
    "INI403": Case(lambda: mlp(WIDTHS, "Tanh", normal(5)), lambda: mlp(WIDTHS, "Tanh", xavier), probe="forward"),
    "INI404": Case(edited(lambda b: b - 100, "fc1.bias"), SOUND, probe="forward"),
    "INI405": Case(
        lambda: mlp((64, *(64,) * 30, 10), "Sigmoid", xavier), lambda: mlp(SHALLOW, "Relu", he), probe="full"
    ),
    "INI406": Case(lambda: mlp(WIDTHS, draw=normal(1e20)), SOUND, probe="forward"),
    "INI408": Case(lambda: mlp(WIDTHS, draw=normal(100)), SOUND, probe="forward"),
    "INI409": Case(lambda: gated(4), lambda: gated(4, norm=True), probe="forward"),
    "INI501": Case(lambda: mlp(DEEP, "Tanh", normal(0.01)), lambda: mlp(DEEP, "Tanh", xavier), probe="full"),
    "INI502": Case(lambda: mlp(DEEP, "Tanh", normal(2.0)), lambda: mlp(DEEP, "Tanh", xavier), probe="full"),
    "INI503": Case(
        normalised(2e-3),
        normalised(0.125),
        probe="full",
    ),
    "INI504": Case(
        lambda: mlp(SHALLOW, draw=lambda shape, rng: 0.25 * he(shape, rng)), lambda: mlp(SHALLOW, draw=he), probe="full"
    ),
    "INI601": Case(
        lambda: mlp(
            (64, 64, 64, 64, 10),
            draw=trained_like,
            bias=normal(0.3),
            change={"fc2.weight": lambda w: torch_default(w.shape, np.random.default_rng(7))},
        ),
        lambda: mlp((64, 64, 64, 64, 10), draw=trained_like, bias=normal(0.3)),
        context="trained",
    ),
    "INI603": Case(copied(tensors_differ=False), copied(tensors_differ=True), context="trained"),
    "INI901": Case(unknown_operator("acme"), unknown_operator("")),
    "INI902": Case(unknown_operator("acme"), unknown_operator(""), probe="forward"),
}
ELSEWHERE = {
    "INI602": "tests/cli/test_cli.py: it needs a second model",
    "INI605": "tests/rules/test_ini605_rows_never_trained.py: it needs a table",
}


def codes(build: Callable[[], onnx.ModelProto], case: Case) -> set[str]:
    """Codes of all findings."""
    report = initaudit.audit(build(), context=case.context, probe=case.probe)
    return {f.code for f in report.findings}


def test_every_rule_has_a_case():
    """No rule without a network that triggers it."""
    assert set(CASES) | set(ELSEWHERE) == {r.code for r in all_rules()}


@pytest.mark.parametrize("code", CASES)
def test_the_faulty_network_is_named(code: str):
    """The rule speaks up."""
    assert code in codes(CASES[code].faulty, CASES[code])


@pytest.mark.parametrize("code", CASES)
def test_the_sound_network_is_not(code: str):
    """And is silent where there is nothing to say."""
    assert code not in codes(CASES[code].sound, CASES[code])


DRAWING = {Remedy.DRAW_LAYER, Remedy.DRAW_NETWORK}


@pytest.mark.parametrize("rule", all_rules(), ids=lambda rule: rule.code)
def test_the_documentation_names_the_remedy(rule: Rule):
    """It speaks of `initaudit fix` where a new draw is the remedy, and nowhere else."""
    assert "remedy" in vars(type(rule))
    assert ("`initaudit fix" in rule.documentation()["Fix"]) == (rule.remedy in DRAWING)


@pytest.mark.parametrize("code", CASES)
def test_fix_changes_weights_exactly_where_a_new_draw_is_the_remedy(code: str):
    """Of what the rule alone names, or it says why it cannot."""
    case, rule = CASES[code], next(r for r in all_rules() if r.code == code)
    config = initaudit.Config(context=case.context, probe=case.probe)

    try:
        changes = initaudit.fix(case.faulty(), config=config, select=(code,)).changes
        refused = False
    except FixRefused:
        changes, refused = (), True

    assert all(code in change.reason for change in changes)
    assert (bool(changes) or refused) == (rule.remedy in DRAWING)


TRAINED_NETWORKS = {
    "INI001": edited(with_values((0, 0), np.nan), draw=trained_like),
    "INI002": edited(lambda w: np.full_like(w, 0.1), draw=trained_like),
    "INI003": edited(np.zeros_like, draw=trained_like),
    "INI004": edited(repeated, draw=trained_like),
    "INI101": edited(lambda w: w * 1e-3, draw=trained_like),
    "INI102": edited(lambda w: w * 1e3, draw=trained_like),
    "INI104": edited(lambda w: w + 1, draw=trained_like),
    "INI105": edited(with_values((3, 5), 300.0), draw=trained_like),
    "INI201": edited(lambda w: np.outer(w[:, 0], w[0]) + 1e-4 * w, draw=trained_like),
    "INI301": edited(lambda b: b - 100, "fc1.bias", draw=trained_like),
    "INI401": edited(lambda w: w * 1e-6, draw=trained_like),
    "INI402": edited(lambda w: w * 1e6, draw=trained_like),
    "INI403": lambda: mlp(WIDTHS, "Tanh", trained_like, change={"fc1.weight": lambda w: w * 1e3}),
    "INI404": edited(lambda b: b - 100, "fc1.bias", draw=trained_like),
    "INI405": edited(lambda b: b + 1e4, "fc1.bias", draw=trained_like),
}
"""For each rule that can name a trained layer and whose remedy is a new draw where the network is fresh."""


@pytest.mark.parametrize("code", TRAINED_NETWORKS)
def test_nobody_is_told_to_draw_a_trained_layer_anew(code: str):
    """What it learned would be lost: neither the remedy nor the words ask for it."""
    report = initaudit.audit(TRAINED_NETWORKS[code](), context="trained", probe="forward")

    found = [f for f in report.findings if f.code == code]

    assert found
    assert all(f.remedy in {Remedy.RESTORE_LAYER, Remedy.CHECK} for f in found)
    assert not [
        f.suggestion for f in found if "nitialise" in f.suggestion or "raw" in f.suggestion or "std" in f.suggestion
    ]


@pytest.mark.parametrize(
    ("zero", "severities"),
    [("w2", {"fresh": ["info"], "trained": ["warning"]}), ("w1", {"fresh": ["error"], "trained": ["error"]})],
    ids=["end", "middle"],
)
def test_a_zero_branch_end_is_deliberate_when_fresh_and_dead_when_trained(
    zero: str, severities: dict[str, list[str]], tmp_path: Path
):
    """Fixup, ReZero and zero gamma start there; training leaves zero in the first step. In front of a ReLU zero stays zero."""
    rng = np.random.default_rng(0)
    tensors = {
        "w1": trained_like((64, 64), rng).astype(np.float32),
        "w2": trained_like((64, 64), rng).astype(np.float32),
        "w3": trained_like((10, 64), rng).astype(np.float32),
    }
    tensors[zero] = np.zeros_like(tensors[zero])
    nodes = [
        helper.make_node("Gemm", ["x", "w1"], ["a"], "fc1", transB=1),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Gemm", ["b", "w2"], ["c"], "fc2", transB=1),
        helper.make_node("Add", ["c", "x"], ["d"]),
        helper.make_node("Relu", ["d"], ["e"]),
        helper.make_node("Gemm", ["e", "w3"], ["y"], "head", transB=1),
    ]
    path = save(model(nodes, {"x": ["N", 64]}, ["y"], tensors), tmp_path / "m.onnx")

    severity = {
        context: [
            f.severity.value
            for f in initaudit.audit(path, context=context, probe="none").findings
            if f.code == "INI003"
        ]
        for context in ("fresh", "trained")
    }

    assert severity == severities


@pytest.mark.parametrize("value", [0.0, 0.1])
def test_a_constant_bias_behind_a_graph_convolution_is_no_fault(value: float):
    """A(xW) + b: b belongs to no product of its own, and a bias starts constant."""
    rng = np.random.default_rng(0)
    ring = (np.eye(20) + np.eye(20, k=1) + np.eye(20, k=-1)) / 3
    tensors = {
        "adjacency": ring.astype(np.float32),
        "w": he((32, 40), rng).T.astype(np.float32),
        "b": np.full(32, value, np.float32),
    }
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["xw"], "fc"),
        helper.make_node("MatMul", ["adjacency", "xw"], ["a"], "spread"),
        helper.make_node("Add", ["a", "b"], ["s"], "shift"),
        helper.make_node("Relu", ["s"], ["y"]),
    ]

    report = initaudit.audit(model(nodes, {"x": [20, 40]}, ["y"], tensors), context="fresh", probe="none")

    assert not {"INI002", "INI003"} & {f.code for f in report.findings}
