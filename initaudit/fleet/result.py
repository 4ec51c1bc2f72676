"""Result: what a worker keeps of an audit, in `results/<key>.json.gz`, and the report that is made of it.

run           id of the run that made it
worker        host and process that did
version       of initaudit; `versions`, of what the figures come from
bytes         of the model's files on disk
input_shapes  those of the options that the model can have
kept          what was found, apart from what of it counts: see `initaudit.report.kept`
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from initaudit.config import Config
from initaudit.findings import Severity
from initaudit.fleet.place import StoreError
from initaudit.per_rule import Level, Limit
from initaudit.report.kept import entry_of

if TYPE_CHECKING:
    from initaudit.fleet.record import RunRecord
    from initaudit.fleet.row import Row
    from initaudit.fleet.store import Store


def entry_of_row(store: Store, run: RunRecord, row: Row) -> dict[str, Any]:
    """One of the `reports` of the document of `initaudit check`, for a row of a run; of a model without a report one that says why.

    Raises StoreError where the result is not in the store any more.
    """
    config = config_of(run.options[row.options])
    if row.key is None or not row.has_report:
        from initaudit.auditor import failed

        return failed(row.path, row.error or row.status, config).entry()
    result = store.result(row.key)
    if result is None:
        raise StoreError(f"store {store.address}: the result of {row.path} is gone ({row.key}); run again")
    return entry_of_result(result, row.path, config, exit_zero=run.exit_zero)


def entry_of_result(result: Mapping[str, Any], path: str, config: Config, *, exit_zero: bool) -> dict[str, Any]:
    """The entry of the document for a model at `path`, under the filters and gates of these options. Raises UsageError."""
    shapes = {name: tuple(shape) for name, shape in result["input_shapes"].items()}
    if shapes != config.input_shapes:
        config = dataclasses.replace(config, input_shapes=shapes)
    return entry_of(result["kept"], path, config, exit_zero=exit_zero)


def config_of(options: Mapping[str, Any]) -> Config:
    """Options as a report's `options` have them."""
    levels = tuple(Level(**{**item, "severity": Severity(item["severity"])}) for item in options["severity"])
    limits = tuple(Limit(**item) for item in options["threshold"])
    return Config(**{**options, "severity": levels, "threshold": limits})
