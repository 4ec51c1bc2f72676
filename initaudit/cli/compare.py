"""`initaudit compare`: what each initialisation does to a network."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from initaudit.cli.completion import complete_schemes
from initaudit.cli.models import label
from initaudit.cli.options import audit_options, run_options_of, take_settings
from initaudit.redrawing.choice import BIASES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

FORMATS = ("text", "json", "csv", "html")


@click.command("compare")
@click.argument("model", type=click.Path())
@click.option(
    "--schemes",
    multiple=True,
    metavar="SCHEME[,SCHEME]",
    shell_complete=complete_schemes,
    help="What is compared: as-is, auto (what `fix` would write), or whatever `fix --scheme` takes, also several for parts of the network "
    "in quotes: 'he_normal head=zeros'. Default: as-is, auto, the recommended schemes and the naive ones of the textbooks. Repeatable.",
)
@click.option("--gain", type=float, metavar="X", help="Factor on the weights that are drawn (default 1).")
@click.option(
    "--bias",
    type=click.Choice(BIASES),
    help="Of layers that are drawn: zero, or 1 in a forget gate (auto, default); zero; or as they are (keep).",
)
@click.option(
    "--exclude",
    "fix_exclude",
    multiple=True,
    metavar="GLOB",
    help="Leave layers with this name (or glob) as they are. Repeatable.",
)
@click.option("--output-format", "formats", multiple=True, type=click.Choice(FORMATS), help="text (default), json, csv or html. Repeatable, each with its own -o.")  # fmt: skip
@click.option(
    "-o",
    "--output",
    "files",
    multiple=True,
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help="File for the comparison; the n-th -o belongs to the n-th format, which follows from the suffix where none is given. - is stdout.",
)
@run_options_of("quiet", "color")
@audit_options
def command(model: str, **options: Any) -> int:
    """Measure MODEL (a file, or - for stdin) as it is and under other initialisations, signal and gradient through depth, best first.

    Nothing is trained and no model is written. Exit code 0 where at least one start can be expected to learn, 1 where none can, 2 where the model cannot be measured.
    """
    from initaudit.cli.auditing import subject_of
    from initaudit.cli.gate import EXIT_FINDINGS
    from initaudit.cli.output import command_line, keep_apart
    from initaudit.cli.progress import progress
    from initaudit.engines.starting import starts_in_worker
    from initaudit.starts.measure import DrawOptions
    from initaudit.starts.schemes import DEFAULT, read_starts

    pairs = _pairs(options.pop("formats"), options.pop("files"))
    keep_apart([model], (path for _, path in pairs))
    schemes = read_starts(options.pop("schemes") or DEFAULT)
    settings = take_settings(options)
    run = settings.run
    drawn = DrawOptions(gain=run.gain, bias=run.bias, exclude=run.fix_exclude)
    subject = subject_of(model, settings)
    with progress(1, quiet=run.quiet) as line:
        show = line.of(1, label(model)) if line is not None else None
        document = starts_in_worker(subject, schemes, drawn, command_line(), show)
    _write(document, pairs, color=run.color, quiet=run.quiet)
    return 0 if document["winner"] is not None else EXIT_FINDINGS


def _pairs(formats: Sequence[str], files: Sequence[str]) -> list[tuple[str, Path | None]]:
    """(format, file or None for stdout). Raises UsageError where they do not go together."""
    from initaudit.cli.output import check_writable
    from initaudit.errors import UsageError

    if not formats:
        formats = [Path(file).suffix.removeprefix(".").lower() if file != "-" else "text" for file in files] or ["text"]
        formats = ["text" if name == "txt" else name for name in formats]
        if unknown := next((f for f, name in zip(files, formats, strict=False) if name not in FORMATS), None):
            raise UsageError(f"{unknown}: no format has this suffix; give --output-format")
    if len(files) > len(formats):
        raise UsageError("more files (-o) than formats (--output-format)")
    paths = [None if file == "-" else Path(file) for file in files] + [None] * (len(formats) - len(files))
    for path in paths:
        if path is not None:
            check_writable(path)
    if paths.count(None) > 1:
        raise UsageError("only one format can go to stdout; give each of the others its own -o FILE")
    return list(zip(formats, paths, strict=True))


def _write(
    document: Mapping[str, Any], pairs: Sequence[tuple[str, Path | None]], *, color: bool | None, quiet: bool
) -> None:
    from initaudit.cli.output import for_terminal
    from initaudit.files import write_atomically
    from initaudit.format import FormatOptions
    from initaudit.formats.printing import json_text
    from initaudit.starts.csv import starts_csv
    from initaudit.starts.page import starts_page
    from initaudit.starts.text import WIDTH, starts_text

    looks = for_terminal(FormatOptions(), color)
    made: dict[str, Callable[[], str]] = {
        "json": lambda: json_text(document) + "\n",
        "csv": lambda: starts_csv(document),
        "html": lambda: starts_page(document),
    }
    for name, path in pairs:
        if path is None:
            text = made[name]() if name in made else starts_text(document, width=looks.width, color=looks.color)
            sys.stdout.buffer.write(text.encode())
            continue
        text = made[name]() if name in made else starts_text(document, width=WIDTH)
        write_atomically(path, text.encode())
        if not quiet:
            click.echo(f"wrote {path}", err=True)
