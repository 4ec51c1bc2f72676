"""`initaudit fix`: re-initialise what is wrong, and print the proof."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from initaudit.cli.options import audit_options, make_config
from initaudit.formats.printing import visible

if TYPE_CHECKING:
    from initaudit.fixing.fixer import FixResult


@click.command("fix")
@click.argument("model", type=click.Path())
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), metavar="OUT", help="File to write.")
@click.option("--in-place", is_flag=True, help="Replace MODEL itself.")
@click.option(
    "--scheme",
    default="auto",
    show_default=True,
    help="auto (what fits each layer), xavier_uniform, xavier_normal, he_uniform, he_normal, lecun_normal, orthogonal, ...",
)
@click.option(
    "--mode",
    type=click.Choice(["resample", "rescale"]),
    default="resample",
    show_default=True,
    help="Draw anew, or multiply the weights and keep their direction and the biases.",
)
@click.option(
    "--layers", multiple=True, metavar="GLOB", help="Change only layers with this name (or glob). Repeatable."
)
@click.option("--all", "every", is_flag=True, help="Change every layer that has a target, flagged or not.")
@click.option("--dry-run", "--diff", "dry_run", is_flag=True, help="Say what would change; write nothing.")
@click.option("--force", is_flag=True, help="Also change trained layers, and overwrite OUT.")
@click.option(
    "--fail-on",
    type=click.Choice(["error", "warning", "never"]),
    help="Lowest remaining severity for exit code 1 (default error).",
)
@click.option("-q", "--quiet", is_flag=True, help="Print nothing but errors.")
@audit_options
def command(model: str, output: Path | None, **options: Any) -> int:
    """Write a copy of MODEL in which the flagged weights are drawn anew; everything else stays as it is.

    Exit code 0: written, or nothing to fix (OUT is then an unchanged copy); 1: written, but findings remain; 2: refused, nothing written.
    --select chooses what is fixed, by rule.
    """
    from initaudit.errors import FixRefused, UsageError
    from initaudit.fixing.fixer import FixOptions, exit_code, fix
    from initaudit.options import read_words

    in_place, quiet = options.pop("in_place"), options.pop("quiet")
    if in_place:
        if output is not None:
            raise UsageError("give either -o OUT or --in-place")
        output = Path(model)
    fix_options = FixOptions(
        scheme=options.pop("scheme"),
        mode=options.pop("mode"),
        layers=options.pop("layers"),
        every=options.pop("every"),
        force=options.pop("force"),
        dry_run=options.pop("dry_run"),
        select=read_words(options["select"]),
    )
    options["select"] = ()
    if output is None and not fix_options.dry_run:
        raise UsageError("give -o OUT, --in-place or --dry-run")
    if output is not None and output.exists() and not (in_place or fix_options.force or fix_options.dry_run):
        raise FixRefused(f"{output}: exists already; --force overwrites it")
    config = make_config(options, fail_on=options.pop("fail_on"))
    result = fix(model, output, config, fix_options)
    if not quiet:
        _print(result, model, fix_options.dry_run)
    for line in (result.after or result.before).failed_rules:
        click.echo(f"initaudit: error: {visible(model)}: {visible(line)}", err=True)
    return exit_code(result, config.fail_on)


def _print(result: FixResult, model: str, dry_run: bool) -> None:
    from initaudit.formats.printing import number, printed
    from initaudit.redrawing.draw import KEPT, ONES

    for change in result.changes:
        bias = f", bias {visible(change.bias)} reset" if change.bias else ""
        stds = f"std {number(change.std_before)} -> {number(change.std_after)} ({change.scheme}{bias})"
        set_to = {ONES: "set to 1", KEPT: f"weights kept{bias}"}
        what = set_to.get(change.scheme, stds)
        click.echo(printed(f"{visible(change.title)}: {what} [{change.reason}]"), nl=False)
    for refusal in result.refusals:
        click.echo(printed(f"{visible(refusal.layer)}: left as it is: {refusal.reason}"), nl=False)
    if not result.changes:
        copied = f"; {visible(str(result.written[0]))} is an unchanged copy" if result.written else ""
        left = [f for f in result.before.active if f.severity.value == "error"]
        what = (
            "nothing to fix"
            if not left
            else f"nothing that a new draw would mend ({left[0].code} {left[0].name} remains)"
        )
        click.echo(printed(f"{visible(model)}: {what}{copied}"), nl=False)
        return
    if dry_run or result.after is None:
        click.echo(printed(f"{len(result.changes)} layers would change; nothing was written"), nl=False)
        return
    click.echo(printed(f"wrote {', '.join(visible(str(p)) for p in result.written)}"), nl=False)
    for word, report in (("before", result.before), ("after", result.after)):
        learn = report.verdict.trainability
        score = "" if learn is None else f", trainability {learn:.2f}"
        click.echo(
            printed(f"{word + ':':8} {report.verdict.status}{score}: {visible(report.verdict.reason)}"), nl=False
        )
