"""Each rule: a network that triggers it, and a sound one, as alike as can be, that does not."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx
import pytest
from onnx import helper

import initaudit
from initaudit.errors import FixRefused
from initaudit.findings import Remedy
from initaudit.fixing import fixer
from initaudit.rule import Rule, all_rules
from tests.networks import he, mlp, model, save, trained_like
from tests.rules.cases import CASES, WIDTHS, Case, edited, repeated, with_values

if TYPE_CHECKING:
    from initaudit.report.report import Report


@cache
def report(build: Callable[[], onnx.ModelProto], context: str, probe: str, against: str | None = None) -> Report:
    """On a network, which may be that of several rules."""
    return initaudit.audit(build(), context=context, probe=probe, against=against)


def codes(build: Callable[[], onnx.ModelProto], case: Case, folder: Path) -> set[str]:
    """Codes of all findings."""
    return {f.code for f in report(build, case.context, case.probe, before(case, folder)).findings}


def before(case: Case, folder: Path) -> str | None:
    """The file that the case is compared with."""
    return save(case.before(), folder / "before.onnx") if case.before else None


def test_every_rule_has_a_case():
    """No rule without a network that triggers it."""
    assert set(CASES) == {r.code for r in all_rules()}


@pytest.mark.parametrize("code", CASES)
def test_the_faulty_network_is_named(code: str, tmp_path: Path):
    """The rule speaks up."""
    assert code in codes(CASES[code].faulty, CASES[code], tmp_path)


@pytest.mark.parametrize("code", CASES)
def test_the_sound_network_is_not(code: str, tmp_path: Path):
    """And is silent where there is nothing to say."""
    assert code not in codes(CASES[code].sound, CASES[code], tmp_path)


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

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fixer, "audit", lambda *_: report(case.faulty, case.context, case.probe))  # known already
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
    """What it learned would be lost: neither the remedy, nor the words, nor the code ask for it."""
    report = initaudit.audit(TRAINED_NETWORKS[code](), context="trained", probe="forward")

    found = [f for f in report.findings if f.code == code]

    assert found
    assert all(f.remedy in {Remedy.RESTORE_LAYER, Remedy.LOAD_VALUES, Remedy.CHECK} for f in found)
    assert not [
        a.code for f in found for a in f.advice if "init." in a.code or "initializer" in a.code or " fix " in a.code
    ]
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
