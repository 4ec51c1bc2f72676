"""`initaudit fix`: re-initialise what is wrong, and print the proof."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from initaudit.cli.completion import complete_schemes
from initaudit.cli.drawing import draw_options
from initaudit.cli.models import STDIN, label
from initaudit.cli.options import audit_options, formats_option, run_options_of, take_settings
from initaudit.config import FAIL_ON
from initaudit.formats.printing import visible
from initaudit.redrawing.choice import MODES

if TYPE_CHECKING:
    from initaudit.engines.fixing import Fixed
    from initaudit.settings.run import RunOptions


@click.command("fix")
@click.argument("model", type=click.Path())
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), metavar="OUT", help="File to write.")
@click.option("--in-place", is_flag=True, help="Replace MODEL itself.")
@click.option(
    "--scheme",
    multiple=True,
    metavar="[GLOB=]SCHEME",
    shell_complete=complete_schemes,
    help="auto (what fits each layer; default), he_normal, xavier_uniform, lecun_normal, torch_default, orthogonal, zeros, normal:0.02, "
    "variance_scaling:2,fan_in,normal, ..., or fitted to the inputs: lsuv, pca; with a GLOB for layers like it alone, of which the last counts. "
    "Repeatable.",
)
@click.option(
    "--mode",
    type=click.Choice(MODES),
    help="Draw anew (resample, default), or multiply the weights and keep their direction and the biases (rescale).",
)
@draw_options
@click.option(
    "--layers", multiple=True, metavar="GLOB", help="Change only layers with this name (or glob). Repeatable."
)
@click.option("--all", "every", is_flag=True, help="Change every layer that has a target, flagged or not.")
@click.option("--dry-run", "--diff", "dry_run", is_flag=True, help="Say what would change; write nothing.")
@click.option("--keep-going", is_flag=True, help="Write OUT also where the model would still fail.")
@click.option("--force", is_flag=True, help="Also change trained layers, and overwrite OUT.")
@click.option(
    "--undo",
    type=click.Path(),
    metavar="ORIGINAL",
    help="Instead, restore what fixes changed in MODEL. A fix records what it did, not what was there: that comes from ORIGINAL, the model before its first fix.",
)
@click.option(
    "--export-weights",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Also write the weights of OUT under the names that PyTorch's load_state_dict knows, to FILE.npz or FILE.safetensors.",
)
@click.option(
    "--fail-on", type=click.Choice(FAIL_ON), help="Lowest remaining severity for exit code 1 (default error)."
)
@formats_option(
    "formats",
    "text, json, html or another, of the audit of what was written; text, json and html also say what was changed. Repeatable, each with its own --report.",
)
@click.option(
    "--report",
    "reports",
    multiple=True,
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help="File for the report instead of stdout; the format follows from the suffix where none is given. Repeatable.",
)
@run_options_of("quiet", "verbose", "color")
@audit_options
def command(model: str, output: Path | None, **options: Any) -> int:
    """Write a copy of MODEL (a file, or - for stdin) in which the flagged weights are drawn anew; everything else stays as it is.

    Exit code 0: written, or nothing to fix; 1: findings remain, or would; 2: refused, nothing written. A changed model that would still fail is not
    written without --keep-going, unless --scheme, --mode, --gain or --bias says how to draw; where nothing is to be changed, OUT is an unchanged copy,
    whatever remains.
    --select chooses what is fixed, by rule. With -q nothing is printed but errors, and what --output-format asks for.
    """
    from initaudit.cli.auditing import subject_of
    from initaudit.cli.output import keep_apart, pair_outputs, refuse_existing
    from initaudit.engines.fixing import fix_in_worker
    from initaudit.errors import UsageError
    from initaudit.fixing.options import FixOptions
    from initaudit.options import read_words
    from initaudit.settings.run import Output

    in_place, dry_run, force = options.pop("in_place"), options.pop("dry_run"), options.pop("force")
    keep_going = options.pop("keep_going")
    select, options["select"] = read_words(options["select"]), ()
    layers, every = options.pop("layers"), options.pop("every")
    original, weights = options.pop("undo"), options.pop("export_weights")
    formats, reports = options.pop("formats"), options.pop("reports")
    pairs = pair_outputs(formats, [Output(file=file) for file in reports])
    settings = take_settings(options)
    run = settings.run
    if in_place:
        if output is not None:
            raise UsageError("give either -o OUT or --in-place")
        if model == STDIN:
            raise UsageError("a model on stdin cannot be replaced; give -o OUT")
        output = Path(model)
    if str(output) == "-":
        raise UsageError("a model goes to a file; give -o OUT")
    if output is None and not dry_run:
        raise UsageError("give -o OUT, --in-place or --dry-run")
    refuse_existing((None if in_place else output, weights), force=force or dry_run)
    keep_apart([model, *([output] if output else [])], (*(path for _, path in pairs), weights))
    if original is not None:
        from initaudit.cli.undoing import run_undo

        given = {
            "--report": reports,
            "--output-format": formats,
            "--layers": layers,
            "--all": every,
            "--select": select,
            "--export-weights": weights,
        }
        if unwanted := [name for name, value in given.items() if value]:
            raise UsageError(f"--undo restores all that was fixed, and nothing else; leave out {', '.join(unwanted)}")
        return run_undo(model, original, None if dry_run else output, force=force, quiet=run.quiet)
    fix_options = FixOptions(
        scheme=run.scheme,
        mode=run.mode,
        gain=run.gain,
        bias=run.bias,
        layers=layers,
        exclude=run.fix_exclude,
        every=every,
        force=force,
        dry_run=dry_run,
        keep_going=keep_going,
        select=select,
        export_weights=weights,
    )
    fixed = fix_in_worker(subject_of(model, settings), output, fix_options)
    _tell(fixed, pairs, run)
    for line in fixed.now.failed_rules:
        click.echo(f"initaudit: error: {visible(label(model))}: {visible(line)}", err=True)
    return fixed.exit_code


def _tell(fixed: Fixed, pairs: list[tuple[str, Path | None]], run: RunOptions) -> None:
    """The reports that were asked for; without any, what was done, in words."""
    from initaudit.cli.output import Writer
    from initaudit.format import FormatOptions
    from initaudit.formats.changes import changes_text
    from initaudit.initialisation.spelling import unused

    if pairs:
        looks = FormatOptions(verbose=run.verbose)
        Writer(pairs, looks, color=run.color, quiet=run.quiet, more={"fix": fixed.part}).write([fixed.now])
    elif not run.quiet:
        click.echo(changes_text(fixed.part, fixed.now.entry), nl=False)
    for glob in unused(run.scheme, [(c["layer"], c["title"]) for c in fixed.part["changes"]]) if not run.quiet else ():
        said = f"no layer like {visible(glob)!r} is changed, so that its scheme is not needed; --layers draws such ones all the same"
        click.echo(f"initaudit: note: {said}", err=True)
    if pairs and fixed.part["written"] and not run.quiet:
        click.echo(f"wrote {', '.join(visible(path) for path in fixed.part['written'])}", err=True)
