"""Makes the experiments again: `python docs/experiments/run.py [FOLDER] [--untrained | --only NAME | --pictures]`.

Runs every command in FOLDER (default: a temporary one), writes the table and the sections into `index.md` and the pictures into `images/`, and says how
long each experiment took. With --untrained only those that train nothing, with --only those that are named; what the page says of the others stays.
Training needs the extra `torch` and scikit-learn, pictures need selenium and a Chromium with its chromedriver; where these are elsewhere, --pictures
takes them of the pages that FOLDER holds already.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from docs.experiments import trained, untrained  # noqa: E402
from docs.experiments.page import PAGE, with_experiments  # noqa: E402
from docs.experiments.pictures import take, why_none  # noqa: E402

if TYPE_CHECKING:
    from docs.experiments.experiment import Documents, Experiment

EXPERIMENTS = (*untrained.EXPERIMENTS, *trained.EXPERIMENTS)
PAGE_END = ".html"


def written_by(command: str) -> list[str]:
    """Words of a command as it is run: where it writes a page, the document too."""
    words = shlex.split(command)
    pages = [word for option, word in pairwise(words) if option == "-o" and word.endswith(PAGE_END)]
    return [*words, *(word for page in pages for word in ("-o", page.removesuffix(PAGE_END) + ".json"))]


def made_by(command: str) -> list[str]:
    """The models that it writes, and would not write over."""
    return [word for option, word in pairwise(shlex.split(command)) if option == "-o" and word.endswith(".onnx")]


def in_shell(words: list[str]) -> int:
    """The exit code of a command that is run by this Python and with this checkout."""
    program = [sys.executable, *(["-m", "initaudit"] if words[0] == "initaudit" else [])]
    quiet = ["-q"] if words[0] == "initaudit" else []
    return subprocess.run(
        [*program, *words[1:], *quiet],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
        stdout=subprocess.DEVNULL,
    ).returncode


def perform(experiments: Iterable[Experiment], run: Callable[[list[str]], int]) -> Iterable[tuple[Experiment, float]]:
    """Run the commands in the current folder; each experiment when it is done, with the seconds that it took.

    Raises SystemExit where a command fails. That a network cannot learn (1) is no failure.
    """
    for experiment in experiments:
        began = time.perf_counter()
        for command in experiment.commands:
            for name in made_by(command):
                Path(name).unlink(missing_ok=True)
            if run(written_by(command)) not in (0, 1):
                raise SystemExit(f"{experiment.name}: failed: {command}")
        yield experiment, time.perf_counter() - began


def documents(folder: Path) -> Documents:
    """All that the commands wrote into a folder."""
    return {path.stem: json.loads(path.read_text("utf-8")) for path in folder.glob("*.json")}


def main() -> None:
    """See above."""
    parser = argparse.ArgumentParser(description="Make the experiments again.")
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--untrained", action="store_true", help="only those that train nothing")
    parser.add_argument(
        "--only", action="append", choices=[e.name for e in EXPERIMENTS], help="only this one; repeatable"
    )
    parser.add_argument("--pictures", action="store_true", help="run nothing, take the pictures")
    arguments = parser.parse_args()
    chosen = [
        e for e in EXPERIMENTS if e.name in (arguments.only or [e.name]) and not (arguments.untrained and e.trains)
    ]
    with tempfile.TemporaryDirectory() as temporary:
        folder = (arguments.folder or Path(temporary)).resolve()
        if not arguments.pictures:
            folder.mkdir(parents=True, exist_ok=True)
            write_page(chosen, folder)
        if missing := why_none():
            print(f"no pictures are taken: {missing}")
        else:
            take(chosen, folder)


def write_page(chosen: Sequence[Experiment], folder: Path) -> None:
    """Run the chosen experiments in the folder, say how long they took, and write what came of them."""
    os.chdir(folder)
    seconds: dict[str, float] = {}
    for experiment, took in perform(chosen, in_shell):
        print(f"{took:6.1f} s  {experiment.name}", flush=True)
        seconds[experiment.name] = took
    print(f"{sum(seconds.values()):6.1f} s  all")
    page = with_experiments(PAGE.read_text("utf-8"), EXPERIMENTS, seconds, documents(folder))
    PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
