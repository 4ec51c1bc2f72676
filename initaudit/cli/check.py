"""`initaudit check`: audit models and write reports; the exit code is the gate."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import click

from initaudit.cli.auditing import audit_all, inputs_with_shapes, tell_unused
from initaudit.cli.models import expand, left_out
from initaudit.cli.options import audit_options, gate_options, run_options, take_settings
from initaudit.formats.printing import visible
from initaudit.formats.telling import interrupted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from initaudit.report.outcome import Outcome


@click.command("check")
@click.argument("models", nargs=-1, required=True)
@run_options
@gate_options
@audit_options
def command(models: tuple[str, ...], **options: Any) -> int:
    """Audit MODELS: files, directories, globs, or - for stdin.

    Reports go to the files given with -o, or to stdout where none is given, each as soon as it is finished; progress and the
    summary go to stderr. Interrupted, it writes what is finished and exits with 130.

    Every option may stand in a configuration file or an environment variable as well; `initaudit config` shows what is in force.
    """
    from initaudit.cli.gate import exit_code
    from initaudit.cli.interruption import interruptible
    from initaudit.cli.output import Writer, keep_apart, pair_outputs, summary
    from initaudit.format import FormatOptions
    from initaudit.judgement.baseline import load_baseline
    from initaudit.judgement.filtering import notes
    from initaudit.settings.unmatched import unmatched

    settings = take_settings(options)
    run, config = settings.run, settings.config()
    pairs = pair_outputs(run.output_format, run.output)
    paths = expand(models, run.exclude)
    keep_apart(paths, (path for _, path in pairs))
    load_baseline(config.baseline)  # what is wrong with it is told before the work
    looks = FormatOptions(verbose=run.verbose, statistics=run.statistics)
    writer = Writer(pairs, looks, color=run.color, quiet=run.quiet)
    with interruptible() as interruption:
        audits = audit_all(paths, settings, jobs=run.jobs, quiet=run.quiet)
        reports = writer.write(interruption.until(audits), lambda audited: interruption.told(audited, of=len(paths)))
    _tell_errors(reports)
    ended = interruption.told(len(reports), of=len(paths))
    if ended is not None:
        click.echo(interrupted({"run": {"interrupted": ended}}), err=True)
        return ended["exit_code"]
    fitted = {name for report in reports for name in report.shapes.used}
    unused = inputs_with_shapes(settings) - fitted if len(paths) > 1 else frozenset()
    tell_unused(unused)
    if not run.quiet:
        click.echo(summary(reports), err=True)
        accepted = cache(load_baseline)
        judged = [
            (r.path, r.findings, r.config, accepted(r.config.baseline)) for r in reports if r.config and not r.error
        ]
        tables = unmatched(settings, {report.path: report.names for report in reports})
        misfits = [misfit for report in reports for misfit in report.shapes.misfits] if len(paths) > 1 else []
        for note in (*left_out(models, run.exclude), *misfits, *tables, *notes(judged)):
            click.echo(f"initaudit: note: {visible(note)}", err=True)
    for report in reports:
        for missed in report.missed:
            click.echo(f"initaudit: {visible(report.path)}: {missed}", err=True)
    return exit_code(reports, failed=bool(unused))


def _tell_errors(reports: Sequence[Outcome]) -> None:
    """Models that could not be audited, and rules and parts of other packages that failed, a line each on stderr."""
    from initaudit.registry import faults

    lines = dict.fromkeys((*faults(), *(line for report in reports for line in report.faults)))
    for report in reports:
        lines |= {report.error: None} if report.error is not None else {}
        lines |= {f"{report.path}: {line}": None for line in report.failed_rules if line not in report.faults}
    for line in lines:
        click.echo(f"initaudit: error: {visible(line)}", err=True)
