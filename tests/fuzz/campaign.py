"""A campaign: cases one after another, each noted in a file, so that it can be broken off and taken up again; and what they ended as."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import asdict, replace
from itertools import islice
from pathlib import Path
from typing import Any

from tests.fuzz.case import make_case
from tests.fuzz.minimise import smallest
from tests.fuzz.worker import Ended, Worker


class Log:
    """Lines of JSON, one a case; kept in memory only where there is no file."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        lines = path.read_text().splitlines() if path and path.exists() else []
        self.entries: list[dict[str, Any]] = [json.loads(line) for line in lines]
        self._version = revision()

    def add(self, number: int, seed: int, ended: Ended) -> None:
        """Note how a case ended, and with which version of the project."""
        entry = {"number": number, "seed": seed, "version": self._version, **asdict(ended)}
        self.entries.append(entry)
        if self.path:
            with self.path.open("a") as stream:
                stream.write(json.dumps(entry) + "\n")

    def done(self, seed: int) -> set[int]:
        """Numbers of the cases that need not be run again."""
        return {entry["number"] for entry in self.entries if entry["seed"] == seed}


def revision() -> str:
    """The commit that is fuzzed, with a plus where files differ from it."""
    try:
        said = subprocess.run(["git", "describe", "--always", "--dirty=+"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return said.stdout.strip()


def run(numbers: Iterable[int], seed: int, log: Log, found: Path, *, jobs: int, until: float) -> int:
    """Run the cases of these numbers that are not in the log yet, until the clock (`time.monotonic`) says so; gives how many are faults."""
    done = log.done(seed)
    waiting: Iterator[int] = (number for number in numbers if number not in done)
    faults = 0
    workers: list[Worker] = []
    local = threading.local()

    def one(number: int) -> tuple[int, Ended]:
        if not hasattr(local, "worker"):
            local.worker = Worker()
            workers.append(local.worker)
        ended = local.worker.run((number, seed))
        if ended.what.startswith("!"):
            keep(number, seed, ended, found, local.worker)
        return number, ended

    with ThreadPoolExecutor(jobs) as pool:
        running = {pool.submit(one, number) for number in islice(waiting, jobs)}
        try:
            while running:
                done, running = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    number, ended = future.result()
                    log.add(number, seed, ended)
                    faults += ended.what.startswith("!")
                if time.monotonic() < until:
                    running |= {pool.submit(one, number) for number in islice(waiting, len(done))}
        finally:
            for worker in workers:
                worker.__exit__()
    return faults


def keep(number: int, seed: int, ended: Ended, found: Path, worker: Worker) -> None:
    """Write down a file that shows a fault, as small as it can be; of each kind of fault once."""
    found.mkdir(exist_ok=True, parents=True)
    name = "".join(c if c.isalnum() else "-" for c in ended.what[1:80]).strip("-")
    path = found / f"{name}.onnx"
    print(f"case {number} of seed {seed}: {ended.what}", flush=True)
    if path.exists():
        return
    case = make_case(number, seed)
    path.write_bytes(case.raw)
    path.with_suffix(".txt").write_text(f"{ended.what}\npython -m tests.fuzz --seed {seed} --case {number}\n")
    path.write_bytes(smallest(case.raw, lambda raw: worker.run(replace(case, raw=raw)).what == ended.what))


def table(log: Log) -> str:
    """How the cases ended: by the kinds of mutation that made them, with and without the probe; and what they took."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for entry in log.entries:
        half = "probed" if entry["number"] % 2 else "weights"
        counts[entry["what"]][half] += 1
        for kind in entry["kinds"].split("+"):
            counts[entry["what"]][kind] += 1
    kinds = sorted({kind for entry in log.entries for kind in entry["kinds"].split("+")})
    columns = ["weights", "probed", *kinds]
    lines = [f"{'':52}" + "".join(f"{column:>11}" for column in columns)]
    for what, row in sorted(counts.items(), key=lambda item: -item[1]["weights"] - item[1]["probed"]):
        lines.append(f"{what:52}" + "".join(f"{row[column]:11,}" for column in columns))
    if log.entries:
        lines.append(f"{len(log.entries):,} cases; a case may be of several kinds")
        for half, title in enumerate(
            ("the command's own process, without the probe", "with the probe, its own process left out")
        ):
            mine = [entry for entry in log.entries if entry["number"] % 2 == half]
            lines += [f"{title}:"] * bool(mine)
            for key, unit, digits in (("seconds", 1, "s of the processor"), ("memory", 1 << 20, "MiB resident")):
                lines += [
                    f"  at most {entry[key] / unit:.1f} {digits} (case {entry['number']} of seed {entry['seed']})"
                    for entry in sorted(mine, key=lambda entry: -entry[key])[:1]
                ]
        versions = Counter(entry["version"] for entry in log.entries)
        lines += [f"{count:,} with version {version}" for version, count in versions.items()]
    return "\n".join(lines)
