"""What the commands that read a store share: which run, which filters, where reports go."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from initaudit.cli.options import filter_options, gate_options, take_settings
from initaudit.errors import UsageError

if TYPE_CHECKING:
    from initaudit.fleet.overview import Overview
    from initaudit.fleet.reading import Reading
    from initaudit.fleet.record import RunRecord
    from initaudit.fleet.store import Store

F = TypeVar("F", bound=Callable[..., Any])

FAIL_ON_NEW = click.Choice(("error", "warning", "info", "never"))


def run_option(function: F) -> F:
    """--run."""
    return click.option("--run", "name", metavar="NAME", help="The run to read (default: the latest).")(function)


def reading_options(function: F) -> F:
    """Filters and gates: they count beside those of the run, and cost no audit."""
    return filter_options(gate_options(function))


def output_option(function: F) -> F:
    """-o, repeatable."""
    option = click.option(
        "-o",
        "--output",
        "files",
        multiple=True,
        type=click.Path(dir_okay=False, path_type=Path),
        metavar="FILE",
        help="File to write, in the format of its suffix. Repeatable. Without one the report goes to stdout.",
    )
    return option(function)


def take_reading(store: Store, run: RunRecord, options: dict[str, Any]) -> Reading:
    """The run under its options and those given on the command line, which are removed. Raises UsageError."""
    from initaudit.fleet.reading import Reading

    options |= {"config_file": None, "isolated": True}  # what held for the run is in the store
    return Reading(store, run, take_settings(options).given)


def run_before(store: Store, run: RunRecord, since: str | None) -> RunRecord | None:
    """The run called `since`, or the one before `run`; None where there is none. Raises UsageError."""
    from initaudit.fleet.reading import runs_before

    earlier = runs_before(store, run)
    if since is None:
        return earlier[-1] if earlier else None
    named = store.run(since)
    if named.id not in [other.id for other in earlier]:
        raise UsageError(f"store {store.address}: run {since!r} is not earlier than {run.id!r}")
    return named


def paired(files: Iterable[Path], name: str | None, suffixes: Mapping[str, str]) -> list[tuple[str, Path | None]]:
    """(format, file or None for stdout). Raises UsageError where a suffix means no format, or a file cannot appear there.

    Args:
        files: to write.
        name: of the format on stdout; None where nothing is to go there beside files.
        suffixes: of files, and the formats that they mean.
    """
    from initaudit.cli.output import check_writable

    pairs: list[tuple[str, Path | None]] = []
    for file in files:
        if file.suffix not in suffixes:
            raise UsageError(f"{file}: no format has the suffix {file.suffix!r}; there are {', '.join(suffixes)}")
        check_writable(file)
        pairs.append((suffixes[file.suffix], file))
    return [*pairs, *([(name, None)] if name is not None else [])]


def write(text: str | Iterable[str], file: Path | None) -> None:
    """Write a report to a file, whole or not at all, or to stdout. Raises UsageError."""
    from initaudit.files import atomic_file

    pieces = [text] if isinstance(text, str) else text
    if file is None:
        for piece in pieces:
            click.echo(piece, nl=False)
        return
    with atomic_file(file) as stream:
        for piece in pieces:
            stream.write(piece.encode())


def tell(view: Overview, files: Sequence[Path]) -> None:
    """On stderr: what was written, and what makes the run hard to compare, or incomplete."""
    from initaudit.fleet.telling import headline
    from initaudit.formats.printing import visible

    if files:
        click.echo(visible(f"wrote {', '.join(map(str, files))}: {headline(view)}"), err=True)
    for note in view.notes:
        click.echo(visible(f"initaudit: note: {note}"), err=True)


def width() -> int:
    """Columns of the terminal, 80 where the report goes elsewhere."""
    from initaudit.cli.output import MAX_WIDTH

    with suppress(OSError, ValueError):
        return min(os.get_terminal_size(sys.stdout.fileno()).columns or 80, MAX_WIDTH)
    return 80
