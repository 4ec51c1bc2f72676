"""Where reports go: formats to files and stdout, one summary line to stderr."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from initaudit.errors import UsageError
from initaudit.files import write_atomically
from initaudit.findings import Severity
from initaudit.format import FormatOptions, all_formats, find_format
from initaudit.report.document import document

if TYPE_CHECKING:
    from initaudit.report.report import Report

MAX_WIDTH = 120
"""Columns used at most: longer lines are hard to read."""


def pair_outputs(formats: Sequence[str], outputs: Sequence[Path]) -> list[tuple[str, Path | None]]:
    """(format, file or None for stdout). Raises UsageError where two would share stdout, a file has no format, or there is no such format."""
    if not formats and outputs:
        by_suffix = {f.suffix: f.name for f in all_formats().values()}
        formats = [by_suffix.get(path.suffix.lower(), "") for path in outputs]
        for path, name in zip(outputs, formats, strict=True):
            if not name:
                raise UsageError(f"{path}: no format has the suffix {path.suffix!r}; give --output-format")
    if len(outputs) > len(formats):
        raise UsageError("more -o than --output-format")
    pairs: list[tuple[str, Path | None]] = [
        (name, outputs[i] if i < len(outputs) else None) for i, name in enumerate(formats)
    ]
    for name in formats:
        find_format(name)
    if sum(path is None or str(path) == "-" for _, path in pairs) > 1:
        raise UsageError("only one format can go to stdout; give each of the others its own -o FILE")
    return pairs


def rendered(name: str, whole: Mapping[str, Any], options: FormatOptions) -> bytes:
    """What a format makes of the document. Raises UsageError naming the format where it fails."""
    output_format = find_format(name)
    try:
        return output_format.render(whole, options).encode()
    except Exception as error:
        home = f"{type(output_format).__module__}.{type(output_format).__name__}"
        raise UsageError(f"output format {name!r} ({home}) failed: {type(error).__name__}: {error}") from error


def write_reports(
    reports: Sequence[Report],
    pairs: Sequence[tuple[str, Path | None]],
    *,
    quiet: bool,
    verbose: bool,
    statistics: bool,
    color: bool | None,
) -> None:
    """Files first; then the report for stdout, text where no other format asked for it. Raises UsageError."""
    plain = FormatOptions(verbose=verbose, statistics=statistics)
    whole = document([report.entry() for report in reports])
    on_stdout = [name for name, path in pairs if path is None or str(path) == "-"]
    for name, path in pairs:
        if path is not None and str(path) != "-":
            write_atomically(path, rendered(name, whole, plain))
            if not quiet:
                click.echo(f"wrote {path}", err=True)
    if not on_stdout and not quiet:
        on_stdout = ["text"]
    for name in on_stdout:
        options = plain
        if name == "text":
            columns = min(shutil.get_terminal_size().columns, MAX_WIDTH)
            options = FormatOptions(width=columns, color=_wants_color(color), verbose=verbose, statistics=statistics)
        sys.stdout.buffer.write(rendered(name, whole, options))
        sys.stdout.flush()
    if not quiet:
        click.echo(summary(reports), err=True)


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
    import os

    if color is not None:
        return color
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")
