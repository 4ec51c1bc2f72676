"""`initaudit baseline`: accept the findings of today, so that `check` fails only on new ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from initaudit.cli.options import audit_options, run_options_of, take_settings


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
@click.option(
    "--update", is_flag=True, help="Keep what FILE accepts of other models, and accept what these have today."
)
@click.option("--prune", is_flag=True, help="Only take out of FILE what these models do not have any more.")
@run_options_of("exclude", "jobs", "quiet")
@audit_options
def command(models: tuple[str, ...], output: Path, *, update: bool, prune: bool, **options: Any) -> int:
    """Write today's findings on MODELS to a file; `initaudit check --baseline FILE` then fails only on new ones.

    Models are known by their path as seen from the folder of FILE. A baseline that is configured is not applied while one is written.
    --update and --prune take out what is not found any more, so every rule has to look for it: with the whole probe and without --select.
    """
    from initaudit.cli.auditing import audit_all
    from initaudit.cli.gate import EXIT_ERROR
    from initaudit.cli.models import expand, label, left_out
    from initaudit.cli.output import keep_apart
    from initaudit.errors import UsageError
    from initaudit.files import write_atomically
    from initaudit.formats.printing import visible
    from initaudit.judgement.baseline import Baseline, load_baseline

    if update and prune:
        raise UsageError("give either --update or --prune")
    settings = take_settings(options).without("baseline")
    run = settings.run
    before = load_baseline(output) if update or prune else Baseline(output, {})
    assert before is not None
    paths = expand(models, run.exclude)
    keep_apart(paths, [output])
    if (update or prune) and not all(settings.config(label(path)).is_whole for path in paths):
        raise UsageError(
            f"{'--update' if update else '--prune'} takes out what is not found any more, so everything must be looked for: "
            "give --probe full --select ALL"
        )
    reports = list(audit_all(paths, settings, jobs=run.jobs, quiet=run.quiet))
    unreadable = [report for report in reports if report.error is not None]
    for report in unreadable:
        click.echo(f"initaudit: error: {visible(str(report.error))}", err=True)
    failed = [(report.path, line) for report in reports for line in report.failed_rules]
    for path, line in failed:
        click.echo(f"initaudit: error: {visible(path)}: {visible(line)}", err=True)
    if unreadable or failed:  # what was not judged cannot be accepted
        return EXIT_ERROR
    if prune:
        after = before.pruned({report.path: report.findings for report in reports})
    else:
        after = before.replaced({report.path: report.active for report in reports})
    write_atomically(output, after.render().encode())
    if not run.quiet:
        click.echo(f"wrote {output}: {after.size} accepted findings", err=True)
        for note in left_out(models, run.exclude):
            click.echo(f"initaudit: note: {visible(note)}", err=True)
    return 0
