"""Makes the experiments again: `python docs/experiments/run.py [FOLDER] [--untrained]`.

Runs every command in FOLDER (default: a temporary one), writes the table and the sections into `index.md` and the pictures into `images/`, and says how
long each experiment took. With --untrained only those that train nothing; what the page says of the others stays. Pictures need a Chromium with its
chromedriver, training needs the extra `torch` and scikit-learn.
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
from collections.abc import Callable, Iterable
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from docs.experiments.page import PAGE, with_experiments  # noqa: E402
from docs.experiments.pictures import take  # noqa: E402
from docs.experiments.untrained import EXPERIMENTS  # noqa: E402

if TYPE_CHECKING:
    from docs.experiments.experiment import Documents, Experiment

PAGE_END = ".html"


def written_by(command: str) -> list[str]:
    """Words of a command as it is run: where it writes a page, the document too."""
    words = shlex.split(command)
    pages = [word for option, word in pairwise(words) if option == "-o" and word.endswith(PAGE_END)]
    return [*words, *(word for page in pages for word in ("-o", page.removesuffix(PAGE_END) + ".json"))]


def in_shell(words: list[str]) -> int:
    """The exit code of a command that is run by this Python and with this checkout."""
    program = [sys.executable, *(["-m", "initaudit"] if words[0] == "initaudit" else [])]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run([*program, *words[1:]], env=environment, check=False, stdout=subprocess.DEVNULL).returncode


def perform(experiments: Iterable[Experiment], run: Callable[[list[str]], int]) -> Iterable[tuple[Experiment, float]]:
    """Run the commands in the current folder; each experiment when it is done, with the seconds that it took.

    Raises SystemExit where a command fails. That a network cannot learn (1) is no failure.
    """
    for experiment in experiments:
        began = time.perf_counter()
        for command in experiment.commands:
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
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = (arguments.folder or Path(temporary)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        os.chdir(folder)
        for leftover in folder.glob("*.onnx"):
            leftover.unlink()
        chosen = [experiment for experiment in EXPERIMENTS if not (arguments.untrained and experiment.trains)]
        seconds = {}
        for experiment, took in perform(chosen, in_shell):
            print(f"{took:6.1f} s  {experiment.name}", flush=True)
            seconds[experiment.name] = took
        print(f"{sum(seconds.values()):6.1f} s  all")
        page = with_experiments(PAGE.read_text("utf-8"), EXPERIMENTS, seconds, documents(folder))
        PAGE.write_text(page, encoding="utf-8")
        take(chosen, folder)


if __name__ == "__main__":
    main()
