"""Audit mutated models, half of them with the probe, and print what they ended as; the exit code is 1 where one showed a fault.

A fault is anything but a report or a documented error: another exception, a warning, a report that one of the formats cannot show, more
memory or time than the limit. It is written to --found, made as small as possible. Cases are determined by their number and the seed:

    python -m tests.fuzz --minutes 60 --log FILE     an hour; the same command again goes on where it stopped
    python -m tests.fuzz --count 50000 --jobs 2      so many cases
    python -m tests.fuzz --case 1234 --seed 7        one of them again; --keep FILE writes its model
    python -m tests.fuzz --file M.onnx --probe       a file of your own, the same way
"""

from __future__ import annotations

import argparse
import sys
import time
from itertools import count
from pathlib import Path

from tests.fuzz.campaign import Log, run, table
from tests.fuzz.case import Case, make_case
from tests.fuzz.worker import Worker


def main() -> int:
    """Run a campaign or a case."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, help="how long (default: 60 where no --count is given)")
    parser.add_argument("--count", type=int, help="how many cases")
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--half", choices=("weights", "probe"), help="only cases without, or with, the probe")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1, help="processes at once")
    parser.add_argument("--log", type=Path, help="file that remembers which cases have been run")
    parser.add_argument("--found", type=Path, default=Path("fuzz-found"), help="folder for files that show a fault")
    parser.add_argument("--case", type=int, metavar="N", help="run this case alone")
    parser.add_argument("--keep", type=Path, metavar="FILE", help="where to write the model of --case")
    parser.add_argument("--file", type=Path, metavar="MODEL", help="run this file alone")
    parser.add_argument("--probe", action="store_true", help="with --file: also measure the signal")
    options = parser.parse_args()
    if options.case is not None or options.file is not None:
        return _one(options)
    minutes = 60.0 if options.minutes is None and options.count is None else options.minutes
    until = float("inf") if minutes is None else time.monotonic() + 60.0 * minutes
    last = None if options.count is None else options.first + options.count
    half = {"weights": 0, "probe": 1, None: None}[options.half]
    numbers = (
        n for n in (count(options.first) if last is None else range(options.first, last)) if half in (None, n % 2)
    )
    log = Log(options.log)
    faults = run(numbers, options.seed, log, options.found, jobs=options.jobs, until=until)
    print(table(log))
    return int(faults > 0)


def _one(options: argparse.Namespace) -> int:
    if options.file is not None:
        case = Case(raw=options.file.read_bytes(), probe=options.probe, fix=True)
    else:
        case = make_case(options.case, options.seed)
    if options.keep:
        options.keep.write_bytes(case.raw)
    with Worker() as worker:
        ended = worker.run(case)
    print(
        f"{case.origin} ({ended.kinds}), {len(case.raw)} bytes: {ended.what}; {ended.seconds:.2f} s, {ended.memory >> 20} MiB"
    )
    return int(ended.what.startswith("!"))


if __name__ == "__main__":
    sys.exit(main())
