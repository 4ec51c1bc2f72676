"""`initaudit fleet run` and `status`: exit codes, and what they say."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from initaudit.auditor import examine
from initaudit.cli import run

if TYPE_CHECKING:
    from initaudit.fleet.store import Store

pytestmark = pytest.mark.usefixtures("in_process")


def fleet_run(store: Store, *arguments: str | Path) -> int:
    """The command's exit code; weights only."""
    return run(["fleet", "run", *map(str, arguments), "--store", store.address, "--isolated", "--probe", "none"])


def test_the_exit_code_is_the_worst_of_all_models(models: Path, store: Store):
    """As of `check`: 0, 1 with findings, 2 where one cannot be audited."""
    codes = [
        fleet_run(store, models / "a.onnx"),
        fleet_run(store, models),
        fleet_run(store, models, "--exit-zero"),
        fleet_run(store, models, models / "gone.onnx"),
    ]

    assert codes == [0, 1, 0, 2]


def test_a_store_that_cannot_be_written_leaves_every_model_without_a_row(models: Path, tmp_path: Path):
    """Exit code 3, as of a run that is not finished: 2 would say something about the models."""
    (tmp_path / "file").touch()

    assert run(["fleet", "run", str(models), "--store", str(tmp_path / "file" / "store"), "--isolated"]) == 3


def test_a_store_that_cannot_be_reached_is_told_in_one_line(models: Path, capsys: pytest.CaptureFixture[str]):
    """Of a protocol that connects at once: exit code 3, and 2 from what reads it."""
    store = "ftp://127.0.0.1:1/audits"
    codes = [run(["fleet", "run", str(models), "--store", store, "--isolated"]), run(["fleet", "status", store])]

    lines = capsys.readouterr().err.splitlines()
    assert codes == [3, 2]
    assert len(lines) == 2
    assert all(line.startswith(f"initaudit: error: store {store}: ConnectionRefusedError: ") for line in lines)


def test_a_server_that_does_not_answer_is_told_of_its_model(store: Store, capsys: pytest.CaptureFixture[str]):
    """That nobody answers is not that the object is missing."""
    assert fleet_run(store, "http://127.0.0.1:1/m.onnx") == 2

    assert "http://127.0.0.1:1/m.onnx: ClientConnectorError: Cannot connect" in capsys.readouterr().err


def test_a_store_that_ends_with_the_process_is_refused(models: Path, capsys: pytest.CaptureFixture[str]):
    """What is kept there would be lost without a word."""
    assert run(["fleet", "run", str(models), "--store", "memory://audits", "--isolated"]) == 2

    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("initaudit: error: store memory://audits: would be gone with this process")


def test_an_input_shape_must_fit_a_model_of_the_run(models: Path, store: Store, capsys: pytest.CaptureFixture[str]):
    """One model is enough, whichever shard it is in; where none is, it is told when the last shard is finished, and once more of results that were there."""
    shaped = [str(models / "a.onnx"), str(models / "b.onnx"), "--input-shape"]

    codes = [
        fleet_run(store, *shaped, "x:4x8"),
        *(fleet_run(store, *shaped, "none:3", "--run", "shards", "--shard", f"{part}/2") for part in (1, 2)),
        fleet_run(store, *shaped, "none:3"),
    ]

    told = [line for line in capsys.readouterr().err.splitlines() if "error" in line]
    assert codes == [0, 0, 2, 2]
    assert told == ["initaudit: error: --input-shape: no model has an input 'none' of this shape"] * 2


def test_a_run_without_a_row_has_nothing_to_count(
    models: Path, store: Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """The line ends with what is known."""
    monkeypatch.setattr("initaudit.fleet.work.begin", lambda *_: os.kill(os.getpid(), signal.SIGINT))

    fleet_run(store, models)

    assert " 0 of 5 models\n" in capsys.readouterr().err


def test_a_name_that_is_no_text_costs_nothing(models: Path, store: Store, tmp_path: Path):
    """Names of files are bytes: such a model has its row and its line in the tables."""
    folder = tmp_path / "strange"
    folder.mkdir()
    (folder / os.fsdecode(b"bad\xff.onnx")).write_bytes((models / "a.onnx").read_bytes())

    assert fleet_run(store, folder) == 0
    assert run(["fleet", "export", store.address, "-o", str(tmp_path / "tables")]) == 0


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_keeps_what_is_finished(
    models: Path,
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    number: signal.Signals,
    code: int,
):
    """The exit code says that it was a signal; the store holds the rows, and the same command does the rest."""
    seen: list[Any] = []

    def ended(model: Any, *arguments: Any, **options: Any) -> Any:
        seen.append(model)
        if len(seen) == 3:
            os.kill(os.getpid(), number)
        return examine(model, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr("initaudit.auditor.examine", ended)
        interrupted = fleet_run(store, models)
    told = capsys.readouterr().err
    status = run(["fleet", "status", store.address])
    shown = capsys.readouterr().out
    resumed = fleet_run(store, models)

    assert (interrupted, status, resumed) == (code, 3, 1)
    assert "2 of 5 models" in told
    assert "the same command goes on from here" in told
    assert "2 of 5 models" in shown
    assert run(["fleet", "status", store.address]) == 0


def test_status_says_which_shards_are_not_finished(models: Path, store: Store, capsys: pytest.CaptureFixture[str]):
    """And what came of the others."""
    fleet_run(store, models, "--shard", "2/3", "--run", "nightly")
    capsys.readouterr()

    code = run(["fleet", "status", store.address, "--run", "nightly"])

    first, second, third = capsys.readouterr().out.splitlines()
    assert code == 3
    assert first.startswith("run nightly, begun ")
    assert first.endswith(": 2 of 5 models")
    assert second == "  2 audited: 2 pass"
    assert third == "  shards not finished: 1/3 (0 of 2), 3/3 (0 of 1)"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--shard", "0/3"], "--shard: '0/3' is not of the form I/N"),
        (["--shard", "4/3"], "--shard: '4/3' is not of the form I/N"),
        (["--run", "../elsewhere"], "--run: '../elsewhere' is no name"),
        (["--file-memory", "much"], "--file-memory: 'much' is not a size"),
        (["--scheduler", "tls://host:8786"], "--scheduler: engine local has no scheduler"),
        (["--engine", "locl"], "unknown engine 'locl'; did you mean local?"),
        (["--exclude", "*"], "all models are excluded"),
    ],
)
def test_what_cannot_be_followed_is_told_before_anything_is_planned(
    models: Path, store: Store, capsys: pytest.CaptureFixture[str], words: list[str], told: str
):
    """In one line that names the option."""
    assert fleet_run(store, models, *words) == 2

    (line,) = capsys.readouterr().err.splitlines()
    assert told in line
    assert not store.runs()
