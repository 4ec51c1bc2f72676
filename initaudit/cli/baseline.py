"""`initaudit baseline`: accept the findings of today, so that `check` fails only on new ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from initaudit.cli.options import audit_options, make_config


@click.command("baseline")
@click.argument("models", nargs=-1, required=True)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("initaudit-baseline.json"),
    show_default=True,
    metavar="FILE",
    help="File to write.",
)
@audit_options
def command(models: tuple[str, ...], output: Path, **options: Any) -> int:
    """Write today's findings on MODELS to a file; `initaudit check --baseline FILE` then fails only on new ones."""
    from initaudit.cli import EXIT_ERROR
    from initaudit.cli.check import audit_one, expand
    from initaudit.files import write_atomically
    from initaudit.formats.printing import visible
    from initaudit.judgement.baseline import render_baseline

    config = make_config(options)
    reports = [audit_one(path, config) for path in expand(models)]
    unreadable = [report for report in reports if report.error is not None]
    for report in unreadable:
        click.echo(f"initaudit: error: {visible(str(report.error))}", err=True)
    failed = [(report.path, line) for report in reports for line in report.failed_rules]
    for path, line in failed:
        click.echo(f"initaudit: error: {visible(path)}: {visible(line)}", err=True)
    if unreadable or failed:  # what was not judged cannot be accepted
        return EXIT_ERROR
    write_atomically(output, render_baseline((r.path, r.active) for r in reports).encode())
    accepted = sum(f.severity.rank > 0 for r in reports for f in r.active)
    click.echo(f"wrote {output}: {accepted} accepted findings", err=True)
    return 0
