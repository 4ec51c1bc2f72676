"""`initaudit diff`: what became better and what worse between two models, or two reports, or one of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from initaudit.cli.models import STDIN, label
from initaudit.cli.options import (
    FORMATS,
    audit_options,
    comparison_files,
    formats_option,
    run_options_of,
    take_settings,
)
from initaudit.config import FAIL_ON

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from initaudit.engines.auditing import Subject
    from initaudit.settings.settings import Settings


@click.command("diff")
@click.argument("before", type=click.Path())
@click.argument("after", type=click.Path())
@formats_option("formats", FORMATS)
@comparison_files
@click.option(
    "--fail-on", type=click.Choice(FAIL_ON), help="Lowest severity of a new finding for exit code 1 (default error)."
)
@click.option("--fail-on-unchanged", is_flag=True, help="Exit 1 also if a layer did not change; needs two models.")
@run_options_of("quiet", "verbose", "color")
@audit_options
def command(before: str, after: str, **options: Any) -> int:
    """Show what became better or worse from BEFORE to AFTER: findings that are new or gone, trainability, and how much each layer changed.

    Each of them is a model or a folder of models, which are audited, or a JSON report of `check`; one may be - for stdin. Exit 1 where AFTER has a new finding at
    or above --fail-on, or one that was below it before.
    """
    from initaudit.cli.gate import EXIT_ERROR, EXIT_FINDINGS
    from initaudit.cli.output import command_line, keep_apart, pair_outputs, write_comparison
    from initaudit.engines.comparing import weight_changes
    from initaudit.errors import UsageError
    from initaudit.format import Format, FormatOptions
    from initaudit.formats.printing import visible
    from initaudit.formats.telling import failures
    from initaudit.registry import faults
    from initaudit.report.comparison import appeared, compared, comparison, pair_reports
    from initaudit.settings.run import Output

    unchanged_fails = options.pop("fail_on_unchanged")
    outputs = [Output(file=file) for file in options.pop("files")]
    pairs = pair_outputs(options.pop("formats"), outputs, able=Format.can_compare)
    keep_apart((before, after), (path for _, path in pairs))
    settings = take_settings(options)
    run, fail_on = settings.run, settings.config().fail_on
    if before == after == STDIN:
        raise UsageError("only one of BEFORE and AFTER can be stdin")
    first, second = (_side(path, settings) for path in (before, after))
    if unchanged_fails and not (first.subjects and second.subjects):
        raise UsageError("--fail-on-unchanged needs two models: reports do not hold the weights")
    # What a report says was broken before is no failure of today's; a model that is audited today is.
    broken = [*(first.entries if first.subjects else ()), *second.entries]
    failed = dict.fromkeys([*faults(), *(line for entry in broken for line in failures(entry))])
    for line in failed:
        click.echo(f"initaudit: error: {visible(line)}", err=True)
    models = [
        compared(b, a, weight_changes(first.subject_of(b), second.subject_of(a)))
        for b, a in pair_reports(first.entries, second.entries)
    ]
    unchanged = [layer["after"] for m in models for layer in m["layers"] if layer["state"] == "unchanged"]
    missed = [f"{name} did not change (--fail-on-unchanged)" for name in unchanged if unchanged_fails]
    new = [finding for model in models for finding in appeared(model, fail_on)]
    code = EXIT_ERROR if failed else EXIT_FINDINGS if new or missed else 0
    gate = {"fail_on": fail_on, "missed": missed, "exit_code": code}
    document = comparison(models, gate, versions=(first.version, second.version), command=command_line())
    write_comparison(document, pairs, FormatOptions(verbose=run.verbose), color=run.color, quiet=run.quiet)
    if not run.quiet:
        found = [finding["state"] for model in models for finding in model["findings"]]
        counts = ", ".join(f"{found.count(state)} {state}" for state in ("new", "worse", "better", "gone", "unchanged"))
        click.echo(f"findings: {counts}", err=True)
    return code


@dataclass(frozen=True, slots=True, kw_only=True)
class _Side:
    """One of the two: the entries of a report, read or made."""

    entries: Sequence[Mapping[str, Any]]
    version: str
    """Of initaudit that made them."""
    subjects: Sequence[Subject | None] = ()
    """The models that the entries are of, where they were made here; None of one that could not be audited."""

    def subject_of(self, entry: Mapping[str, Any] | None) -> Subject | None:
        """The model that this entry is of, where it is at hand."""
        return next((model for made, model in zip(self.entries, self.subjects, strict=False) if made is entry), None)


def _side(path: str, settings: Settings) -> _Side:
    """Reads what is a report, and audits what is none. Raises UsageError where it is a report that cannot be followed."""
    from initaudit.cli.auditing import audit_all, subject_of
    from initaudit.cli.models import expand
    from initaudit.cli.stdin import read_stdin
    from initaudit.report.reading import read_report
    from initaudit.version import __version__

    content = read_stdin(settings.config()) if path == STDIN else None
    document = read_report(label(path), content)
    if document is not None:
        return _Side(entries=document["reports"], version=document["tool"]["version"])
    paths = expand([path])
    reports = list(audit_all(paths, settings, jobs=1, quiet=settings.run.quiet, content=content))
    return _Side(
        entries=[report.entry for report in reports],
        version=__version__,
        subjects=[
            subject_of(path, settings, content=content) if report.error is None else None
            for path, report in zip(paths, reports, strict=True)
        ],
    )
