"""A run as Markdown, for the summary of a job or a comment: as much as that may hold, the most important first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from initaudit.fleet.telling import SHOWN, found, headline, named, trend, turns, verdicts
from initaudit.formats.marking import MARKS, Page, code, prose
from initaudit.formats.telling import plural

if TYPE_CHECKING:
    from initaudit.fleet.noting import Noted
    from initaudit.fleet.overview import Overview


def markdown(view: Overview, *, verbose: bool = False) -> str:
    """The whole run; with `verbose` every model and every change."""
    page = _begun(view)
    _add_changes(page, view, verbose=verbose)
    shown = [model for model in view.models if verbose or model.status != "pass"]
    listed = shown if verbose else shown[:SHOWN]
    if listed:
        page.add("\n")
        page.add_table(("", "model", "trainability:", "findings", "in a sentence"), map(_row, listed))
    if len(shown) > len(listed):
        page.add(f"\nand {len(shown) - len(listed):,} more that are not in order\n")
    page.add_details("By rule", [f"{prose(f'{rule} {name}')}: {found(m, f)}" for rule, name, m, f in view.rules])
    return page.text()


def changes_markdown(view: Overview, *, verbose: bool = False) -> str:
    """What became of the models since the earlier run, and no more."""
    page = _begun(view)
    _add_changes(page, view, verbose=verbose)
    return page.text()


def _begun(view: Overview) -> Page:
    page = Page()
    page.add(f"## initaudit: {headline(view)}\n\nRun {prose(named(view.record))}\n")
    for note in view.notes:
        page.add(f"\n**{prose(note)}**\n")
    return page


def _add_changes(page: Page, view: Overview, *, verbose: bool) -> None:
    if view.since is None:
        return
    page.add(f"\n### Since run {prose(named(view.since))}: {trend(view)}\n\n")
    listed = view.turned if verbose else view.turned[:SHOWN]
    rows = [(c.fate.value, code(c.path), verdicts(c), prose(turns(c))) for c in listed]
    if rows:
        page.add_table(("", "model", "verdict", "findings"), rows)
    if len(view.turned) > len(listed):
        page.add(f"\nand {len(view.turned) - len(listed):,} more\n")
    page.add_details("Gone", [code(change.path, table=False) for change in view.gone])


def _row(model: Noted) -> tuple[str, ...]:
    score = "" if model.trainability is None else f"{model.trainability:.2f}"
    counts = ", ".join(plural(model.counts[s], s) for s in ("error", "warning") if model.counts[s])
    return f"{MARKS[model.status]} {model.status}", code(model.path), score, counts or "none", prose(model.reason)
