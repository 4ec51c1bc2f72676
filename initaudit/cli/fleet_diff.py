"""`initaudit fleet diff`: what changed between two runs."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from initaudit.cli.fleet_reading import (
    FAIL_ON_NEW,
    output_option,
    paired,
    reading_options,
    run_before,
    take_reading,
    tell,
    width,
    write,
)
from initaudit.errors import UsageError

if TYPE_CHECKING:
    from initaudit.fleet.overview import Overview

SUFFIXES = {".md": "markdown", ".jsonl": "jsonl", ".txt": "text"}


@click.command("diff")
@click.argument("store")
@click.argument("before", required=False)
@click.argument("after", required=False)
@click.option(
    "--output-format", type=click.Choice(list(SUFFIXES.values())), help="Of what goes to stdout (default text)."
)
@output_option
@click.option(
    "--fail-on-new",
    type=FAIL_ON_NEW,
    default="error",
    show_default=True,
    help="Lowest severity of a new finding for exit code 1; one that returned, or became so severe, is new too.",
)
@reading_options
@click.option("-v", "--verbose", is_flag=True, help="List every change.")
@click.option("-q", "--quiet", is_flag=True, help="No summary and no notes on stderr.")
def command(store: str, before: str | None, after: str | None, files: tuple[Path, ...], **options: Any) -> int:
    """Show what changed in STORE from run BEFORE to run AFTER: by default from the last run but one to the last.

    Findings are known by their model and fingerprint, and both runs are read under the filters of AFTER. Exit codes: 0 no finding is new; 1 one
    is; 2 a model that had a report has none any more, or AFTER is not finished.
    """
    from initaudit.fleet.overview import overview
    from initaudit.fleet.store import Store

    name, fail_on_new, verbose, quiet = (
        options.pop(key) for key in ("output_format", "fail_on_new", "verbose", "quiet")
    )
    outputs = paired(files, name or (None if files else "text"), SUFFIXES)
    kept = Store(store)
    run = kept.run(after)
    earlier = run_before(kept, run, before)
    if earlier is None:
        raise UsageError(f"store {kept.address}: no run is earlier than {run.id!r}: there is nothing to compare")
    view = overview(take_reading(kept, run, options), earlier)
    for kind, file in outputs:
        write(_rendered(view, kind, verbose=verbose), file)
    if not quiet and (files or name is not None):
        tell(view, files)
    return view.exit_code(fail_on_new)


def _rendered(view: Overview, kind: str, *, verbose: bool) -> str | Iterable[str]:
    if kind == "jsonl":
        from initaudit.fleet.lines import json_lines

        return json_lines(view, changed=True)
    if kind == "markdown":
        from initaudit.fleet.comment import changes_markdown

        return changes_markdown(view, verbose=verbose)
    from initaudit.fleet.summary import changes_text

    return changes_text(view, width=width(), verbose=verbose)
