"""RunRecord: what was asked of a run."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from initaudit.fleet.place import StoreError

FORMAT = 1
"""Of everything in a store; raised when a file changes its meaning."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """`run.json`."""

    id: str
    started: str
    """UTC, as ISO 8601 has it."""
    planned: int
    """Lines of the plan: so many rows there must be."""
    shards: int = 1
    """Shares that the plan is done in."""
    sources: tuple[str, ...] = ()
    """As given."""
    digest: str = ""
    """Of the plan, the options and the version: equal where the same would be done again."""
    options: tuple[Mapping[str, Any], ...] = ()
    """Those of an audit, filters among them, as a report's `options` have them; a line of the plan names one by its place."""
    run: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """What a report's `run` says: command, versions of Python and of what the figures come from."""
    version: str = ""
    """Of initaudit."""
    exit_zero: bool = False
    """Whether findings leave the exit code 0."""

    def text(self) -> str:
        """As JSON."""
        return json.dumps({"format": FORMAT, **dataclasses.asdict(self)}, indent=1) + "\n"

    @classmethod
    def read(cls, data: bytes, name: str) -> RunRecord:
        """From JSON. Raises StoreError that names the file."""
        try:
            found = json.loads(data)
            if found["format"] != FORMAT:
                raise StoreError(f"{name}: has format {found['format']!r}, not {FORMAT}")
            known = {field.name: found[field.name] for field in dataclasses.fields(cls) if field.name in found}
            return cls(**{**known, "sources": tuple(known["sources"]), "options": tuple(known["options"])})
        except (ValueError, TypeError, KeyError) as error:
            raise StoreError(f"{name}: is no record of a run") from error
