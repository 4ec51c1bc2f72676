"""What `fleet report`, `diff` and `export` say of a run, and the exit code for CI."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from initaudit.cli import run
from initaudit.config import Config
from initaudit.fleet.store import Store
from initaudit.judgement.baseline import Baseline
from tests.fleet.stubs import finding, lost, row, store_of, with_result, write_run

DEAD = finding("INI404", "error")
SMALL = finding("INI101", "warning")
FIRST, SECOND = "2026-03-08T09:00:00Z", "2026-03-09T09:00:00Z"


def told(store: Store, *words: str, command: str = "report") -> int:
    return run(["fleet", command, store.address, *words])


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Of two runs: one model got an error, one lost a warning, one went, one came."""
    before = [row("zoo/a.onnx"), row("zoo/b.onnx", SMALL), row("zoo/c.onnx"), row("zoo/e.onnx", DEAD)]
    after = [row("zoo/a.onnx", DEAD), row("zoo/b.onnx"), row("zoo/d.onnx", SMALL), row("zoo/e.onnx", DEAD)]
    return store_of(tmp_path / "store", {FIRST: before, SECOND: after})


def test_the_worst_comes_first_and_changes_are_told(store: Store, capsys: pytest.CaptureFixture[str]):
    """In 80 columns: what failed stands before what has warnings, and what changed is counted."""
    assert told(store) == 1
    out = capsys.readouterr().out

    assert max(map(len, out.splitlines())) <= 80
    assert out.startswith(f"Run {SECOND} of 2026-03-09 09:00 UTC: 4 models, 2 failed, 1 with\n  warnings, 1 passed\n")
    assert "of 2026-03-08 09:00 UTC: 1 regressed, 1 new, 1 fixed, 1 gone" in " ".join(out.split())
    table = out[out.index("trainability") :]
    assert [table.index(f"zoo/{name}.onnx") for name in "aed"] == sorted(table.index(f"zoo/{n}.onnx") for n in "aed")


def test_what_is_new_alone_closes_the_gate(store: Store):
    """Errors of before do not; a severity that nothing new has does not either; a new warning does where warnings are asked for."""
    write_run(
        store, "2026-03-10T09:00:00Z", [row("zoo/a.onnx", DEAD), row("zoo/d.onnx", SMALL), row("zoo/f.onnx", SMALL)]
    )

    assert told(store, "--fail-on-new", "error", "--run", SECOND) == 1
    assert told(store, "--fail-on-new", "error") == 0
    assert told(store, "--fail-on-new", "warning") == 1
    assert told(store, "--fail-on-new", "never") == 0
    assert told(store) == 1


@pytest.mark.parametrize(
    ("before", "after", "code"),
    [
        ([DEAD], [DEAD], 0),
        ([], [DEAD], 1),
        ([SMALL], [finding("INI101", "error")], 1),
        ([], [SMALL], 0),
        ([DEAD], [], 0),
    ],
    ids=["old", "new", "more severe", "only a warning", "fixed"],
)
def test_the_exit_code_of_a_diff(tmp_path: Path, before: list, after: list, code: int):
    """1 where an error is new, or became one."""
    store = store_of(tmp_path, {FIRST: [row("a.onnx", *before)], SECOND: [row("a.onnx", *after)]})

    assert told(store, command="diff") == code


def test_what_could_not_be_audited_is_no_success(tmp_path: Path):
    """A model that had a report and has none, and a run that is not finished, end with 2; a model that was broken before is no news."""
    broken = store_of(tmp_path / "a", {FIRST: [row("a.onnx")], SECOND: [lost("a.onnx")]})
    known = store_of(tmp_path / "b", {FIRST: [lost("a.onnx")], SECOND: [lost("a.onnx")]})
    begun = store_of(tmp_path / "c", {FIRST: [row("a.onnx"), row("b.onnx")]})
    write_run(begun, SECOND, [row("a.onnx")], planned=["a.onnx", "b.onnx"])

    assert [told(store, command="diff") for store in (broken, known, begun)] == [2, 0, 2]
    assert [told(store) for store in (broken, known, begun)] == [2, 2, 2]


