"""`initaudit compare`: what each initialisation does to a network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from initaudit.cli.completion import complete_schemes
from initaudit.cli.drawing import draw_options
from initaudit.cli.models import label
from initaudit.cli.options import audit_options, comparison_files, formats_option, run_options_of, take_settings

if TYPE_CHECKING:
    from collections.abc import Mapping


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
@draw_options
@formats_option("formats", "text (default), json, csv or html. Repeatable, each with its own -o.")
@comparison_files
@run_options_of("quiet", "color")
@audit_options
def command(model: str, **options: Any) -> int:
    """Measure MODEL (a file, or - for stdin) as it is and under other initialisations, signal and gradient through depth, best first.

    Nothing is trained and no model is written. Exit code 0 where at least one start can be expected to learn, 1 where none can, 2 where the model cannot be measured;
    with --probe none or forward, which do not tell, 0.
    """
    from initaudit.cli.auditing import subject_of
    from initaudit.cli.output import command_line, keep_apart, pair_outputs, write_comparison
    from initaudit.cli.progress import progress
    from initaudit.engines.starting import starts_in_worker
    from initaudit.fixing.options import FixOptions
    from initaudit.format import Format, FormatOptions
    from initaudit.settings.run import Output
    from initaudit.starts.ranking import WIDTH
    from initaudit.starts.schemes import DEFAULT, read_starts

    outputs = [Output(file=file) for file in options.pop("files")]
    pairs = pair_outputs(options.pop("formats"), outputs, able=Format.can_show_starts)
    keep_apart([model], (path for _, path in pairs))
    schemes = read_starts(options.pop("schemes") or DEFAULT)
    settings = take_settings(options)
    run = settings.run
    drawn = FixOptions(gain=run.gain, bias=run.bias, exclude=run.fix_exclude)
    subject = subject_of(model, settings)
    with progress(1, quiet=run.quiet) as line:
        show = line.of(1, label(model)) if line is not None else None
        document = starts_in_worker(subject, schemes, drawn, command_line(), show)
    looks = FormatOptions(width=WIDTH)
    write_comparison(document, pairs, looks, color=run.color, quiet=run.quiet, shown=lambda form: form.starts)
    return exit_code_of(document)


def exit_code_of(document: Mapping[str, Any]) -> int:
    """0 where a start can be expected to learn, or nobody asked; 1 where none can; 2 where that could not be measured."""
    from initaudit.cli.gate import EXIT_ERROR, EXIT_FINDINGS

    if document["winner"] is not None:
        return 0
    verdicts = [start["verdict"] for start in document["starts"] if start["verdict"] is not None]
    if any(verdict["trainability"] is not None for verdict in verdicts):
        return EXIT_FINDINGS
    return 0 if verdicts and document["options"]["probe"] != "full" else EXIT_ERROR
