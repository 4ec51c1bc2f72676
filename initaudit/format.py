"""Format: the interface of every output format. One format is one small file in `formats/`, a pure function from the JSON document to str."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

from initaudit.errors import UsageError
from initaudit.registry import discover


@dataclass(frozen=True, slots=True, kw_only=True)
class FormatOptions:
    """What a renderer may be asked for."""

    width: int = 80
    """Columns of the terminal."""
    color: bool = False
    verbose: bool = False
    """Show information-level findings and every layer."""
    statistics: bool = False
    """Append counts per rule, and chi of each layer."""


class Format(abc.ABC):
    """Turns the document into text; opening files is the caller's business."""

    name: ClassVar[str]
    """As given to `--output-format`."""
    suffix: ClassVar[str]
    """Usual file suffix, e.g. `.html`."""

    @abc.abstractmethod
    def render(self, document: Mapping[str, Any], options: FormatOptions) -> str:
        """What is to be read, ending in a newline, of a document as `initaudit/schema.json` describes it."""


@cache
def all_formats() -> dict[str, Format]:
    """Every format by name. Raises UsageError where two share a name or a suffix."""
    formats: dict[str, Format] = {}
    for cls in discover("initaudit.formats", Format):
        for known in formats.values():
            if cls.name == known.name or cls.suffix == known.suffix:
                raise UsageError(
                    f"two output formats are called {cls.name!r} or write {cls.suffix!r}: {type(known).__name__}, {cls.__name__}"
                )
        formats[cls.name] = cls()
    return formats


def find_format(name: str) -> Format:
    """The format called `name`. Raises UsageError."""
    formats = all_formats()
    if name not in formats:
        raise UsageError(f"unknown output format {name!r}; there are {', '.join(sorted(formats))}")
    return formats[name]
