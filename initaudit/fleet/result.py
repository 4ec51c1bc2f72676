"""Result: what a worker keeps of an audit, in `results/<key>.json.gz`, and the report that is made of it.

run           id of the run that made it
number        of the line of its plan
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
from initaudit.per_rule import Level, Limit
from initaudit.report.kept import entry_of

if TYPE_CHECKING:
    from initaudit.judgement.baseline import Baseline


def entry_of_result(
    result: Mapping[str, Any], path: str, config: Config, baseline: Baseline | None, *, exit_zero: bool
) -> dict[str, Any]:
    """The entry of the document for a model at `path`, under the filters and gates of these options; `baseline` is read from the file that they name.

    Raises UsageError.
    """
    shapes = {name: tuple(shape) for name, shape in result["input_shapes"].items()}
    if shapes != config.input_shapes:
        config = dataclasses.replace(config, input_shapes=shapes)
    return entry_of(result["kept"], path, config, baseline, exit_zero=exit_zero)


def config_of(options: Mapping[str, Any]) -> Config:
    """Options as a report's `options` have them."""
    levels = tuple(Level(**{**item, "severity": Severity(item["severity"])}) for item in options["severity"])
    limits = tuple(Limit(**item) for item in options["threshold"])
    return Config(**{**options, "severity": levels, "threshold": limits})
