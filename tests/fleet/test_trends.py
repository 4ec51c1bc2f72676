"""What became of models and findings between runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from initaudit.config import Config
from initaudit.findings import Severity
from initaudit.fleet.noting import note
from initaudit.fleet.trends import Change, History
from tests.fleet.stubs import finding, lost, row

if TYPE_CHECKING:
    from initaudit.fleet.row import Row

DEAD = finding("INI404", "error")
SMALL = finding("INI101", "warning")
FAR = finding("INI105", "info")


def changes(*runs: list[Row], config: Config | None = None) -> dict[str, Change]:
    """Of the last of these runs, by path."""
    *earlier, latest = [[note(row, config or Config(), None) for row in run] for run in runs]
    return {change.path: change for change in History(earlier).changes(latest)}


def turned(change: Change) -> list[tuple[str, str]]:
    return [(turn.finding.code, str(turn.fate)) for turn in change.turns]


@pytest.mark.parametrize(
    ("before", "after", "fate", "turns"),
    [
        ([], [], "same", []),
        ([DEAD], [DEAD], "same", []),
        ([], [DEAD], "regressed", [("INI404", "new")]),
        ([DEAD], [], "fixed", [("INI404", "fixed")]),
        ([SMALL], [finding("INI101", "error")], "regressed", [("INI101", "regressed")]),
        ([finding("INI101", "error")], [SMALL], "fixed", []),
        ([DEAD, SMALL], [DEAD], "fixed", [("INI101", "fixed")]),
        ([DEAD], [DEAD, SMALL], "regressed", [("INI101", "new")]),
        ([], [FAR], "same", [("INI105", "new")]),
        ([DEAD], [SMALL], "fixed", [("INI404", "fixed"), ("INI101", "new")]),
        ([SMALL], [finding("INI101", "warning", "/fc1/Gemm")], "regressed", [("INI101", "new"), ("INI101", "fixed")]),
    ],
)
def test_a_model_is_told_by_its_verdict_and_its_findings(before: list, after: list, fate: str, turns: list):
    """The verdict first; of equal ones, a new warning or error is a step back, and one less a step forward."""
    change = changes([row("a.onnx", *before)], [row("a.onnx", *after)])["a.onnx"]

    assert (str(change.fate), turned(change)) == (fate, turns)


def test_models_come_go_and_return():
    """By their paths; what returns is not new, and its findings are compared with those it had."""
    a, b, c = row("a.onnx", DEAD), row("b.onnx", DEAD), row("c.onnx")

    found = changes([a, b], [a, c], [b, c, row("d.onnx")])

    assert {path: str(change.fate) for path, change in found.items()} == {
        "a.onnx": "gone",
        "b.onnx": "returned",
        "c.onnx": "same",
        "d.onnx": "new",
    }
    assert turned(found["a.onnx"]) == [("INI404", "gone")]
    assert turned(found["b.onnx"]) == []


def test_a_finding_that_was_fixed_once_returns():
    """It is as bad as a new one, and told apart from it."""
    change = changes([row("a.onnx", DEAD)], [row("a.onnx")], [row("a.onnx", DEAD)])["a.onnx"]

    assert turned(change) == [("INI404", "returned")]
    assert [f.code for f in change.appeared(Severity.ERROR)] == ["INI404"]


def test_a_run_that_could_not_audit_a_model_fixes_nothing():
    """A timeout is a worse verdict; the findings of before are compared when the model is audited again."""
    runs = [row("a.onnx", DEAD)], [lost("a.onnx")], [row("a.onnx", DEAD, SMALL)]

    broken, again = changes(*runs[:2])["a.onnx"], changes(*runs)["a.onnx"]

    assert (str(broken.fate), turned(broken)) == ("regressed", [])
    assert (str(again.fate), turned(again)) == ("fixed", [("INI101", "new")])


def test_what_is_ignored_today_is_no_trend():
    """Filters hold for all runs alike: an ignore of today fixes nothing and hides what would be new."""
    found = changes([row("a.onnx", DEAD)], [row("a.onnx", DEAD, SMALL)], config=Config(ignore="INI404,INI101"))

    assert (str(found["a.onnx"].fate), turned(found["a.onnx"])) == ("same", [])


def test_a_finding_is_known_within_its_model():
    """The same fault in two files is two findings."""
    found = changes([row("a.onnx", DEAD), row("b.onnx")], [row("a.onnx", DEAD), row("b.onnx", DEAD)])

    assert turned(found["b.onnx"]) == [("INI404", "new")]
    assert turned(found["a.onnx"]) == []


def test_what_is_planned_and_not_finished_is_not_gone():
    """A run that is still at work, or was interrupted, has lost nothing."""
    before = History([[note(row("a.onnx"), Config(), None)]])

    assert list(before.changes([], planned=["a.onnx"])) == []
