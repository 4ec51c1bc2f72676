"""Let coverage choose which mutations are kept: `python -m tests.fuzz.coverage_guided [--minutes 60]`, with atheris (`pip install atheris`).

libFuzzer, which atheris brings, calls the audit of a file again and again, keeps the files that reach new branches of initaudit in --corpus, and
mutates those further, with the mutations of `tests.fuzz.mutation`. The corpus is begun with the seeds, and the same command goes on with it.
A fault does not stop it: it is written to --found, of each kind once.
"""

from __future__ import annotations

import argparse
import random
import resource
import sys
import time
from pathlib import Path

HINT = "atheris is not installed; `pip install atheris` (wheels: Linux, Python 3.11 to 3.13)"
LARGEST = 1 << 17
"""Bytes of a file."""


def main() -> None:
    """Fuzz until the time is over; the exit code is libFuzzer's."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz.coverage_guided",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--corpus", type=Path, default=Path("fuzz-guided"), help="folder of files that reach something new"
    )
    parser.add_argument("--found", type=Path, default=Path("fuzz-found"), help="folder for files that show a fault")
    parser.add_argument(
        "--log",
        type=Path,
        help="file that remembers what the cases ended as; `python -m tests.fuzz --log FILE --count 0` shows it",
    )
    options = parser.parse_args()
    try:
        import atheris
    except ImportError:
        sys.exit(HINT)
    with atheris.instrument_imports(include=["initaudit"]):
        from tests.fuzz.campaign import Log
        from tests.fuzz.case import Case
        from tests.fuzz.mutation.mutate import mutated
        from tests.fuzz.outcome import outcome
        from tests.fuzz.seeds import seeds
        from tests.fuzz.worker import MEMORY, SECONDS, Ended
    raws = {
        f"{family}-{name}": raw
        for family, models in seeds().items()
        for name, raw in models.items()
        if len(raw) < LARGEST
    }
    begin(options.corpus, raws)
    options.found.mkdir(parents=True, exist_ok=True)
    others, log, count = list(raws.values()), Log(options.log), 0

    def audit(raw: bytes) -> None:
        nonlocal count
        count += 1
        start = time.process_time()
        what = outcome(Case(raw=raw))
        ended = Ended(what=what, seconds=time.process_time() - start, memory=0, origin="corpus", kinds="guided")
        log.add(2 * count, options.seed, ended)
        path = options.found / f"{''.join(c if c.isalnum() else '-' for c in what[1:80])}.onnx"
        if what.startswith("!") and not path.exists():
            print(what, flush=True)
            path.write_bytes(raw)

    def mutate(raw: bytes, largest: int, seed: int) -> bytes:
        rng = random.Random(seed)
        return mutated(bytes(raw), rng.choice(others), rng)[0][:largest]

    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    flags = {
        "max_total_time": round(60 * options.minutes),
        "max_len": LARGEST,
        "timeout": round(10 * SECONDS),
        "rss_limit_mb": MEMORY >> 20,
        "seed": options.seed,
        "artifact_prefix": f"{options.found}/",
        "reload": 0,
    }
    arguments = [sys.argv[0], *(f"-{name}={value}" for name, value in flags.items()), str(options.corpus)]
    atheris.Setup(arguments, audit, custom_mutator=mutate)
    atheris.Fuzz()


def begin(folder: Path, raws: dict[str, bytes]) -> None:
    """Put the seeds into the corpus, unless there is one."""
    if folder.exists():
        return
    folder.mkdir(parents=True)
    for name, raw in raws.items():
        (folder / name.replace(":", "-").replace("/", "-")).write_bytes(raw)


if __name__ == "__main__":
    main()
