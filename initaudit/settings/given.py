"""Given: one option as one source gives it, read."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from initaudit.config import READERS, Config
from initaudit.errors import UsageError, similar
from initaudit.per_rule import read_layers
from initaudit.settings.run import RUN_READERS, RunOptions

ADDING = ("ignore", "severity", "threshold", "input_shapes", "exclude", "scheme", "fix_exclude")
"""Options that add up over the sources; of the others, the last source wins."""

AUDIT_OPTIONS = tuple(field.name for field in dataclasses.fields(Config))
RUN_OPTIONS = tuple(field.name for field in dataclasses.fields(RunOptions))

FILE, ENVIRONMENT, COMMAND_LINE = "file", "environment", "command line"
"""Kinds of sources."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where an option comes from."""

    kind: str
    """default, file, environment or command line."""
    place: str
    """`initaudit.toml:3`, `INITAUDIT_SEED` or `--seed`."""

    def __str__(self) -> str:
        return self.place


DEFAULT = Source("default", "default")
"""Of what no source gives."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """One option as one source gives it."""

    name: str
    """Field of Config or RunOptions."""
    value: Any
    """As the reader of the option makes it."""
    source: Source
    files: str | None = None
    """Glob over the models that it is for; None for all."""
    layers: str | None = None
    """Glob of the table of layers that it stands in; None where it stands in none."""


def read_given(
    raw: str, value: Any, source: Source, *, files: str | None = None, layers: str | None = None
) -> tuple[Given, ...]:
    """What an entry of a source means: one option, or several where it is a table of layers.

    Raises UsageError that begins with the source; with the nearest option where there is none of this name.
    """
    try:
        read = _read(raw, value, single=files is not None)
    except UsageError as error:
        is_named = source.kind == FILE and raw.replace("-", "_") in (*AUDIT_OPTIONS, *RUN_OPTIONS)
        raise UsageError(f"{source}: {f'option {raw!r}: ' if is_named else ''}{error}") from error
    return tuple(Given(name=name, value=item, source=source, files=files, layers=layers) for name, item in read.items())


def _read(raw: str, value: Any, *, single: bool) -> dict[str, Any]:
    """Values by option; `single` where it is one of single models."""
    name = raw.replace("-", "_")
    if name == "layers":
        pieces = zip(("ignore", "severity", "threshold"), read_layers(value), strict=True)
        return {option: entries for option, entries in pieces if entries}
    if name in AUDIT_OPTIONS:
        return {name: READERS[name](value)}
    if name not in RUN_OPTIONS:
        known = [option.replace("_", "-") for option in (*AUDIT_OPTIONS, *RUN_OPTIONS, "layers", "files")]
        raise UsageError(f"unknown option {raw!r}{similar(raw.replace('_', '-'), known)}")
    if single:
        raise UsageError("holds for the whole run, not for single files")
    return {name: RUN_READERS[name](value)}
