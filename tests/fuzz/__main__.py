"""Audit mutated models until the time is over: `python -m tests.fuzz [--minutes 60] [--seed 0] [--probe]`.

Prints a table of what they ended as. What ended as no report and no documented error is written to `fuzz-found/`, as small as deleting parts of it
makes it, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import Counter
from pathlib import Path

from tests.fuzz.mutate import mutated
from tests.fuzz.outcome import SLOW, outcome
from tests.fuzz.seeds import seeds


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--probe", action="store_true", help="also measure the signal")
    parser.add_argument("--found", type=Path, default=Path("fuzz-found"))
    options = parser.parse_args()
    rng, counts, ends = random.Random(options.seed), Counter[str](), time.monotonic() + 60.0 * options.minutes
    sources = list(seeds().values())
    while time.monotonic() < ends:
        raw = mutated(rng.choice(sources), rng)
        what = outcome(raw, probe=options.probe)
        counts[what] += 1
        if what.startswith("!"):
            options.found.mkdir(exist_ok=True)
            name = f"{counts.total():06d}.onnx"
            (options.found / name).write_bytes(smallest(raw, what, probe=options.probe))
            print(f"{name}: {what}", flush=True)
    for what, count in counts.most_common():
        print(f"{count:8} {what}")
    return int(any(what.startswith("!") for what in counts))


def smallest(raw: bytes, what: str, *, probe: bool) -> bytes:
    """The file without every part that it ends in the same way without, halves first."""
    size = len(raw) // 2
    while size:
        at = 0
        while at < len(raw):
            shorter = raw[:at] + raw[at + size :]
            if what.startswith(SLOW) or outcome(shorter, probe=probe) != what:
                at += size
            else:
                raw = shorter
        size //= 2
    return raw


if __name__ == "__main__":
    sys.exit(main())
