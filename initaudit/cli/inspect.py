"""`initaudit inspect`: the layers of a model, without reading a weight."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import click

FILE_WIDTH = 160
"""Columns of a table in a file. A judgement: names are seldom cut, and an editor's window shows it."""


@click.command("inspect")
@click.argument("model", type=click.Path())
@click.option(
    "--output-format",
    type=click.Choice(["text", "json"]),
    help="text (default) or json (also where FILE ends in .json).",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write to a file instead of stdout (-).",
)
@click.option("-q", "--quiet", is_flag=True, help="Only errors on stderr.")
def command(model: str, output_format: str | None, output: Path | None, *, quiet: bool) -> int:
    """Show what the layers of MODEL (a file, or - for stdin) are: kind, shape, fans, activation, what they feed, parameters, dtype, and which of them share a weight.

    No weight is read; there is no verdict.
    """
    from initaudit.cli.layer_list import inspection
    from initaudit.cli.models import STDIN, label
    from initaudit.cli.output import check_writable, keep_apart
    from initaudit.cli.stdin import read_stdin
    from initaudit.config import Config
    from initaudit.engines.auditing import Subject, in_worker
    from initaudit.files import write_atomically

    file = None if output is None or str(output) == "-" else output
    if file is not None:
        check_writable(file)
        keep_apart([model], [file])
    width = shutil.get_terminal_size().columns if file is None else FILE_WIDTH
    shown = output_format or ("json" if file is not None and file.suffix.lower() == ".json" else "text")
    content = read_stdin(Config()) if model == STDIN else None
    text = in_worker(Subject(name=label(model), config=Config(), content=content), inspection, shown, width)
    if file is not None:
        write_atomically(file, text.encode())
        if not quiet:
            click.echo(f"wrote {file}", err=True)
    else:
        sys.stdout.buffer.write(text.encode())
    return 0
