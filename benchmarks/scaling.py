"""Time and memory against size: how an audit grows with what a file can have much of.

    python benchmarks/scaling.py [WORD ...] [--part N]

WORDs choose dimensions by their names; `--part 8` measures at an eighth of the sizes. Each model of `scaling_models.py` is audited without a
probe, in a fork of a process that has imported and audited already, at a quarter of the largest size and at the largest. What counts is
processor time, that of children included, and the least of up to REPEATS runs, for what else the machine does can only add to it. The
exponent is the slope between the two sizes in a log-log plot, for the audit with the report's JSON entry and for what it takes to render
that in each format, of which the one that takes longest is named.

The bar is BAR. A quadratic step may hide below the linear ones at these sizes; sorting and caches account for the little above one.
"""

from __future__ import annotations

import argparse
import gc
import math
import multiprocessing
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scaling_models import DIMENSIONS, layers

from initaudit.auditor import audit
from initaudit.config import Config
from initaudit.format import FormatOptions, all_formats
from initaudit.report.document import document

BAR = 1.15
GROWTH = 4
"""Between the two sizes."""
REPEATS = 3
ENOUGH = 6.0
"""Seconds of processor time for the largest size after which it is not measured again."""
LEAST = 0.1
"""Seconds; what takes less at its largest size is called fast, whatever its slope."""
LONGEST = 300
"""Seconds after which an audit is given up."""
FORK = multiprocessing.get_context("fork")
CONFIG = Config(probe="none", timeout=600)


@dataclass(frozen=True, slots=True)
class Used:
    """What a step took."""

    seconds: float
    """Of processor time, child processes included."""
    mebibytes: float = 0.0
    """Of memory beyond what the process held before, at the most."""


def processor_time() -> float:
    """Of this process and of the children that ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in used)


def peak() -> float:
    """MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def make(name: str, size: int, path: str) -> None:
    """Write a model."""
    Path(path).write_bytes(DIMENSIONS[name].make(size).SerializeToString())


def measure(path: str) -> dict[str, Used]:
    """The audit of a file under an empty name, and each format."""
    before, memory = processor_time(), peak()
    entry = audit(path, CONFIG).entry()
    found = {"": Used(processor_time() - before, peak() - memory)}
    for form in all_formats().values():
        before = processor_time()
        form.render(document([entry]), FormatOptions(verbose=True, statistics=True))
        found[form.name] = Used(processor_time() - before)
    return found


def forked(function: Callable[..., Any], *arguments: object) -> Any:
    """What a function gives in a fork of this process. Raises TimeoutError."""
    receiver, sender = FORK.Pipe(duplex=False)
    child = FORK.Process(target=lambda: sender.send(function(*arguments)))
    child.start()
    sender.close()
    try:
        if not receiver.poll(LONGEST):
            raise TimeoutError
        return receiver.recv()
    finally:
        child.kill()
        child.join()


def least(name: str, part: int) -> tuple[int, dict[str, Used], dict[str, Used]]:
    """The largest size, and the least that each step took at a quarter of it and at it."""
    largest = DIMENSIONS[name].largest // part
    with tempfile.TemporaryDirectory() as folder:
        paths = [f"{folder}/small.onnx", f"{folder}/large.onnx"]
        for path, size in zip(paths, (largest // GROWTH, largest), strict=True):
            forked(make, name, size, path)
        best: list[dict[str, Used]] = [{}, {}]
        spent = 0.0
        for _ in range(REPEATS):
            for found, path in zip(best, paths, strict=True):
                for step, used in forked(measure, path).items():
                    found[step] = min(used, found.get(step, used), key=lambda u: u.seconds)
                    spent += used.seconds
            if spent > ENOUGH:
                break
    return largest, *best


def slope(small: Used, large: Used) -> float:
    """Exponent of time against size."""
    return math.log(large.seconds / max(small.seconds, 1e-3)) / math.log(GROWTH)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", nargs="*", metavar="WORD")
    parser.add_argument("--part", type=int, default=1, metavar="N")
    options = parser.parse_args()
    entry = audit(layers(4).SerializeToString(), CONFIG).entry()
    for form in all_formats().values():
        form.render(document([entry]), FormatOptions(verbose=True, statistics=True))
    gc.collect()
    gc.freeze()
    start, above = time.monotonic(), 0
    print("| dimension | largest | seconds | MiB | exponent | slowest format | seconds | exponent |")
    print("|---|---|---|---|---|---|---|---|", flush=True)
    for name in (n for n in DIMENSIONS if any(word in n for word in options.words or [""])):
        try:
            largest, small, large = least(name, options.part)
        except TimeoutError:
            above += 1
            print(f"| {name} | | over {LONGEST} | | |", flush=True)
            continue
        form = max((step for step in large if step), key=lambda step: large[step].seconds)
        cells = [name, f"{largest:,}"]
        for step in ("", form):
            steep = (exponent := slope(small[step], large[step])) > BAR and large[step].seconds >= LEAST
            above += steep
            told = "fast" if large[step].seconds < LEAST else f"{exponent:.2f}{' above the bar' * steep}"
            cells += [step] if step else []
            cells += [f"{large[step].seconds:.2f}"] + ([] if step else [f"{large[step].mebibytes:.0f}"]) + [told]
        print(f"| {' | '.join(cells)} |", flush=True)
    print(f"\n{above} above {BAR}; {time.monotonic() - start:.0f} s", file=sys.stderr)
    sys.exit(bool(above))


if __name__ == "__main__":
    main()
