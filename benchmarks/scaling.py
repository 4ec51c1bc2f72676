"""Time and memory against size: how an audit grows with what a file can have much of.

    python benchmarks/scaling.py [WORD ...] [--formats]

WORDs choose dimensions by their names. Each model of `scaling_models.py` is audited without a probe in a process of its own at an eighth,
a quarter, half and all of the largest size; a tiny model is audited first, so that imports do not count. The exponent is the slope of
processor time over size in a log-log fit to those sizes that take at least FLOOR seconds, the two largest at least. The report's JSON entry
counts as part of the audit; `--formats` measures what it takes to render that in each format instead, by default for the layers with
findings.

The bar is BAR. A quadratic step may hide below the linear ones at these sizes; sorting and caches account for the little above one.
"""

from __future__ import annotations

import argparse
import json
import math
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass

from scaling_models import DIMENSIONS, layers

BAR = 1.15
FLOOR = 0.1
PARTS = (8, 4, 2, 1)
LONGEST = 120
"""Seconds after which an audit is given up."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One audit."""

    size: int
    seconds: float
    """Of processor time, child processes included."""
    mebibytes: float
    """Of memory beyond that of the tiny model, at the most."""


def processor_time() -> float:
    """Of this process and of the children that ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in used)


def peak() -> float:
    """MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure_here(path: str, *, formats: bool) -> dict[str, tuple[float, float]]:
    """Seconds and MiB, in this process; by format, or of the audit under an empty name."""
    from initaudit.auditor import audit
    from initaudit.config import Config
    from initaudit.format import FormatOptions, all_formats
    from initaudit.report.document import document

    config = Config(probe="none", timeout=600)
    audit(layers(4).SerializeToString(), config)
    before, memory = processor_time(), peak()
    entry = audit(path, config).entry()
    if not formats:
        return {"": (processor_time() - before, peak() - memory)}
    times = {}
    for form in all_formats().values():
        before, memory = processor_time(), peak()
        form.render(document([entry]), FormatOptions(verbose=True, statistics=True))
        times[f"{form.name}, "] = (processor_time() - before, peak() - memory)
    return times


def measured(name: str, size: int, *, formats: bool) -> dict[str, Measured]:
    """The same in a process of its own."""
    with tempfile.NamedTemporaryFile(suffix=".onnx") as file:
        file.write(DIMENSIONS[name].make(size).SerializeToString())
        file.flush()
        command = [sys.executable, __file__, "--one", file.name, *(["--formats"] if formats else [])]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=LONGEST)
    if done.returncode:
        raise SystemExit(f"{name}, {size}: {done.stderr[-2000:]}")
    return {key + name: Measured(size, *figures) for key, figures in json.loads(done.stdout.splitlines()[-1]).items()}


def exponent(found: list[Measured]) -> float:
    """Slope of a least-squares line through log time over log size."""
    used = [m for m in found if m.seconds >= FLOOR]
    if len(used) < 2:
        used = found[-2:]
    points = [(math.log(m.size), math.log(max(m.seconds, 1e-4))) for m in used]
    x, y = (sum(axis) / len(points) for axis in zip(*points, strict=True))
    return sum((a - x) * (b - y) for a, b in points) / sum((a - x) ** 2 for a, _ in points)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", nargs="*", metavar="WORD")
    parser.add_argument("--formats", action="store_true")
    parser.add_argument("--one", metavar="MODEL", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure_here(options.one, formats=options.formats)))
        return
    start = time.monotonic()
    print("| dimension | largest | seconds | MiB | exponent |\n|---|---|---|---|---|")
    above = 0
    words = options.words or (["with findings"] if options.formats else [""])
    for name in (n for n in DIMENSIONS if any(word in n for word in words)):
        sizes = [DIMENSIONS[name].largest // part for part in PARTS]
        try:
            runs = [measured(name, size, formats=options.formats) for size in sizes]
        except subprocess.TimeoutExpired:
            above += 1
            print(f"| {name} | | over {LONGEST} | | |", flush=True)
            continue
        for key in runs[0]:
            found = [run[key] for run in runs]
            slope, last = exponent(found), found[-1]
            steep = slope > BAR and last.seconds >= FLOOR
            above += steep
            print(
                f"| {key} | {last.size:,} | {last.seconds:.2f} | {last.mebibytes:.0f} | {slope:.2f}{' above the bar' * steep} |",
                flush=True,
            )
    print(f"\n{above} above {BAR}; {time.monotonic() - start:.0f} s", file=sys.stderr)
    sys.exit(bool(above))


if __name__ == "__main__":
    main()
