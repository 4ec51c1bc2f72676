"""`initaudit diff`: which layers changed between two models, by how much, and which did not."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from initaudit.judgement.compare import LayerChange


@click.command("diff")
@click.argument("before", type=click.Path())
@click.argument("after", type=click.Path())
@click.option("--output-format", type=click.Choice(["text", "json"]), default="text", help="text (default) or json.")
@click.option("--fail-on-unchanged", is_flag=True, help="Exit 1 if a layer did not change.")
def command(before: str, after: str, output_format: str, fail_on_unchanged: bool) -> int:
    """Show which layers changed from BEFORE to AFTER, by how much, and which did not (frozen, never trained)."""
    from initaudit.extraction.extract import extract_layers
    from initaudit.judgement.compare import compare
    from initaudit.model.load import load_model

    changes = compare(extract_layers(load_model(before)).layers, extract_layers(load_model(after)).layers)
    if output_format == "json":
        rows = [
            {"before": c.before, "after": c.after, "title": c.title, "change": c.change, "parameters": c.parameters, "state": _state(c)}
            for c in changes
        ]  # fmt: skip
        click.echo(json.dumps({"layers": rows}, indent=2))
    else:
        _print(changes)
    unchanged = any(_state(c) == "unchanged" for c in changes)
    return 1 if fail_on_unchanged and unchanged else 0


def _state(change: LayerChange) -> str:
    if change.before is None:
        return "added"
    if change.after is None:
        return "removed"
    if change.change is None:
        return "unreadable"
    return "unchanged" if change.change == 0 else "changed"


def _print(changes: tuple[LayerChange, ...]) -> None:
    from initaudit.formats.printing import printed, visible

    for change in changes:
        amount = f"{change.change:9.2%}" if change.change else " " * 9
        click.echo(printed(f"{_state(change):10} {amount}  {visible(change.title)} ({change.parameters:,})"), nl=False)
    count = {s: sum(_state(c) == s for c in changes) for s in ("changed", "unchanged", "added", "removed")}
    click.echo(printed(", ".join(f"{n} {state}" for state, n in count.items())), nl=False)