def test_every_model_without_a_report_is_told_with_the_reason(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """In a line that begins with its path; one from a file has no way to write into the terminal."""
    told(store_of(tmp_path, {FIRST: [lost("zoo/a.onnx"), lost("zoo/\x1b[31mred.onnx", "memory")]}))
    out = capsys.readouterr().out

    assert "\nzoo/a.onnx: took more than 60 s\n" in out
    assert "zoo/\\x1b[31mred.onnx  error (memory)" in out
    assert "\x1b" not in out


def test_an_unfinished_run_says_what_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """And no model that is only not finished is called gone."""
    store = store_of(tmp_path, {FIRST: [row("a.onnx"), row("b.onnx")]})
    write_run(store, SECOND, [row("a.onnx")], planned=["a.onnx", "b.onnx"])

    told(store)
    out = capsys.readouterr().out

    assert "note: 1 planned model of 2 without a result: run again to resume" in out
    assert "UTC: nothing changed" in out


def test_filters_of_today_need_no_audit(store: Store, capsys: pytest.CaptureFixture[str]):
    """An ignore is applied to rows as they are, and the sentence follows; the gate opens."""
    assert told(store, "--ignore", "INI404=known", "--output-format", "jsonl") == 0
    models = {model["path"]: model for model in map(json.loads, capsys.readouterr().out.splitlines())}

    assert models["zoo/a.onnx"]["verdict"] == "pass"
    assert models["zoo/a.onnx"]["reason"].startswith("Known: 1 finding is ignored. No other problem found")
    assert models["zoo/a.onnx"]["findings"][0]["suppressed"] == "known"
    assert models["zoo/a.onnx"]["fate"] == "same"
    assert models["zoo/c.onnx"]["fate"] == "gone"


def test_filters_of_the_run_hold_for_both_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """An ignore that came with the second run is no progress of the models."""
    store = store_of(tmp_path, {FIRST: [row("a.onnx", DEAD)]})
    write_run(store, SECOND, [row("a.onnx", DEAD)], config=Config(ignore="INI404"))

    assert told(store) == 0
    assert "UTC: nothing changed" in capsys.readouterr().out


def test_a_baseline_of_today_accepts_what_it_names(store: Store, tmp_path: Path):
    """By the path of the model and the fingerprint in its row."""
    file = tmp_path / "baseline.json"
    entries = ({"fingerprint": DEAD[0], "code": "INI404", "layer": "/fc0/Gemm", "severity": "error"},)
    file.write_text(Baseline(file, {"zoo/a.onnx": entries, "zoo/e.onnx": entries}).render())

    assert told(store, "--baseline", str(file)) == 0
    assert told(store, "--baseline", str(file), "--fail-on", "warning") == 1


def test_a_model_has_the_report_that_check_gives(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """Found by the end of its path; in any format of `check`."""
    store = Store(tmp_path / "store")
    write_run(store, FIRST, [row("zoo/small.onnx", *with_result(store)), row("zoo/other.onnx")])

    assert told(store, "--model", "small.onnx", "--output-format", "json") == 1
    (report,) = json.loads(capsys.readouterr().out)["reports"]
    assert told(store, "--model", "zoo/small.onnx", "-o", str(tmp_path / "small.html")) == 1

    assert report["model"]["path"] == "zoo/small.onnx"
    assert report["verdict"]["status"] == "fail"
    assert "zoo/small.onnx" in (tmp_path / "small.html").read_text()


def test_pages_lie_beside_the_index_and_are_linked(tmp_path: Path):
    """One a model with a report, under a name that no path can escape from."""
    store = Store(tmp_path / "store")
    write_run(store, FIRST, [row("../../etc/passwd", *with_result(store)), lost("b.onnx")])

    assert told(store, "-o", str(tmp_path / "out.html"), "--pages", "-q") == 2
    pages = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.glob("models/*"))

    assert pages == ["models/00000.html"]
    assert 'href="models/00000.html"' in (tmp_path / "out.html").read_text()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--run", "never"], "holds no run 'never'"),
        (["--since", "never"], "holds no run 'never'"),
        (["--run", FIRST, "--since", SECOND], f"run '{SECOND}' is not earlier than '{FIRST}'"),
        (["--pages"], "--pages needs a file to lie beside: give -o index.html"),
        (["-o", "report.pdf"], "report.pdf: no format has the suffix '.pdf'; there are .html, .md, .jsonl, .txt"),
        (["--output-format", "sarif"], "'sarif' is none of html, markdown, jsonl, text"),
        (["--model", "nowhere.onnx"], "no finished model is called so in run"),
        (["--model", "zoo/a.onnx"], "zoo/a.onnx: its result is not in the store any more, or damaged; run again"),
        (["-o", "missing/report.html"], "there is no directory missing"),
    ],
)
def test_what_cannot_be_done_is_one_line(store: Store, words: list, message: str, capsys: pytest.CaptureFixture[str]):
    """And exit code 2."""
    assert told(store, *words) == 2
    err = capsys.readouterr().err

    assert message in err
    assert err.count("\n") == 1


def test_a_first_run_has_nothing_to_compare_with(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """A report says so and its gate for what is new stays open; a diff cannot be made."""
    store = store_of(tmp_path, {FIRST: [row("a.onnx", DEAD)]})

    assert told(store, "--fail-on-new", "error") == 0
    assert "note: --fail-on-new: no run is earlier than this one, so nothing is new" in capsys.readouterr().err
    assert told(store, command="diff") == 2
    assert "no run is earlier than" in capsys.readouterr().err


def test_markdown_keeps_names_from_being_markup(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """A path is a code span whatever is in it."""
    store = store_of(tmp_path, {FIRST: [row("a`|<img src=x>@team.onnx", DEAD)]})

    told(store, "--output-format", "markdown")
    out = capsys.readouterr().out

    assert "``` a" not in out
    assert "`` a`\\|<img src=x>@team.onnx ``" in out
    assert "## initaudit: 1 model, 1 failed" in out
