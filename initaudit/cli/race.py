"""`initaudit race`: a network trained from several initialisations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from initaudit.cli.completion import complete_schemes
from initaudit.cli.drawing import draw_options
from initaudit.cli.models import label
from initaudit.cli.options import (
    audit_options,
    comparison_files,
    decorated,
    formats_option,
    run_options_of,
    take_settings,
)

SYNTHETIC = ("teacher", "labels")

_TASK = (
    click.option("--data", type=click.Path(dir_okay=False), metavar="FILE.npz", help="Inputs by name, and targets as y: whole numbers are classes, others are to be met."),
    click.option("--digits", is_flag=True, help="scikit-learn's digits, resized to the input."),
    click.option("--synthetic", type=click.Choice(SYNTHETIC), help="Made-up inputs with what another draw of the network answers (teacher), or random targets (labels)."),
    click.option("--target-output", "output", metavar="NAME", help="The output that is trained (default: the first of real numbers)."),
)  # fmt: skip
_TRAINING = (
    click.option("--optimizer", multiple=True, metavar="NAME[,NAME]", help="sgd (momentum 0.9) or adam (default: both). Repeatable."),
    click.option("--lr", "rates", multiple=True, metavar="X[,X]", help="Learning rates, each with each optimiser (default: sgd 0.01 and 0.1, adam 0.001 and 0.01). Repeatable."),
    click.option("--steps", type=int, default=300, metavar="N", help="Steps of each run (default 300)."),
    click.option("--seeds", type=int, default=3, metavar="N", help="Draws of each start (default 3), the first with --seed."),
    click.option("--batch-size", type=int, default=32, metavar="N", help="Examples in a step (default 32), where the model does not fix them; all that there are where they are fewer."),
    click.option("--patience", type=int, metavar="N", help="End a run that is no better than chance after N steps (default: none)."),
    click.option("--target", type=float, metavar="X", help="Accuracy or R2 to which steps are counted (default: 90 % of the way from chance to the best of all runs)."),
    click.option("--time", "seconds", type=float, metavar="SECONDS", help="Time for all training, shared by the runs (default: as long as it takes)."),
    click.option("--device", default="cpu", metavar="DEVICE", help="cpu (default), cuda or another device of torch."),
    click.option("--resume", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Keep finished runs in this file, and go on from those that it holds."),
)  # fmt: skip


@click.command("race")
@click.argument("model", type=click.Path())
@click.option(
    "--schemes",
    multiple=True,
    metavar="SCHEME[,SCHEME]",
    shell_complete=complete_schemes,
    help="The starts, as for `compare`. Repeatable.",
)
@lambda function: decorated(function, (*_TASK, *_TRAINING))
@draw_options
@formats_option("formats", "text (default), json, csv or html. Repeatable, each with its own -o.")
@comparison_files
@run_options_of("quiet", "color")
@audit_options
def command(model: str, **options: Any) -> int:
    """Train MODEL (a file) from several initialisations, and hold what the audit predicts of each against what happens.

    Needs the extra torch. No model is written. Interrupted, it shows the runs that are finished. Exit code 0 where at least one start reaches the target, 1 where none does, 2 where
    the model cannot be trained.
    """
    from initaudit.cli.gate import EXIT_FINDINGS
    from initaudit.cli.interruption import interruptible
    from initaudit.cli.models import STDIN
    from initaudit.cli.output import command_line, keep_apart, pair_outputs, write_comparison
    from initaudit.cli.progress import progress
    from initaudit.engines.auditing import fitting_shapes
    from initaudit.errors import UsageError
    from initaudit.fixing.options import FixOptions
    from initaudit.format import Format, FormatOptions
    from initaudit.model.load import load_model
    from initaudit.racing.options import RaceOptions, read_settings
    from initaudit.racing.race import needs_torch, race
    from initaudit.settings.run import Output
    from initaudit.starts.ranking import WIDTH
    from initaudit.starts.schemes import DEFAULT, read_starts

    if model == STDIN:
        raise UsageError("race reads the model from a file, not from stdin")
    outputs = [Output(file=file) for file in options.pop("files")]
    pairs = pair_outputs(options.pop("formats"), outputs, able=Format.can_show_races)
    data, resume = _data(options), options.pop("resume")
    keep_apart([model, *([data] if data not in (*SYNTHETIC, "digits") else [])], [*(path for _, path in pairs), resume])
    if resume is not None and any(path is not None and resume.resolve() == path.resolve() for _, path in pairs):
        raise UsageError(f"{resume}: --resume keeps the runs in it; write the report to another file")
    schemes = read_starts(options.pop("schemes") or DEFAULT)
    pace = read_settings(options.pop("optimizer"), options.pop("rates"))
    given = {
        name: options.pop(name)
        for name in ("output", "steps", "seeds", "batch_size", "patience", "target", "seconds", "device")
    }
    needs_torch(given["device"])
    settings = take_settings(options)
    run = settings.run
    drawn = FixOptions(gain=run.gain, bias=run.bias, exclude=run.fix_exclude)
    how = RaceOptions(schemes=schemes, drawn=drawn, settings=pace, journal=resume, **given)
    loaded = load_model(model)
    config = fitting_shapes(loaded, settings.config(model))[0]
    with interruptible() as interruption, progress(1, quiet=run.quiet) as line:
        show = line.of(1, label(model)) if line is not None else lambda _: None
        found = race(
            loaded, data, config, how, progress=show, until=interruption.until, command=command_line()
        )  # fmt: skip
    document = dict(found.document)
    if interruption.signal is not None and document["run"]["interrupted"] is not None:
        document["run"]["interrupted"]["exit_code"] = 128 + interruption.signal
    looks = FormatOptions(width=WIDTH)
    write_comparison(document, pairs, looks, color=run.color, quiet=run.quiet, shown=lambda form: form.race)
    if interruption.signal is not None:
        return 128 + interruption.signal
    return 0 if document["winner"] is not None else EXIT_FINDINGS


def _data(options: dict[str, Any]) -> str:
    """The file, or the name of what needs none. Raises UsageError."""
    from initaudit.errors import UsageError

    file, digits, synthetic = options.pop("data"), options.pop("digits"), options.pop("synthetic")
    named = [name for name in (file, "digits" if digits else None, synthetic) if name is not None]
    if len(named) != 1:
        what = "what is it to learn?" if not named else "it can learn one thing at a time:"
        raise UsageError(f"{what} Give --data FILE.npz, --digits or --synthetic teacher or labels")
    name: str = named[0]
    return name if file is None else str(Path(file))
