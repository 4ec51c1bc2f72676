"""A run: every planned model comes to one row, whose report is that of `check`; what is known is not read again."""

from __future__ import annotations

import itertools
import json
import os
import socket
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest

from initaudit.auditor import examine
from initaudit.cli import run as command
from initaudit.engine import Engine
from initaudit.engines.local import Local
from initaudit.errors import LostWorker, UsageError
from initaudit.fleet import planning
from initaudit.fleet.attempts import begin
from initaudit.fleet.order import Care
from initaudit.fleet.place import StoreError
from initaudit.fleet.plan import Shard
from initaudit.fleet.run import MOST_LOSSES, Run
from initaudit.fleet.store import Store
from tests.fleet.running import CLOCK_TICKS, fleet, planned, report, statuses, without_times
from tests.opened import Watch

pytestmark = pytest.mark.usefixtures("in_process")


def checked(capfdbinary: pytest.CaptureFixture[bytes], *arguments: str) -> list[str]:
    """The reports of `check` in the same order, as JSON text."""
    capfdbinary.readouterr()
    command(["check", "--isolated", "-q", "--probe", "none", "--output-format", "json", *arguments])
    return [without_times(entry) for entry in json.loads(capfdbinary.readouterr().out)["reports"]]


def reports(store: Store) -> list[str]:
    """Those of the latest run, in the order of its plan."""
    rows = sorted(store.rows(store.run().id), key=lambda row: row.number)
    return [report(store, row) for row in rows]


