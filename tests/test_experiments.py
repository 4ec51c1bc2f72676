"""The page with the tutorials' experiments: what it says of those that train nothing is what the commands on it give."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from docs.experiments import page, run
from docs.experiments.untrained import EXPERIMENTS as UNTRAINED
from initaudit import cli
from tests.test_readme import same

PAGE = page.PAGE.read_text("utf-8")


def exit_code(words: list[str]) -> int:
    """Of a command, run here; pages are not written."""
    if words[0] == "initaudit":
        pages = {place for place, word in enumerate(words) if word.endswith(run.PAGE_END)}
        return cli.run([*(w for i, w in enumerate(words) if not {i, i + 1} & pages), "-q"][1:])
    return subprocess.run([sys.executable, *words[1:]], check=False).returncode


@pytest.mark.usefixtures("in_process")
def test_the_table_has_the_figures_that_the_commands_give(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Word by word, the numbers within what another processor makes of them; `docs/experiments/run.py --untrained` writes them anew."""
    monkeypatch.chdir(tmp_path)
    done = [experiment for experiment, _ in run.perform(UNTRAINED, exit_code)]
    documents = run.documents(tmp_path)

    for experiment in done:
        shown, happened = page.rows_of(PAGE, experiment), page.rows(experiment, documents)
        assert len(shown) == len(happened)
        for one, other in zip(shown, happened, strict=True):
            assert same(one, other), f"the page says\n{one}\nand it is\n{other}"


def test_experiments_can_be_made_again_in_the_same_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A model that an earlier run wrote is no obstacle, and a command that fails is named."""
    monkeypatch.chdir(tmp_path)
    Path("tanh.onnx").touch()
    experiment = UNTRAINED[0]

    with pytest.raises(SystemExit, match=f"^tanh: failed: {experiment.commands[0]}$"):
        list(run.perform([experiment], lambda words: 2))

    assert not Path("tanh.onnx").exists()


def test_the_sections_are_those_of_the_experiments():
    """Their commands and pictures; the pictures are there, and small."""
    pictures = {picture.name: picture.stat().st_size for picture in page.IMAGES.iterdir()}

    assert page.with_experiments(PAGE, run.EXPERIMENTS, {}, {}) == PAGE
    assert set(pictures) == {f"{experiment.name}.png" for experiment in run.EXPERIMENTS if experiment.picture}
    assert max(pictures.values()) < 150_000
