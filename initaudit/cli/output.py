"""Where reports go: formats to files and stdout, one summary line to stderr."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from initaudit.errors import UsageError
from initaudit.files import write_atomically
from initaudit.findings import Severity
from initaudit.format import FormatOptions, find_format, format_of
from initaudit.report.document import head

if TYPE_CHECKING:
    from initaudit.report.report import Report

MAX_WIDTH = 120
"""Columns used at most: longer lines are hard to read."""


def pair_outputs(
    formats: Sequence[str], outputs: Sequence[Path], *, comparing: bool = False
) -> list[tuple[str, Path | None]]:
    """(format, file or None for stdout).

    Raises UsageError where two would share stdout, a file has no format, there is no such format, it cannot show a comparison though it is
    asked to (`comparing`), or a file cannot appear there.
    """
    if not formats and outputs:
        formats = [format_of(path) or "" for path in outputs]
        for path, name in zip(outputs, formats, strict=True):
            if not name:
                raise UsageError(f"{path}: no format has the suffix {path.suffix!r}; give --output-format")
    if len(outputs) > len(formats):
        raise UsageError("more -o than --output-format")
    pairs: list[tuple[str, Path | None]] = [
        (name, outputs[i] if i < len(outputs) else None) for i, name in enumerate(formats)
    ]
    for name in formats:
        if not find_format(name).can_compare() and comparing:
            raise UsageError(f"output format {name!r} cannot show a comparison")
    for path in outputs:
        if str(path) != "-":
            check_writable(path)
    if sum(path is None or str(path) == "-" for _, path in pairs) > 1:
        raise UsageError("only one format can go to stdout; give each of the others its own -o FILE")
    return pairs


def check_writable(path: Path) -> None:
    """Raises UsageError where no file can appear at `path`: before the work, not after it."""
    folder = path.parent
    if path.is_dir():
        raise UsageError(f"{path}: is a directory")
    if not folder.is_dir():
        raise UsageError(f"{path}: there is no directory {folder}")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UsageError(f"{path}: cannot be written: Permission denied")


class Writer:
    """Takes reports as they are finished: to stdout at once, to files at the end."""

    def __init__(
        self,
        pairs: Sequence[tuple[str, Path | None]],
        options: FormatOptions,
        *,
        color: bool | None,
        quiet: bool,
        gate: Callable[[Report], dict[str, Any]] | None = None,
    ) -> None:
        """Text goes to stdout where nothing else was asked for; `gate` gives what the document says of a report beyond its audit."""
        self._files = [(name, path) for name, path in pairs if path is not None and str(path) != "-"]
        self._stdout = next((name for name, path in pairs if path is None or str(path) == "-"), None)
        if not pairs:
            self._stdout = "text"
        self._options, self._color, self._quiet, self._gate = options, color, quiet, gate

    def write(self, reports: Iterable[Report]) -> list[Report]:
        """All of them, written. Raises UsageError naming the format or the file that failed."""
        finished: list[Report] = []
        entries: list[dict[str, Any]] = []

        def taken() -> Iterator[dict[str, Any]]:
            for report in reports:
                finished.append(report)
                entries.append(report.entry() | ({"gate": self._gate(report)} if self._gate else {}))
                yield entries[-1]

        if self._stdout is None:
            for _ in taken():
                pass
        else:
            shown = for_terminal(self._options, self._color) if self._stdout == "text" else self._options
            for piece in _pieces(self._stdout, taken(), shown):
                sys.stdout.buffer.write(piece)
                sys.stdout.flush()
        for name, path in self._files:
            write_atomically(path, b"".join(_pieces(name, entries, self._options)))
            if not self._quiet:
                click.echo(f"wrote {path}", err=True)
        return finished


def _pieces(name: str, entries: Iterable[Mapping[str, Any]], options: FormatOptions) -> Iterator[bytes]:
    return _encoded(name, find_format(name).pieces(head(), entries, options))


def write_comparison(
    document: Mapping[str, Any],
    pairs: Sequence[tuple[str, Path | None]],
    options: FormatOptions,
    *,
    color: bool | None,
    quiet: bool,
) -> None:
    """A comparison in each of the formats, as text on stdout where none was asked for. Raises UsageError naming the format or the file that failed."""
    for name, path in pairs or [("text", None)]:
        to_stdout = path is None or str(path) == "-"
        shown = for_terminal(options, color) if to_stdout and name == "text" else options
        data = b"".join(_encoded(name, (find_format(name).compare(d, shown) for d in [document])))
        if path is None or to_stdout:
            sys.stdout.buffer.write(data)
            sys.stdout.flush()
            continue
        write_atomically(path, data)
        if not quiet:
            click.echo(f"wrote {path}", err=True)


def for_terminal(options: FormatOptions, color: bool | None) -> FormatOptions:
    """The options with the width and the colour of the terminal."""
    columns = min(shutil.get_terminal_size().columns, MAX_WIDTH)
    return replace(options, width=columns, color=_wants_color(color))


def _encoded(name: str, pieces: Iterator[str]) -> Iterator[bytes]:
    """What a format makes. Raises UsageError naming the format where it fails."""
    while True:
        try:
            piece = next(pieces).encode()
        except StopIteration:
            return
        except Exception as error:
            output_format = find_format(name)
            home = f"{type(output_format).__module__}.{type(output_format).__name__}"
            raise UsageError(f"output format {name!r} ({home}) failed: {type(error).__name__}: {error}") from error
        yield piece


def summary(reports: Sequence[Report]) -> str:
    """`3 models: 2 errors, 1 warning, 5 notes (1 suppressed), 1 unreadable`."""
    count = {s: sum(r.count(s) for r in reports) for s in Severity}
    suppressed = sum(len(r.findings) - len(r.active) for r in reports)
    unreadable = sum(r.error is not None for r in reports)
    text = f"{_plural(len(reports), 'model')}: {_plural(count[Severity.ERROR], 'error')}, "
    text += f"{_plural(count[Severity.WARNING], 'warning')}, {_plural(count[Severity.INFO], 'note')}"
    if suppressed:
        text += f" ({suppressed} suppressed)"
    return text + (f", {unreadable} unreadable" if unreadable else "")


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _wants_color(color: bool | None) -> bool:
    """The option, then NO_COLOR and FORCE_COLOR (no-color.org, force-color.org), then whether a person reads it."""
    if color is not None:
        return color
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or sys.stdout.isatty()
