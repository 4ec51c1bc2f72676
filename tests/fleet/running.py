"""A run of a fleet in a call."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import onnx

from initaudit.auditor import failed
from initaudit.engines.local import Local
from initaudit.fleet.order import Care
from initaudit.fleet.plan import Shard
from initaudit.fleet.planning import Request, planned_run
from initaudit.fleet.reading import Reading
from initaudit.fleet.result import config_of
from initaudit.fleet.run import Run
from initaudit.settings.given import COMMAND_LINE, Source, read_given
from initaudit.settings.settings import Settings
from tests.networks import mlp, normal

if TYPE_CHECKING:
    from initaudit.engine import Engine
    from initaudit.fleet.record import RunRecord
    from initaudit.fleet.row import Row
    from initaudit.fleet.store import Store

WHOLE, USUAL = Shard(), Care()
CLOCK_TICKS = 0.06
"""Seconds after which a change of a file shows in its times."""


def settings(**options: Any) -> Settings:
    """Options of the command line; weights only unless they say otherwise."""
    source = Source(COMMAND_LINE, "--option")
    given = [read_given(name, value, source) for name, value in {"probe": "none", **options}.items()]
    return Settings(given=tuple(entry for entries in given for entry in entries))


def planned(
    sources: Sequence[str | Path],
    store: Store,
    *,
    shard: Shard = WHOLE,
    name: str | None = None,
    fresh: bool = False,
    **options: Any,
) -> RunRecord:
    """The run over these sources."""
    request = Request(
        sources=[str(s) for s in sources], settings=settings(**options), shard=shard, name=name, fresh=fresh
    )
    return planned_run(store, request)


def fleet(
    sources: Sequence[str | Path],
    store: Store,
    engine: Engine | None = None,
    *,
    shard: Shard = WHOLE,
    care: Care = USUAL,
    **options: Any,
) -> list[Row]:
    """All rows of a run over these sources, by their numbers."""
    record = planned(sources, store, shard=shard, **options)
    rows = Run(store, record, shard, care).rows(engine or Local())
    return sorted(rows, key=lambda row: row.number)


def statuses(rows: Sequence[Row]) -> dict[str, str]:
    """Status of each row by the name of its file, without the suffix."""
    return {Path(row.path).stem: row.status for row in rows}


def with_external(path: Path, values: float = 0.1) -> Path:
    """A model of one layer whose weight lies in the file `<name>.data`; that file."""
    proto = mlp([8, 8], draw=normal(values), seed=3)
    data = path.with_suffix(".data")
    onnx.save_model(proto, path, save_as_external_data=True, location=data.name, size_threshold=0)
    return data


def without_times(entry: Mapping[str, Any]) -> str:
    """The JSON text of a report but for how long it took."""
    return json.dumps({key: value for key, value in entry.items() if key != "timing"})


def report(store: Store, row: Row) -> str:
    """What the latest run says of a model, as JSON text without times; of one without a report, what `check` says where it has this error."""
    record = store.run()
    if row.has_report:
        return without_times(Reading(store, record).entry(row))
    return without_times(failed(row.path, row.error or "", config_of(record.options[row.options])).entry())