@pytest.fixture
def examined(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the models that are audited, as they are."""
    names: list[str] = []

    def noting(model: Any, *arguments: Any, **options: Any) -> Any:
        names.append(Path(model.label).name)
        return examine(model, *arguments, **options)

    monkeypatch.setattr("initaudit.auditor.examine", noting)
    return names


def test_every_planned_model_comes_to_one_row(models: Path, store: Store):
    """One that is no model, and one that is not there, come to rows that say so; they close the run with code 2."""
    (models / "broken.onnx").write_bytes(b"\x08\x07 broken")

    rows = fleet([models, models / "gone.onnx"], store)

    record = store.run()
    assert [row.number for row in rows] == list(range(record.planned))
    assert [row.path for row in rows] == [planned.item.path for planned in store.plan(record.id)]
    assert statuses(rows) == {
        **dict.fromkeys(["a", "b", "c", "outside", "zero"], "audited"),
        "broken": "unreadable",
        "gone": "unreadable",
    }
    assert {row.exit_code for row in rows if row.error} == {2}
    assert all(row.error.startswith(row.path) for row in rows if row.error)
    assert not store.place.names(f"attempts/{record.id}")


def test_what_is_in_a_folder_and_no_file_is_told_of_and_not_waited_for(
    models: Path, store: Store, capfdbinary, monkeypatch: pytest.MonkeyPatch
):
    """A pipe has nobody who writes into it; a socket and a device are no models either. `check` says the same of them."""
    os.mkfifo(models / "pipe.onnx")
    monkeypatch.chdir(models)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket.onnx")  # a long path is none of a socket

    rows = fleet([models], store)

    found = {Path(row.path).stem: row.error.removeprefix(f"{row.path}: ") for row in rows if row.error}
    assert found == {"pipe": "is a pipe, not a file", "socket": "is a socket, not a file"}
    assert sorted(reports(store)) == sorted(checked(capfdbinary, str(models)))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"select": ["INI0,INI6"], "fail_on": "never"},
        {"ignore": ["INI0=meant"], "severity": ["INI6=error,INI9=warning"], "min_trainability": 0.5, "exit_zero": True},
    ],
)
def test_reports_are_those_of_check(models: Path, store: Store, options: dict[str, Any], capfdbinary):
    """Byte for byte but for the time that they took, those of what cannot be audited among them, under any filter and gate."""
    (models / "broken.onnx").write_bytes(b"\x08\x07 broken")
    written = {
        "select": "--select",
        "ignore": "--ignore",
        "severity": "--severity",
        "fail_on": "--fail-on",
        "min_trainability": "--min-trainability",
    }
    words = [
        word
        for name, flag in written.items()
        if name in options
        for word in (flag, str(options[name][0] if isinstance(options[name], list) else options[name]))
    ]

    fleet([models], store)
    fleet([models], store, **options)  # out of what the first one found

    expected = checked(capfdbinary, str(models), *words, *(["--exit-zero"] if "exit_zero" in options else []))
    assert sorted(reports(store)) == sorted(expected)


def test_a_second_run_opens_no_file_of_a_model_that_did_not_change(models: Path, store: Store):
    """Neither the models nor their weights: that path, size and times are the same is enough."""
    time.sleep(CLOCK_TICKS)
    fleet([models], store)

    with Watch(models / "outside.data") as weights, Watch(models / "a.onnx") as model:
        rows = fleet([models], store)

    assert {row.status for row in rows} == {"cached"}
    assert not weights.opened
    assert not model.opened
    assert len(store.runs()) == 2


def test_filters_and_gates_are_applied_to_results_that_are_there(models: Path, store: Store, examined: list[str]):
    """They change rows and exit codes, and audit nothing again."""
    before = {row.path: row for row in fleet([models], store)}
    examined.clear()
    rows = {row.path: row for row in fleet([models], store, ignore=["INI0=meant", "INI1=meant"], min_trainability=0.5)}

    zero = str(models / "zero.onnx")
    assert not examined
    assert (before[zero].counts["error"], before[zero].exit_code) == (1, 1)
    assert (rows[zero].counts["error"], rows[zero].counts["suppressed"] > 0, rows[zero].exit_code) == (0, True, 1)
    assert fleet([models], store, select=["INI6"])[0].status == "cached"


@pytest.mark.parametrize("options", [{"seed": 1}, {"context": "trained"}, {"threshold": ["INI101.ratio=0.3"]}])
def test_an_option_that_changes_what_is_found_audits_again(
    models: Path, store: Store, examined: list[str], options: dict[str, Any]
):
    """What was found under other ones is no answer."""
    fleet([models / "a.onnx"], store)
    fleet([models / "a.onnx"], store, **options)

    assert examined == ["a.onnx", "a.onnx"]


def test_one_changed_byte_of_external_data_audits_that_model_again_and_no_other(models: Path, store: Store):
    """Also where size and time of the file are made to be those of before."""
    time.sleep(CLOCK_TICKS)
    fleet([models], store)
    data = models / "outside.data"
    state, content = data.stat(), bytearray(data.read_bytes())
    content[5] ^= 1
    data.write_bytes(content)
    os.utime(data, ns=(state.st_atime_ns, state.st_mtime_ns))

    changed = statuses(fleet([models], store))
    again = statuses(fleet([models], store))

    assert changed == {**dict.fromkeys(["a", "b", "c", "zero"], "cached"), "outside": "audited"}
    assert set(again.values()) == {"cached"}


def test_the_same_content_elsewhere_is_known(models: Path, store: Store, tmp_path: Path, capfdbinary):
    """A folder that moved is not audited again; the reports say the new path."""
    fleet([models], store)
    moved = models.rename(tmp_path / "it's moved")

    rows = fleet([moved], store)

    assert {row.status for row in rows} == {"cached"}
    assert sorted(reports(store)) == sorted(checked(capfdbinary, str(moved)))


def test_copies_of_a_model_are_audited_once(models: Path, store: Store, examined: list[str]):
    """The time that it took is that of one of them, so that the times of all add up to that of the run; begun again, the run says the same."""
    (models / "copy.onnx").write_bytes((models / "a.onnx").read_bytes())

    rows = fleet([models / "a.onnx", models / "copy.onnx"], store)
    (store.place.path / f"runs/{store.run().id}/index.jsonl").unlink()
    again = fleet([models / "a.onnx", models / "copy.onnx"], store)

    assert [row.status for row in rows] == ["audited", "cached"]
    assert rows[0].seconds is not None
    assert rows[1].seconds is None
    assert again == rows
    assert examined == ["a.onnx"]


def test_a_model_that_changes_under_the_audit_is_not_kept(models: Path, store: Store, monkeypatch: pytest.MonkeyPatch):
    """Its result would stand for a content that nobody saw."""
    path = models / "a.onnx"

    def changing(model: Any, *arguments: Any, **options: Any) -> Any:
        path.write_bytes(path.read_bytes() + b"")
        return examine(model, *arguments, **options)

    monkeypatch.setattr("initaudit.auditor.examine", changing)
    (row,) = fleet([path], store)

    assert row.status == "unreadable"
    assert row.error == f"{path}: changed while it was read"
    assert not store.place.names("results")


def test_shards_together_are_the_plan(models: Path, store: Store):
    """Each does its share and finds the run of the others; it is finished when all are."""
    parts = [fleet([models], store, shard=Shard(part=part, of=3)) for part in (3, 1, 2)]

    (record,) = store.runs()
    assert [len(part) for part in parts] == [1, 2, 2]
    assert sorted(row.number for part in parts for row in part) == list(range(record.planned))
    assert sorted(row.number for row in store.rows(record.id)) == list(range(record.planned))


def test_a_named_run_keeps_its_plan(models: Path, store: Store):
    """The shards of an array share it, whatever becomes of the sources between their starts; another array has another name."""
    fleet([models], store, shard=Shard(part=1, of=2), name="job-7")
    (models / "late.onnx").write_bytes((models / "a.onnx").read_bytes())
    rows = fleet([models], store, shard=Shard(part=2, of=2), name="job-7")

    assert "late" not in statuses(rows)
    assert store.run("job-7").planned == 5
    with pytest.raises(UsageError, match="job-7 is another"):
        planned([models / "a.onnx"], store, name="job-7")


@pytest.mark.parametrize("name", [None, "job-7"])
def test_a_run_that_was_lost_before_its_plan_was_there_goes_on(models: Path, store: Store, name: str | None):
    """The same command makes the same plan, and need not wait for another."""
    record = planned([models], store, name=name)
    (store.place.path / f"runs/{record.id}/plan.jsonl").unlink()

    assert planned([models], store, name=name).id == record.id
    assert len(list(store.plan(record.id))) == record.planned


def test_nobody_makes_another_plan_for_a_run(models: Path, store: Store, monkeypatch: pytest.MonkeyPatch):
    """Over sources that changed meanwhile it waits for whoever began the run, and says so where nobody comes."""
    record = planned([models], store, name="job-7")
    (store.place.path / f"runs/{record.id}/plan.jsonl").unlink()
    (models / "late.onnx").write_bytes((models / "a.onnx").read_bytes())
    monkeypatch.setattr(planning, "PLAN_SECONDS", 0.1)

    with pytest.raises(StoreError, match="run job-7 has no plan: whoever began it was lost; use another --run"):
        planned([models], store, name="job-7")
    assert not store.has_plan(record.id)


def stopped(rows: Iterator[Any], after: int) -> None:
    """Take so many rows and leave."""
    for _ in itertools.islice(rows, after):
        pass
    rows.close()


def test_an_interrupted_run_goes_on_where_it_was(models: Path, store: Store, examined: list[str]):
    """It is the same run; nothing that is finished is done again, and its row says that this run did it."""
    record = planned([models], store)
    stopped(Run(store, record, Shard(), Care()).rows(Local()), after=2)
    done = [row.number for row in store.rows(record.id)]
    rows = fleet([models], store)

    assert done == [0, 1]
    assert [run.id for run in store.runs()] == [record.id]
    assert {row.status for row in rows} == {"audited"}
    assert len(examined) == len(rows) == record.planned


def test_a_result_whose_row_was_lost_is_found(models: Path, store: Store, examined: list[str]):
    """The driver may be killed between the two; a line of the index cut short counts as no row."""
    fleet([models], store)
    record = store.run()
    index = store.place.path / f"runs/{record.id}/index.jsonl"
    index.write_bytes(index.read_bytes()[:-30])
    examined.clear()

    rows = fleet([models], store)

    assert {row.status for row in rows} == {"audited"}
    assert not examined
    assert sorted(row.number for row in store.rows(record.id)) == list(range(record.planned))


def test_changed_sources_are_another_run(models: Path, store: Store):
    """An unfinished one of before stays as it is."""
    record = planned([models], store)
    (models / "late.onnx").write_bytes((models / "a.onnx").read_bytes())
    rows = fleet([models], store)

    assert "late" in statuses(rows)
    assert [run.planned for run in store.runs()] == [record.planned, record.planned + 1]


def test_two_processes_do_not_write_one_index(models: Path, store: Store):
    """The second is told so."""
    record = planned([models], store)
    first = Run(store, record, Shard(), Care()).rows(Local())
    next(first)

    with pytest.raises(UsageError, match="another process is at work"):
        next(Run(store, record, Shard(), Care()).rows(Local()))
    first.close()


class Losing(Engine):
    """Whose workers are lost, each after it has begun its task or before."""

    name = "losing"

    def __init__(self, store: Store, *, begun: bool) -> None:
        self.store, self.begun, self.lost = store, begun, 0

    def run(self, tasks: Iterable[Any], watch: Any = None) -> Iterator[tuple[int, Any]]:
        """See `Engine.run`."""
        del watch
        for i, task in enumerate(tasks):
            (order,) = task.arguments
            if self.begun:
                begin(self.store.place, order.run_id, order.planned.number, "worker", order.care.retries + 1)
            self.lost += 1
            yield i, LostWorker("its worker was lost")


@pytest.mark.parametrize(("begun", "times"), [(True, 16), (False, MOST_LOSSES)])
def test_a_model_is_begun_again_as_often_as_is_asked_for(models: Path, store: Store, begun: bool, times: int):
    """What bounds the losses before any beginning does not count those after one."""
    engine = Losing(store, begun=begun)

    (row,) = fleet([models / "a.onnx"], store, engine, care=Care(retries=15))

    assert (row.status, row.attempts, engine.lost) == ("crashed", times, times)
    assert not store.place.names(f"attempts/{store.run().id}")


def test_a_model_that_was_begun_too_often_and_never_ended_is_given_up(models: Path, store: Store, examined: list[str]):
    """Whoever takes the whole machine down leaves nothing but the marks of its beginnings."""
    record = planned([models], store)
    for attempt in (1, 2, 3):
        store.place.create(f"attempts/{record.id}/0.{attempt}", b"{}")

    rows = fleet([models], store, care=Care(retries=2))

    assert statuses(rows) == {"a": "crashed", **dict.fromkeys(["b", "c", "outside", "zero"], "audited")}
    assert "begun 3 times" in rows[0].error
    assert "a.onnx" not in examined


def test_an_error_in_initaudit_costs_its_model_alone(models: Path, store: Store, monkeypatch: pytest.MonkeyPatch):
    """It is told in one line, and the model is audited again in the next run."""

    def failing(model: Any, *arguments: Any, **options: Any) -> Any:
        if model.label.endswith("b.onnx"):
            raise ZeroDivisionError("by zero")
        return examine(model, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr("initaudit.auditor.examine", failing)
        broken = statuses(fleet([models], store))
    mended = statuses(fleet([models], store))

    assert (broken["b"], broken["a"]) == ("internal-error", "audited")
    assert (mended["b"], mended["a"]) == ("audited", "cached")


def test_a_store_that_cannot_be_written_ends_the_run(models: Path, store: Store):
    """It is no fault of a model, and no row says so."""
    record = planned([models], store)
    store.place.write("results", b"a file where a folder should be")

    with pytest.raises(UsageError, match=r"store .*results"):
        list(Run(store, record, Shard(), Care()).rows(Local()))
    assert not list(store.rows(record.id))


def test_a_store_behind_a_url_is_as_good_as_a_folder(models: Path, examined: list[str]):
    """Plan, rows, results and stamps; resumed, it goes on."""
    time.sleep(CLOCK_TICKS)
    store = Store("memory://fleet-store")
    try:
        record = planned([models], store)
        stopped(Run(store, record, Shard(), Care()).rows(Local()), after=2)
        rows = fleet([models], store)
        again = fleet([models], Store("memory://fleet-store"))
    finally:
        fsspec.filesystem("memory").rm("/fleet-store", recursive=True)

    assert {row.status for row in rows} == {"audited"}
    assert {row.status for row in again} == {"cached"}
    assert len(examined) == record.planned


def test_remote_models_are_audited_as_files_are(models: Path, store: Store, capfdbinary):
    """Their external data among them; only the path differs. A second run fetches nothing."""
    memory = fsspec.filesystem("memory")
    for name in ("a.onnx", "outside.onnx", "outside.data"):
        memory.pipe_file(f"/fleet-models/{name}", (models / name).read_bytes())
    try:
        first = fleet(["memory://fleet-models"], store)
        remote = reports(store)
        memory.pipe_file("/fleet-models/outside.data", (models / "outside.data").read_bytes()[:-4] + b"\0\0\0\0")
        second = fleet(["memory://fleet-models"], store)
        small = fleet(["memory://fleet-models/a.onnx"], store, seed=1, care=Care(max_bytes=100))
    finally:
        memory.rm("/fleet-models", recursive=True)

    local = checked(capfdbinary, *(str(models / f"{name}.onnx") for name in ("a", "outside")))
    named = [text.replace(str(models), "memory:///fleet-models") for text in local]
    assert not [row.error for row in first if row.error]
    assert statuses(first) == {"a": "audited", "outside": "audited"}
    assert remote == named
    assert statuses(second) == {"a": "cached", "outside": "audited"}
    assert "larger than the 0 MiB of --max-bytes" in small[0].error
