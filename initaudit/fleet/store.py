"""Store: what runs leave behind, in a folder or behind a URL.

    runs/<id>/run.json            what was asked for: sources, options, versions, how many models (RunRecord)
    runs/<id>/plan.jsonl          a line a model, before the work begins (Planned)
    runs/<id>/index.jsonl         a line a model that is finished, in the order of their ends (Row); of a shard index-<part>-of-<of>.jsonl.
                                  Behind a URL, where nothing can be appended, pieces: index.000001.jsonl, index.000002.jsonl, ...
    results/<key>.json.gz         what an audit found, by content, options and version: see `initaudit.fleet.result`
    stamps/<hash of path>.json    what a path held when it was last read: see `initaudit.fleet.keys`
    attempts/<id>/<number>.<n>    the n-th attempt at a line of the plan has begun, and not ended

Everything but the index appears whole or not at all.
"""

from __future__ import annotations

import gzip
import json
import os
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from initaudit.fleet.indexing import index_writer
from initaudit.fleet.place import Folder, StoreError
from initaudit.fleet.places import place_at
from initaudit.fleet.plan import Planned, Shard
from initaudit.fleet.record import RunRecord
from initaudit.fleet.row import Row

if TYPE_CHECKING:
    from initaudit.fleet.indexing import IndexWriter
    from initaudit.fleet.place import Place

LEVEL = 4
"""Of gzip. A judgement: a result of 100 KB takes 1 ms, and comes within a tenth of what level 9 makes of it in eight."""


class Store:
    """Runs, their rows, and results, in one place. Methods raise StoreError that names the store where something cannot be read or written."""

    def __init__(self, address: str | os.PathLike[str]) -> None:
        """A store at a path or URL; nothing is written yet."""
        self.place: Place = place_at(address)

    @property
    def address(self) -> str:
        """What finds it again from another process."""
        return self.place.address

    @property
    def is_lasting(self) -> bool:
        """Whether another process finds anything there."""
        return self.place.is_lasting

    # Runs

    def runs(self) -> list[RunRecord]:
        """All runs, the earliest first."""
        found = [self._record(name) for name in self.place.names("runs")]
        return sorted((run for run in found if run is not None), key=lambda run: (run.started, run.id))

    def run(self, run_id: str | None = None) -> RunRecord:
        """A run by its id, or the latest one. Raises StoreError where there is none."""
        if run_id is None:
            runs = self.runs()
            if not runs:
                raise StoreError(f"store {self.address}: holds no run")
            return runs[-1]
        found = self._record(run_id)
        if found is None:
            raise StoreError(f"store {self.address}: holds no run {run_id!r}")
        return found

    def has_run(self, run_id: str) -> bool:
        """Whether there is such a run."""
        return self.place.has(f"runs/{run_id}/run.json")

    def create_run(self, record: RunRecord) -> bool:
        """Keep the record of a new run; False where there is one of this id, which stays."""
        return self.place.create(f"runs/{record.id}/run.json", record.text().encode())

    def has_plan(self, run_id: str) -> bool:
        """Whether the plan of the run is there: it is written after its record."""
        return self.place.has(f"runs/{run_id}/plan.jsonl")

    def _record(self, run_id: str) -> RunRecord | None:
        data = self.place.read(f"runs/{run_id}/run.json")
        return None if data is None else RunRecord.read(data, f"store {self.address}: runs/{run_id}/run.json")

    # What is planned and what is finished

    def plan(self, run_id: str) -> Iterator[Planned]:
        """Lines of the plan in their order, read as they are asked for."""
        return map(Planned.read, self.place.lines(f"runs/{run_id}/plan.jsonl"))

    def rows(self, run_id: str, shard: Shard | None = None) -> Iterator[Row]:
        """Finished models, in no order, each once; of one shard or of all. They are read as they are asked for."""
        seen: set[int] = set()
        for name in self.place.names(f"runs/{run_id}"):
            if not name.startswith("index") or (shard is not None and name.partition(".")[0] != shard.name):
                continue
            for line in self.place.lines(f"runs/{run_id}/{name}"):
                row = Row.read(line)
                if row is not None and row.number not in seen:
                    seen.add(row.number)
                    yield row

    @contextmanager
    def index(self, run_id: str, shard: Shard) -> Iterator[IndexWriter]:
        """Takes the rows of a shard as its models are finished. Raises StoreError where another process writes them."""
        with index_writer(self.place, f"runs/{run_id}", shard.name) as writer:
            yield writer

    # Results

    def result(self, key: str) -> dict[str, Any] | None:
        """What an audit found; None where it is not there, or damaged."""
        data = self.place.read(_result(key))
        if data is None:
            return None
        try:
            found: dict[str, Any] = json.loads(gzip.decompress(data))
        except (OSError, EOFError, ValueError, zlib.error):
            return None
        return found

    def write_result(self, key: str, result: Mapping[str, Any]) -> None:
        """Keep it."""
        text = json.dumps(result, allow_nan=False, separators=(",", ":"))
        self.place.write(_result(key), gzip.compress(text.encode(), LEVEL, mtime=0))

    def sweep(self) -> None:
        """Remove what killed processes left half written."""
        if isinstance(self.place, Folder):
            self.place.sweep()


def _result(key: str) -> str:
    return f"results/{key}.json.gz"
