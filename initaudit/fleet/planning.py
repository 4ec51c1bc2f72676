"""Planning: the models of a run and the options of each, written down before the work; and which run that is."""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from initaudit.errors import UsageError
from initaudit.fleet.keys import digest_of
from initaudit.fleet.place import StoreError
from initaudit.fleet.plan import Planned, Shard
from initaudit.fleet.record import RunRecord
from initaudit.fleet.sources import items_of
from initaudit.report.run import circumstances, run
from initaudit.version import __version__

if TYPE_CHECKING:
    from initaudit.config import Config
    from initaudit.fleet.store import Store
    from initaudit.settings.settings import Settings

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
"""Of a run: what is a name of a folder everywhere."""
PLAN_SECONDS = 60.0
"""For another shard to write the plan of a run that it has begun. A judgement: it is at hand already, and takes a second to be sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is asked for."""

    sources: Sequence[str]
    settings: Settings
    shard: Shard = field(default_factory=Shard)
    name: str | None = None
    """Of the run; where None it follows from the plan."""
    fresh: bool = False
    """Begin a new run even where one with the same plan is not finished."""
    command: Sequence[str] | None = None


def planned_run(store: Store, request: Request) -> RunRecord:
    """The run that is asked for: one with the same plan that is not finished, or a new one, with its plan in the store.

    A run that is named keeps its plan, whatever became of the sources. Raises UsageError where nothing can be planned.
    """
    if request.name is not None and not NAME.fullmatch(request.name):
        raise UsageError(f"--run: {request.name!r} is no name of letters, digits, dots and hyphens")
    if request.name is not None and store.has_plan(request.name):
        return _same(store, store.run(request.name), request)
    with tempfile.TemporaryDirectory(prefix="initaudit-") as folder:
        file = Path(folder, "plan.jsonl")
        draft = _drafted(file, request)
        record = replace(draft, id=request.name or _free_name(store, draft, request))
        if not store.create_run(record):
            record = _same(store, store.run(record.id), request)
        if record.digest == draft.digest:  # whoever began it may have been lost before the plan was there
            if not store.has_plan(record.id):
                store.place.upload(f"runs/{record.id}/plan.jsonl", file)
            return record
    return _with_plan(store, record)


def _drafted(file: Path, request: Request) -> RunRecord:
    """The plan in a file, and the record of a run without a name."""
    configs: dict[str, int] = {}
    options: list[dict[str, Any]] = []
    digest = hashlib.sha256(f"{__version__} {request.shard.of}".encode())
    planned = 0
    settings = request.settings
    with file.open("w", encoding="ascii") as stream:
        for item in items_of(request.sources, settings.run.exclude):
            plain = circumstances(settings.config(item.path), None)["options"]
            place = configs.setdefault(json.dumps(plain), len(configs))
            if place == len(options):
                options.append(plain)
            line = Planned(number=planned, item=item, options=place).line()
            stream.write(line)
            digest.update(line.encode())
            planned += 1
    if not planned:
        raise UsageError("nothing is left to audit: all models are excluded")
    digest.update(json.dumps([options, settings.run.exit_zero]).encode())
    return RunRecord(
        id="",
        started=datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        planned=planned,
        shards=request.shard.of,
        sources=tuple(request.sources),
        digest=digest.hexdigest(),
        options=tuple(options),
        run=run(command=request.command),
        version=__version__,
        exit_zero=settings.run.exit_zero,
    )


def _free_name(store: Store, draft: RunRecord, request: Request) -> str:
    """Of the last run with this plan, where this shard of it is not finished; else of the next one."""
    count = 0
    while store.has_run(f"{draft.digest[:12]}-{count + 1}"):
        count += 1
    last = f"{draft.digest[:12]}-{count}"
    if count and not request.fresh and not is_finished(store, store.run(last), request.shard):
        return last
    return f"{draft.digest[:12]}-{count + 1}"


def is_finished(store: Store, record: RunRecord, shard: Shard) -> bool:
    """Whether each line of the shard has its row."""
    return sum(1 for _ in store.rows(record.id, shard)) == shard.size(record.planned)


def unfitted(store: Store, record: RunRecord, inputs: Collection[str]) -> set[str]:
    """Those of some inputs that no model of a finished run has in the shape which its options give them; none where it is not finished."""
    left = {name for options in record.options for name in options["input_shapes"]}.intersection(inputs)
    rows = 0
    for row in store.rows(record.id) if left else ():
        rows += 1
        left.difference_update(row.input_shapes)
    return left if rows == record.planned else set()


def _same(store: Store, record: RunRecord, request: Request) -> RunRecord:
    """The run. Raises UsageError where it is about something else."""
    of = request.shard.of
    if record.sources != tuple(request.sources) or record.shards != of or record.version != __version__:
        told = f"{' '.join(record.sources)} in {record.shards} shards with initaudit {record.version}"
        raise UsageError(f"store {store.address}: run {record.id} is another: {told}")
    return record


def _with_plan(store: Store, record: RunRecord) -> RunRecord:
    ends = time.monotonic() + PLAN_SECONDS
    while not store.has_plan(record.id):
        if time.monotonic() > ends:
            raise StoreError(
                f"store {store.address}: run {record.id} has no plan: whoever began it was lost; use another --run"
            )
        time.sleep(0.2)
    return record


def options_of(record: RunRecord) -> list[tuple[Config, str]]:
    """The options of a run, each with the digest of those that matter. Raises UsageError where a file that they name cannot be read."""
    from initaudit.fleet.result import config_of

    configs = [config_of(options) for options in record.options]
    return [(config, digest_of(config)) for config in configs]
