"""`initaudit inspect`: the layers of a model, without reading a weight."""

from __future__ import annotations

import sys
from pathlib import Path

import click


@click.command("inspect")
@click.argument("model", type=click.Path())
@click.option("--output-format", type=click.Choice(["text", "json"]), default="text", help="text (default) or json.")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write to a file instead of stdout.",
)
def command(model: str, output_format: str, output: Path | None) -> int:
    """Show what the layers of MODEL are: kind, shape, fans, activation, what they feed, parameters, dtype, and which of them share a weight.

    No weight is read; there is no verdict.
    """
    from initaudit.cli.layer_list import as_json, as_text, inspect_model
    from initaudit.files import write_atomically

    found = inspect_model(sys.stdin.buffer.read() if model == "-" else model)
    if output_format == "json":
        text = as_json(found)
    else:
        import shutil

        text = as_text(found, shutil.get_terminal_size().columns if output is None else 160)
    if output is not None:
        write_atomically(output, text.encode())
    else:
        sys.stdout.buffer.write(text.encode())
    return 0
