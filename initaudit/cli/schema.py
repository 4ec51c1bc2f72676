"""`initaudit schema`: the JSON Schema of the reports."""

from __future__ import annotations

import click


@click.command("schema")
def command() -> int:
    """Print the JSON Schema (draft 2020-12) that the documents of `check`, `fix`, `diff`, `compare` and `race` with `--output-format json` follow."""
    from importlib.resources import files

    click.echo(files("initaudit").joinpath("schema.json").read_text(encoding="utf-8"), nl=False)
    return 0
