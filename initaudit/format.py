"""Format: the interface of every output format. One format is one small file in `formats/`, a pure function from the JSON document to str."""

from __future__ import annotations

import abc
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import PurePath
from typing import Any, ClassVar

from initaudit.errors import UsageError, similar
from initaudit.registry import discover, tell


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
    """Usual end of a file's name, e.g. `.html`."""
    other_suffixes: ClassVar[tuple[str, ...]] = ()
    """Further ends by which `format_of` knows it."""

    @abc.abstractmethod
    def render(self, document: Mapping[str, Any], options: FormatOptions) -> str:
        """What is to be read, ending in a newline, of a document as `initaudit/schema.json` describes it."""

    def pieces(
        self, head: Mapping[str, Any], reports: Iterable[Mapping[str, Any]], options: FormatOptions
    ) -> Iterator[str]:
        """The same in pieces, each as soon as the report that it shows is there; in one where the format needs them all.

        Args:
            head: the document without its `reports`; whether the run was interrupted stands in it once they have all been read.
            reports: its `reports`, which may be made while they are read.
            options: as for `render`.
        """
        yield self.render({**head, "reports": list(reports)}, options)

    def compare(self, document: Mapping[str, Any], options: FormatOptions) -> str:
        """As `render`, of a comparison as `initaudit.report.comparison` makes it; override it in a format that can show one."""
        raise UsageError(f"output format {self.name!r} cannot show a comparison")

    def can_compare(self) -> bool:
        """Whether it shows comparisons."""
        return type(self).compare is not Format.compare

    def starts(self, document: Mapping[str, Any], options: FormatOptions) -> str:
        """As `render`, of one network under several initialisations as `initaudit.starts.document` makes it; override it likewise."""
        raise UsageError(f"output format {self.name!r} cannot show a comparison")

    def can_show_starts(self) -> bool:
        """Whether it shows those."""
        return type(self).starts is not Format.starts

    def race(self, document: Mapping[str, Any], options: FormatOptions) -> str:
        """As `render`, of a network trained from several starts as `initaudit.racing.document` makes it; override it likewise."""
        raise UsageError(f"output format {self.name!r} cannot show a race")

    def can_show_races(self) -> bool:
        """Whether it shows those."""
        return type(self).race is not Format.race


@cache
def all_formats() -> dict[str, Format]:
    """Every format by name; one that shares name or suffix with one before is left out and told by `registry.faults`."""
    formats: dict[str, Format] = {}
    for kind in discover("initaudit.formats", Format):
        twin = next((f for f in formats.values() if kind.name == f.name or kind.suffix == f.suffix), None)
        if twin is None:
            formats[kind.name] = kind()
        else:
            names = f"{type(twin).__name__}, {kind.__name__}"
            tell(f"two output formats are called {kind.name!r} or write {kind.suffix!r}: {names}")
    return formats


def format_of(path: PurePath) -> str | None:
    """The name of the format whose suffix is the longest that the file's name ends with, in whatever case; None where it ends with none."""
    suffixes = {s: f.name for f in all_formats().values() for s in (f.suffix, *f.other_suffixes)}
    fitting = [suffix for suffix in suffixes if path.name.lower().endswith(suffix)]
    return suffixes[max(fitting, key=len)] if fitting else None


def find_format(name: str) -> Format:
    """The format called `name`. Raises UsageError."""
    formats = all_formats()
    if name not in formats:
        raise UsageError(
            f"unknown output format {name!r}{similar(name, formats)}; there are {', '.join(sorted(formats))}"
        )
    return formats[name]
