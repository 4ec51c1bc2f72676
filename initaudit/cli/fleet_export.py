"""`initaudit fleet export`: a run as Parquet tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from initaudit.cli.fleet_reading import run_option, take_reading
from initaudit.cli.options import filter_options


@click.command("export")
@click.argument("store")
@run_option
@click.option(
    "-o",
    "--output",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("initaudit-export"),
    show_default=True,
    metavar="FOLDER",
    help="Folder for models.parquet, layers.parquet and findings.parquet.",
)
@filter_options
@click.option("-q", "--quiet", is_flag=True, help="No summary on stderr.")
def command(store: str, folder: Path, **options: Any) -> int:
    """Write a run in STORE as three Parquet files, which DuckDB, pandas, Polars and Spark read.

    Filters given here count beside those of the run: suppressed findings are in the table with their reason. Exit codes: 0; 2 a result is gone,
    or a file cannot be written.
    """
    from initaudit.fleet.export import export
    from initaudit.fleet.store import Store
    from initaudit.formats.printing import visible

    quiet = options.pop("quiet")
    kept = Store(store)
    run = kept.run(options.pop("name"))
    counts = export(take_reading(kept, run, options), folder)
    if not quiet:
        told = ", ".join(f"{count:,} {name}" for name, count in counts.items())
        click.echo(visible(f"wrote {folder}: {told} of run {run.id}"), err=True)
    return 0
