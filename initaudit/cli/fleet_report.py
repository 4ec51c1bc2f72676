"""`initaudit fleet report`: what a run found, for people and machines."""

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
    run_option,
    take_reading,
    tell,
    width,
    write,
)
from initaudit.errors import UsageError

if TYPE_CHECKING:
    from initaudit.fleet.overview import Overview
    from initaudit.fleet.reading import Reading

SUFFIXES = {".html": "html", ".md": "markdown", ".jsonl": "jsonl", ".txt": "text"}


@click.command("report")
@click.argument("store")
@run_option
@click.option("--since", metavar="NAME", help="The earlier run to compare with (default: the one before).")
@click.option(
    "--output-format",
    metavar="FORMAT",
    help="Of what goes to stdout: text (default), html, markdown or jsonl; with --model those of `initaudit check`.",
)
@output_option
@click.option(
    "--model",
    metavar="PATH",
    help="Report on this model alone, as `initaudit check` does; the end of its path is enough.",
)
@click.option(
    "--pages", is_flag=True, help="Write the page of every model too, into the folder models/ beside each .html file."
)
@click.option(
    "--fail-on-new",
    type=FAIL_ON_NEW,
    help="Exit 1 only where a finding of this severity is new since the earlier run, returned, or became so severe.",
)
@reading_options
@click.option("-v", "--verbose", is_flag=True, help="List every model and every change.")
@click.option("-q", "--quiet", is_flag=True, help="No summary and no notes on stderr.")
def command(store: str, files: tuple[Path, ...], **options: Any) -> int:
    """Report on a run in STORE, a folder or a URL: the worst models first, and what changed since the run before.

    Filters and gates given here count beside those of the run, and for the earlier run alike; nothing is audited anew. Exit codes: 0; 1 findings
    at or above --fail-on; 2 a model without a report, or a run that is not finished.
    """
    from initaudit.fleet.overview import overview
    from initaudit.fleet.store import Store

    name, since, model = (options.pop(key) for key in ("output_format", "since", "model"))
    pages, fail_on_new, verbose, quiet = (options.pop(key) for key in ("pages", "fail_on_new", "verbose", "quiet"))
    kept = Store(store)
    run = kept.run(options.pop("name"))
    reading = take_reading(kept, run, options)
    if model is not None:
        return _one_model(reading, model, files, name, verbose=verbose)
    if name not in (None, *SUFFIXES.values()):
        raise UsageError(f"--output-format: {name!r} is none of {', '.join(SUFFIXES.values())}")
    outputs = paired(files, name or (None if files else "text"), SUFFIXES)
    folders = [file.parent for kind, file in outputs if kind == "html" and file is not None]
    if pages and not folders:
        raise UsageError("--pages needs a file to lie beside: give -o index.html")
    view = overview(reading, run_before(kept, run, since))
    for folder in dict.fromkeys(folders) if pages else ():
        _write_pages(reading, view, folder)
    for kind, file in outputs:
        write(_rendered(view, kind, with_pages=pages, verbose=verbose), file)
    if not quiet and (files or name is not None):
        tell(view, files)
    if fail_on_new is not None and view.since is None:
        click.echo("initaudit: note: --fail-on-new: no run is earlier than this one, so nothing is new", err=True)
    return view.exit_code(fail_on_new)


def _rendered(view: Overview, kind: str, *, with_pages: bool, verbose: bool) -> str | Iterable[str]:
    if kind == "html":
        from initaudit.fleet.page import index_page

        return index_page(view, with_pages=with_pages)
    if kind == "markdown":
        from initaudit.fleet.comment import markdown

        return markdown(view, verbose=verbose)
    if kind == "jsonl":
        from initaudit.fleet.lines import json_lines

        return json_lines(view)
    from initaudit.fleet.summary import text

    return text(view, width=width(), verbose=verbose)


def _write_pages(reading: Reading, view: Overview, folder: Path) -> None:
    """The page of every model with a report, one at a time in memory."""
    from initaudit.files import write_atomically
    from initaudit.fleet.page import page_of

    for model in view.models:
        if model.row.has_report:
            file = folder / page_of(model.row.number)
            file.parent.mkdir(exist_ok=True)
            write_atomically(file, _document(reading, reading.entry(model.row), "html", verbose=False).encode())


def _one_model(reading: Reading, path: str, files: tuple[Path, ...], name: str | None, *, verbose: bool) -> int:
    from initaudit.format import format_of

    entry = reading.entry(reading.find(path))
    suffixes = {file.suffix: found for file in files if (found := format_of(file)) is not None}
    for kind, file in paired(files, name or (None if files else "text"), suffixes):
        write(_document(reading, entry, kind, verbose=verbose), file)
    code: int = entry["gate"]["exit_code"]
    return code


def _document(reading: Reading, entry: dict[str, Any], kind: str, *, verbose: bool) -> str:
    from initaudit.format import FormatOptions, find_format
    from initaudit.report.document import head

    document = {**head(), "run": {"interrupted": None, **reading.record.run}, "reports": [entry]}
    return find_format(kind).render(document, FormatOptions(verbose=verbose, width=width()))
