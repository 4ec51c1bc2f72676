"""Whatever becomes of the processes that do the work, and of the one that hands it out, every planned model has its row in the end."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from initaudit.auditor import audit
from initaudit.config import Config
from initaudit.engines.local import Local
from initaudit.fleet.order import Care
from initaudit.fleet.plan import Shard
from initaudit.fleet.run import Run
from tests.fleet.running import fleet, planned, report, statuses, without_times

if TYPE_CHECKING:
    from initaudit.fleet.store import Store

pytestmark = pytest.mark.usefixtures("faulty_workers")

DEADLINE = 8.0
"""Seconds for a model: a sound one takes some 30 ms."""
MEMORY = 250 << 20
"""Bytes: some 100 MB more than a sound one takes."""


def test_a_model_that_harms_its_process_costs_itself_alone(faults: Callable[..., Path], store: Store):
    """One that kills it, hangs, or fills the memory, in pieces or at once, has a row that says so, and one that killed it once a report, as those have beside them.

    A rule with a bug is told of in the report.
    """
    folder = faults("a", "b", "bug", "hang", "once", "poison", "bomb", "glut")
    care = Care(file_timeout=DEADLINE, file_memory=MEMORY, retries=1)

    rows = fleet([folder], store, Local(2), care=care)

    assert statuses(rows) == {
        **dict.fromkeys(["a", "b", "bug", "once"], "audited"),
        **dict.fromkeys(["bomb", "glut"], "memory"),
        "hang": "timeout",
        "poison": "crashed",
    }
    by_name = {Path(row.path).stem: row for row in rows}
    assert (by_name["poison"].attempts, by_name["once"].attempts, by_name["hang"].attempts) == (2, 2, 1)
    assert "raise --file-timeout" in by_name["hang"].error
    assert "raise --file-memory" in by_name["bomb"].error
    assert "raise --file-memory" in by_name["glut"].error
    assert by_name["bug"].exit_code == 2
    for name in ("a", "b", "once"):
        row = by_name[name]
        assert report(store, row) == without_times(audit(row.path, Config(probe="none")).entry())
    assert not store.place.names(f"attempts/{store.run().id}")

    again = fleet([folder / "a.onnx", folder / "bug.onnx"], store, Local())
    assert statuses(again) == {"a": "cached", "bug": "audited"}  # the bug may have been mended


def test_a_rule_that_is_at_work_when_the_run_is_left_is_not_at_fault(faults: Callable[..., Path], store: Store):
    """Its model has no result, which would say that the rule failed and stand for the model when the run goes on."""
    folder = faults("a", "hang")
    rows = Run(store, planned([folder], store), Shard(), Care()).rows(Local(2))
    next(rows)
    while not (folder / "hang.seen").exists():
        time.sleep(0.01)
    rows.close()  # type: ignore[attr-defined]

    assert len(store.place.names("results")) == 1


def test_a_killed_driver_leaves_what_is_finished(faults: Callable[..., Path], store: Store):
    """Its workers end with it; the same command goes on, in the same run, and audits what has no row yet."""
    folder = faults(*(f"slow-{i}" for i in range(8)))
    options = [str(folder), "--store", store.address, "--isolated", "-q", "--probe", "none"]
    command = [sys.executable, "-m", "initaudit", "fleet", "run", *options]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as driver:
        while not (index := list((store.place.path / "runs").glob("*/index.jsonl"))) or not index[0].read_bytes():
            assert driver.poll() is None
            time.sleep(0.01)
        driver.kill()
    (record,) = store.runs()
    finished = {row.number: row for row in store.rows(record.id)}

    rows = fleet([folder], store)

    assert 0 < len(finished) < record.planned
    assert [run.id for run in store.runs()] == [record.id]
    assert [row.status for row in rows] == ["audited"] * record.planned
    assert all(rows[number] == row for number, row in finished.items())
