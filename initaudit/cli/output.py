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

from initaudit.errors import FixRefused, UsageError
from initaudit.files import write_atomically
from initaudit.findings import Severity
from initaudit.format import FormatOptions, find_format, format_of
from initaudit.report.document import head

if TYPE_CHECKING:
    from initaudit.format import Format
    from initaudit.report.outcome import Outcome
    from initaudit.settings.run import Output

MAX_WIDTH = 120
"""Columns used at most: longer lines are hard to read."""


def pair_outputs(
    formats: Sequence[str], outputs: Sequence[Output], *, able: Callable[[Format], bool] = lambda _: True
) -> list[tuple[str, Path | None]]:
    """(format, file or None for stdout).

    Raises UsageError where two would share stdout, a file has no format, there is no such format, it is not `able` to show the comparison that
    is asked for, or a file cannot appear there.
    """
    if not formats and outputs:
        formats = [output.format or _format_of(output.file or "") for output in outputs]
    if len(outputs) > len(formats):
        raise UsageError("more files (-o) than formats (--output-format)")
    files = [*(output.file for output in outputs), *[None] * (len(formats) - len(outputs))]
    pairs = [
        (name, None if file in (None, "-") else Path(file or "")) for name, file in zip(formats, files, strict=True)
    ]
    for name, path in pairs:
        if not able(find_format(name)):
            raise UsageError(f"output format {name!r} cannot show a comparison")
        if path is not None:
            check_writable(path)
    written = [os.path.realpath(path) for _, path in pairs if path is not None and not path.is_char_device()]
    twice = next((path for path in written if written.count(path) > 1), None)
    if twice is not None:
        raise UsageError(f"{twice}: two reports cannot be one file")
    if sum(path is None for _, path in pairs) > 1:
        raise UsageError("only one format can go to stdout; give each of the others its own -o FILE")
    return pairs


def keep_apart(models: Iterable[str | Path], outputs: Iterable[Path | None]) -> None:
    """Raises UsageError where a file that is read would be replaced by one that is written."""
    read = {os.path.realpath(model) for model in models}
    for path in outputs:
        if path is not None and os.path.realpath(path) in read and path.is_file():
            raise UsageError(f"{path}: is a model that is read; write to another file")


def _format_of(file: str) -> str:
    """The format that the end of a file's name means; text on stdout."""
    name = "text" if file == "-" else format_of(Path(file))
    if name is None:
        raise UsageError(f"{file}: no format has the suffix {Path(file).suffix!r}; give --output-format")
    return name


def refuse_existing(models: Iterable[Path | None], *, force: bool) -> None:
    """Raises FixRefused where a model would be overwritten."""
    for file in models:
        if file is not None and file.exists() and not force:
            raise FixRefused(f"{file}: exists already; --force overwrites it")


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
        more: Mapping[str, Any] | None = None,
    ) -> None:
        """Text goes to stdout where nothing else was asked for.

        `more` stands in the document beside the reports.
        """
        self._files = [(name, path) for name, path in pairs if path is not None]
        self._stdout = next((name for name, path in pairs if path is None), None)
        if not pairs:
            self._stdout = "text"
        self._options, self._color, self._quiet = options, color, quiet
        self._head = {**head(command=command_line()), **(more or {})}

    def write(
        self, reports: Iterable[Outcome], interrupted: Callable[[int], dict[str, int] | None] = lambda audited: None
    ) -> list[Outcome]:
        """All of them, written. Raises UsageError naming the format or the file that failed.

        Args:
            reports: may be made while they are read.
            interrupted: what the document says of an interruption, asked after the last report with their number.
        """
        finished: list[Outcome] = []

        def taken() -> Iterator[Mapping[str, Any]]:
            for report in reports:
                finished.append(report)
                yield report.entry
            self._head["run"]["interrupted"] = interrupted(len(finished))

        if self._stdout is None:
            for _ in taken():
                pass
        else:
            shown = for_terminal(self._options, self._color) if self._stdout == "text" else self._options
            for piece in _pieces(self._stdout, self._head, taken(), shown):
                sys.stdout.buffer.write(piece)
                sys.stdout.flush()
        for name, path in self._files:
            write_atomically(
                path, b"".join(_pieces(name, self._head, [report.entry for report in finished], self._options))
            )
            if not self._quiet:
                click.echo(f"wrote {path}", err=True)
        return finished


def write_comparison(
    document: Mapping[str, Any],
    pairs: Sequence[tuple[str, Path | None]],
    options: FormatOptions,
    *,
    color: bool | None,
    quiet: bool,
    shown: Callable[[Format], Callable[[Mapping[str, Any], FormatOptions], str]] = lambda form: form.compare,
) -> None:
    """A comparison in each of the formats, as text on stdout where none was asked for. Raises UsageError naming the format or the file that failed.

    `shown` gives the method of a format that shows it.
    """
    for name, path in pairs or [("text", None)]:
        looks = for_terminal(options, color) if path is None and name == "text" else options
        data = b"".join(_encoded(name, (shown(find_format(name))(d, looks) for d in [document])))
        if path is None:
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


def command_line() -> list[str] | None:
    """The words of the command that is run; None outside of one."""
    context = click.get_current_context(silent=True)
    return None if context is None or context.obj is None else ["initaudit", *context.obj]


def _pieces(
    name: str, head: Mapping[str, Any], entries: Iterable[Mapping[str, Any]], options: FormatOptions
) -> Iterator[bytes]:
    return _encoded(name, find_format(name).pieces(head, entries, options))


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


def summary(reports: Sequence[Outcome]) -> str:
    """`3 models: 2 errors, 1 warning, 5 notes (1 suppressed), 1 unreadable`."""
    count = {s: sum(r.entry["counts"][s.value] for r in reports) for s in Severity}
    suppressed = sum(len(r.findings) - len(r.active) for r in reports)
    unreadable = sum(r.error is not None for r in reports)
    text = f"{_plural(len(reports), 'model')}: {_plural(count[Severity.ERROR], 'error')}, "
    text += f"{_plural(count[Severity.WARNING], 'warning')}, {count[Severity.INFO]} info"
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
    return bool(os.environ.get("FORCE_COLOR")) or (sys.stdout.isatty() and os.environ.get("TERM") != "dumb")
