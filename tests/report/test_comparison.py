"""What becomes of findings, measures and layers between two reports."""

from __future__ import annotations

import copy

import pytest

from initaudit.report.comparison import appeared, compared, pair_reports
from tests.formats.documents import dense_report, error_report, finding


def report(*findings, **more):
    """A healthy network with these findings."""
    return {**dense_report(depth=3, width=8, **more), "findings": list(findings)}


def found(print_, severity="error", **more):
    """A finding with this fingerprint."""
    return finding("INI101", "weight-too-small", severity, "/fc", "m", **more) | {"fingerprint": print_}


def test_a_finding_is_new_more_or_less_severe_gone_or_as_before():
    """By its fingerprint, whatever its message says; what came is first."""
    before = report(found("a"), found("b", "info"), found("c", "warning"), found("d"))
    after = report(found("b", "warning"), found("c", "info"), found("d"), found("e", "info"))

    model = compared(before, after)
    states = [(f["fingerprint"], f["state"], f["severity_before"]) for f in model["findings"]]

    assert states == [
        ("e", "new", None), ("b", "worse", "info"), ("c", "better", "warning"), ("a", "gone", "error"), ("d", "unchanged", "error"),
    ]  # fmt: skip
    assert model["outcome"] == "mixed"


def test_suppression_makes_nothing_new_and_nothing_gone():
    """A baseline that is applied on one side only must not turn the gate."""
    known, plain = report(found("a", suppressed="known")), report(found("a"))

    assert [f["state"] for f in compared(known, plain)["findings"]] == ["unchanged"]
    assert compared(plain, known)["findings"] == []


@pytest.mark.parametrize(
    ("fail_on", "prints"), [("error", ["a"]), ("warning", ["a", "b"]), ("info", ["a", "b", "c"]), ("never", [])]
)
def test_the_gate_sees_what_came_at_or_above_its_severity(fail_on, prints):
    """New ones, and those that were below it; not what was there already."""
    before = report(found("b", "info"), found("d"))
    after = report(found("a"), found("b", "warning"), found("c", "info"), found("d"))

    assert [f["fingerprint"] for f in appeared(compared(before, after), fail_on)] == [
        *prints[:1],
        *prints[2:],
        *prints[1:2],
    ]


@pytest.mark.parametrize(
    ("name", "before", "after", "turn"),
    [
        ("trainability", 0.9, 0.86, "same"), ("trainability", 0.9, 0.8, "worse"), ("trainability", 0.3, 0.9, "better"),
        ("trainability", None, 0.9, "unknown"), ("slowness", 1.0, 1.4, "same"), ("slowness", 1.0, 3.0, "worse"), ("slowness", 3.0, 1.0, "better"),
    ],
)  # fmt: skip
def test_a_measure_turns_where_it_changes_by_more_than_two_draws_do(name, before, after, turn):
    """Another seed is no regression."""
    sides = [report(), report()]
    for side, value in zip(sides, (before, after), strict=True):
        side["verdict"] |= {"trainability": 0.5, "slowness": 1.0, name: value}

    measures = {m["name"]: m["turn"] for m in compared(*sides)["measures"]}

    assert measures.pop(name) == turn
    assert set(measures.values()) == {"same"}


def test_coverage_that_falls_is_worse():
    """A layer that is not seen any more must not look like a fault that is mended."""
    before, after = report(), report()
    after["coverage"] |= {"audited": after["coverage"]["audited"] - 1}

    assert compared(before, after)["outcome"] == "worse"
    assert compared(after, before)["outcome"] == "better"


def test_trainability_of_a_trained_network_is_not_compared():
    """It says nothing there; that the two are judged by different measures is said."""
    model = compared(report(), report(context="trained"))

    assert [m["name"] for m in model["measures"]] == ["coverage"]
    assert model["notes"] == ["a fresh network before and a trained one after are judged by different measures"]


def test_other_options_are_said():
    """A seed or a context may be all that differs; the gate changes nothing of what is found."""
    before, after = (
        report() | {"options": o} for o in ({"seed": 0, "fail_on": "error"}, {"seed": 1, "fail_on": "never"})
    )

    assert compared(before, after)["notes"] == ["made under other options: seed"]


def test_a_model_that_cannot_be_audited_any_more_is_worse_and_not_without_findings():
    """Silence is no improvement."""
    broken, sick = error_report(), report(found("a"))

    assert (compared(sick, broken)["outcome"], compared(sick, broken)["findings"]) == ("worse", [])
    assert [f["state"] for f in compared(broken, sick)["findings"]] == ["new"]
    assert compared(broken, report())["outcome"] == "better"
    assert compared(sick, broken)["notes"] == [f"not audited after: {broken['verdict']['reason']}"]
    assert compared(sick, broken)["layers"] == []


def named(*paths):
    """Reports on models at these paths."""
    return [{**report(), "model": {"path": path}} for path in paths]


def paths(pairs):
    return [tuple(side and side["model"]["path"] for side in pair) for pair in pairs]


def test_models_pair_by_path_below_their_common_folder():
    """The same checkout in two folders; two files pair whatever they are called; what has no partner stands alone."""
    assert paths(pair_reports(named("x.onnx"), named("y.onnx"))) == [("x.onnx", "y.onnx")]
    assert paths(pair_reports(named("m/a.onnx", "m/b.onnx"), named("m/b.onnx", "m/c.onnx"))) == [
        ("m/b.onnx", "m/b.onnx"), ("m/a.onnx", None), (None, "m/c.onnx"),
    ]  # fmt: skip
    assert paths(pair_reports(named("/old/a.onnx", "/old/s/b.onnx"), named("/new/s/b.onnx", "/new/a.onnx"))) == [
        ("/old/s/b.onnx", "/new/s/b.onnx"), ("/old/a.onnx", "/new/a.onnx"),
    ]  # fmt: skip


def test_a_model_of_one_side_is_new_or_gone_with_all_it_has():
    """A new model with an error closes the gate."""
    assert [f["state"] for f in compared(None, report(found("a")))["findings"]] == ["new"]
    assert [f["state"] for f in compared(report(found("a")), None)["findings"]] == ["gone"]
    assert {layer["state"] for layer in compared(None, report())["layers"]} == {"added"}
    assert compared(report(), None)["notes"] == ["only before"]


def test_layers_of_reports_pair_by_name_and_differ_by_their_statistics():
    """Without weights equal statistics are called alike, not unchanged; a change of shape is another layer."""
    before = dense_report(depth=3, width=8)
    after = copy.deepcopy(before)
    after["model"]["sha256"] = "0" * 64
    after["layers"][0]["stats"]["std"] *= 2
    after["layers"][2]["weight"]["shape"] = [8, 9]

    rows = compared(before, after)["layers"]

    assert [row["state"] for row in rows] == ["changed", "alike", "removed", "added"]
    assert rows[0]["statistics"]["std"]["after"] == 2 * rows[0]["statistics"]["std"]["before"]
    assert {row["state"] for row in compared(before, before)["layers"]} == {"unchanged"}
