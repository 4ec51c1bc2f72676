"""A store with runs that nobody made: rows and one result, written as a run writes them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from initaudit.config import Config
from initaudit.fleet.noting import row_findings
from initaudit.fleet.plan import Item, Planned, Shard
from initaudit.fleet.record import RunRecord
from initaudit.fleet.row import Row
from initaudit.fleet.store import Store
from initaudit.report.kept import entry_of, keep
from initaudit.report.run import circumstances
from tests.networks import mlp, normal

RUN = {"started": "2026-03-09T14:05:33Z", "command": "initaudit fleet run zoo", "versions": {"python": "3.12.1"}}


def finding(code: str, severity: str, layer: str = "/fc0/Gemm") -> list[str]:
    """One of a row's findings."""
    return [f"{code}-{layer}", code, severity, layer, "", ""]


def row(path: str, *findings: list[str], **fields: Any) -> Row:
    """A row with these findings, as a run without filters writes it."""
    counts = {severity: sum(f[2] == severity for f in findings) for severity in ("error", "warning", "info")}
    told = {
        "number": 0,
        "status": "audited",
        "key": "stub",
        "verdict": "fail" if counts["error"] else "warn" if counts["warning"] else "pass",
        "context": "fresh",
        "trainability": 0.9,
        "probe": "complete",
        "reason": f"{findings[0][1]} is the first of what was found" if findings else "No problem found.",
        "parameters": 1000,
        "audited": 1000,
        "layers": 3,
        "bytes": 4000,
        "seconds": 0.25,
    }
    return Row(path=path, findings=findings, counts={**counts, "suppressed": 0}, **{**told, **fields})


def lost(path: str, status: str = "timeout") -> Row:
    """The row of a model that came to nothing."""
    reason = f"{path}: took more than 60 s"
    return Row(number=0, path=path, status=status, error=reason, reason=reason, bytes=4000)


def write_run(
    store: Store, run: str, rows: Sequence[Row], *, planned: Sequence[str] | None = None, config: Config | None = None
) -> RunRecord:
    """A run whose plan has the paths of the rows, or those given; its id is its time too."""
    paths = [row.path for row in rows] if planned is None else planned
    record = RunRecord(
        id=run,
        started=run,
        planned=len(paths),
        options=(circumstances(config or Config(), None)["options"],),
        run=RUN,
        version="0.1.0",
        sources=("zoo",),
    )
    lines = (Planned(number=i, item=Item(path=path, size=4000)).line() for i, path in enumerate(paths))
    number = {path: i for i, path in enumerate(paths)}
    numbered = (dataclasses.replace(row, number=number[row.path]) for row in rows)
    store.place.write(f"runs/{run}/plan.jsonl", "".join(lines).encode())
    store.place.write(f"runs/{run}/run.json", record.text().encode())
    store.place.write(f"runs/{run}/{Shard().name}.jsonl", "".join(row.line() for row in numbered).encode())
    return record


def store_of(folder: Path, runs: Mapping[str, Sequence[Row]]) -> Store:
    """A store in a folder with these runs."""
    store = Store(folder)
    for run, rows in runs.items():
        write_run(store, run, rows)
    return store


@cache
def kept() -> dict[str, Any]:
    """What an audit found of a fresh network with a layer that is zero, which is an error, and weights that are too small."""
    from initaudit.auditor import examine

    network = mlp([16, 16, 16, 4], draw=normal(0.01), change={"fc1.weight": np.zeros_like})
    return keep(examine(network, Config(probe="none", context="fresh")))


def with_result(store: Store) -> list[list[str]]:
    """Keeps that result under the key of the rows, and gives the findings that their rows have."""
    store.write_result("stub", {"run": "stub", "bytes": 4000, "input_shapes": {}, "kept": kept()})
    return row_findings(entry_of(kept(), "zoo/any.onnx", Config(probe="none"), None))
