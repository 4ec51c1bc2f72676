"""What is read of a run under the options of today is what a run under them writes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from initaudit.fleet import reading
from initaudit.fleet.reading import Reading, runs_before
from initaudit.judgement.baseline import Baseline, load_baseline
from tests.fleet.running import fleet, settings, without_times

if TYPE_CHECKING:
    from initaudit.fleet.noting import Noted
    from initaudit.fleet.row import Row
    from initaudit.fleet.store import Store
    from initaudit.settings.given import Given

pytestmark = pytest.mark.usefixtures("in_process")


def given(**options: Any) -> tuple[Given, ...]:
    """As on the command line of a report."""
    return settings(**options).without("probe").given


def said_by(model: Noted) -> dict[str, Any]:
    """What the model is told by."""
    counts = {**model.counts, "suppressed": len(model.findings) - len(model.active)}
    rules = {finding.code for finding in model.active}
    return {"verdict": model.status, "counts": counts, "rules": rules, "exit_code": model.exit_code}


def written_in(row: Row) -> dict[str, Any]:
    """The same, as the run wrote it."""
    counts = dict(row.counts) if row.counts else {"error": 0, "warning": 0, "info": 0, "suppressed": 0}
    return {"verdict": row.verdict, "counts": counts, "rules": set(row.rules), "exit_code": row.exit_code}


OPTIONS: list[dict[str, Any]] = [
    {},
    {"select": ["INI6"], "fail_on": "warning"},
    {"ignore": ["zero-weight:fc0=meant"]},
    {"severity": ["INI003=warning,INI9=error"]},
    {"fail_on": "never", "fail_on_incomplete": True},
    {"min_trainability": 0.5},
]


def test_filters_give_rows_what_a_run_with_them_writes(models: Path, store: Store):
    """Verdict, counts, rules and exit code of every model, those without a report among them; and the whole report of each."""
    (models / "broken.onnx").write_bytes(b"\x08\x07 broken")
    fleet([models], store)
    plain = store.run()
    for options in OPTIONS:
        rows = fleet([models], store, fresh=True, **options)
        today, of_run = Reading(store, plain, given(**options)), Reading(store, store.run())

        noted = {model.path: model for model in today.noted()}

        assert {path: said_by(model) for path, model in noted.items()} == {row.path: written_in(row) for row in rows}
        for row in rows:
            if row.has_report:
                assert without_times(today.entry(noted[row.path].row)) == without_times(of_run.entry(row))


def test_the_sentence_is_that_of_the_run_while_as_much_counts(models: Path, store: Store):
    """Under other filters it names the first finding that counts, or says that none does."""
    rows = {Path(row.path).stem: row for row in fleet([models], store)}
    plain = {Path(model.path).stem: model.reason for model in Reading(store, store.run()).noted()}
    ignored = {
        Path(model.path).stem: model.reason
        for model in Reading(store, store.run(), given(ignore=["INI003=meant"])).noted()
    }

    assert plain == {name: row.reason for name, row in rows.items()}
    assert "INI003" in plain["zero"]
    assert "INI003" not in ignored["zero"]


def test_runs_are_known_by_their_order(models: Path, store: Store):
    """The earliest first."""
    fleet([models], store)
    first = store.run()
    fleet([models / "a.onnx"], store)

    assert [run.id for run in runs_before(store, store.run())] == [first.id]
    assert runs_before(store, first) == []


def test_a_baseline_is_read_once_for_all_models(
    models: Path, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Of ten thousand models it may hold megabytes; the reports of models follow it as their rows do."""
    rows = {Path(row.path).stem: row for row in fleet([models], store)}
    fingerprint, code, severity, layer, *_ = next(f for f in rows["zero"].findings if f[2] == "error")
    file = tmp_path / "baseline.json"
    entry = {"fingerprint": fingerprint, "code": code, "layer": layer, "severity": severity}
    file.write_text(Baseline(file, {Baseline(file, {}).key(rows["zero"].path): (entry,)}).render())
    read: list[Any] = []
    monkeypatch.setattr(reading, "load_baseline", lambda path: read.append(path) or load_baseline(path))

    today = Reading(store, store.run(), given(baseline=str(file)))
    noted = {Path(model.path).stem: model for model in today.noted()}
    entries = {name: today.entry(model.row) for name, model in noted.items()}

    assert read == [str(file)]
    assert noted["zero"].counts["error"] == entries["zero"]["counts"]["error"] == 0
    assert entries["zero"]["counts"]["suppressed"] == 1
