"""`initaudit compare` as it is typed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from initaudit import cli
from tests.networks import mlp, normal, save


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A small network that explodes."""
    return save(mlp([16, 16, 16, 16, 16, 4], draw=normal(4.0)), tmp_path / "m.onnx")


def run(*words: str | Path) -> int:
    """The exit code."""
    return cli.run(["compare", *map(str, words)])


def test_a_start_that_learns_is_exit_code_0_and_none_is_1(model: Path, capfd: pytest.CaptureFixture[str]):
    """The winner is a scheme; with zeros alone there is none."""
    good, told = run(model, "--schemes", "as-is,he_normal", "-q"), capfd.readouterr().out
    bad, told_of_none = run(model, "--schemes", "zeros", "-q"), capfd.readouterr().out

    assert good == 0
    assert "he_normal is the best start" in " ".join(told.split())
    assert bad == 1
    assert "With none of these starts" in told_of_none


@pytest.mark.parametrize("probe", ["none", "forward"])
def test_what_was_not_asked_for_is_no_failure(model: Path, probe: str, capfd: pytest.CaptureFixture[str]):
    """Weights and the way forward alone do not tell whether a network learns: unknown is not none."""
    assert run(model, "--schemes", "zeros", "--probe", probe, "-q") == 0
    assert "Of none of these starts it is known" in " ".join(capfd.readouterr().out.split())


def test_every_format_goes_to_the_file_whose_suffix_names_it(model: Path, tmp_path: Path):
    """One run writes them all."""
    files = [tmp_path / f"c.{end}" for end in ("json", "csv", "html", "txt")]

    assert run(model, "--schemes", "he_normal", *(word for file in files for word in ("-o", file))) == 0

    assert json.loads(files[0].read_text())["winner"] == "he_normal"
    assert all(file.stat().st_size for file in files)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--schemes", "he_norml"], "unknown scheme 'he_norml'"),
        (["-o", "c.xyz"], "no format has the suffix '.xyz'"),
        (["--output-format", "json", "--output-format", "csv"], "only one format can go to stdout"),
        (["--gain", "-1"], "gain"),
    ],
)
def test_what_cannot_be_done_is_one_line_before_the_work(
    model: Path, words: list[str], says: str, capfd: pytest.CaptureFixture[str]
):
    """Exit code 2, and what is wrong."""
    code, told = run(model, *words), capfd.readouterr().err

    assert code == 2
    assert says in told
    assert len(told.splitlines()) == 1
