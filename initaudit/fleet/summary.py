"""A run in words: text for the terminal, Markdown for the summary of a job, JSONL for other programs."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rich.console import Console

from initaudit.fleet.trends import Fate
from initaudit.formats.marking import MARKS, Page, code, prose
from initaudit.formats.printing import NOTHING, json_text, printed, visible
from initaudit.formats.table import layer_table
from initaudit.formats.telling import plural

if TYPE_CHECKING:
    from initaudit.fleet.noting import Noted
    from initaudit.fleet.overview import Overview
    from initaudit.fleet.trends import Change

SHOWN = 20
"""Models, changes and rules that are listed unless all are asked for: a screen. A judgement."""
STATUSES = {"error": "not audited", "fail": "failed", "warn": "with warnings", "pass": "passed"}
"""In words, the worst first."""
HEADINGS = ("model", "verdict", "trainability", "errors", "warnings", "rules")
NUMBERS = ("trainability", "errors", "warnings")


def text(view: Overview, *, width: int, verbose: bool = False) -> str:
    """The run on a terminal of `width` columns; with `verbose` every model and every change."""
    most = len(view.models) + len(view.changes) if verbose else SHOWN
    lines = [f"Run {view.record.id}: {headline(view)}"]
    lines += [f"note: {note}" for note in view.notes]
    if view.since is not None:
        lines += ["", f"Since run {view.since.id}: {trend(view)}"]
        lines += [f"  {_changed(change)}" for change in view.turned[:most]]
        lines += _more(len(view.turned) - most)
        lines += [f"  gone       {change.path}" for change in view.gone[:most]]
    if view.rules:
        lines.append("")
        lines += [f"{c} {name}: {_found(models, findings)}" for c, name, models, findings in view.rules[:most]]
    body = "\n".join(visible(line) for line in lines)
    shown = [model for model in view.models if verbose or model.status != "pass"][:most]
    if not shown:
        return printed(body)
    others = len(view.models) - len(shown)
    rest = f"\nand {plural(others, 'other model')} (-v shows all)" if others else ""
    return printed(f"{body}\n\n{_table(shown, width)}{rest}")


def headline(view: Overview) -> str:
    """How many models, and how they fare."""
    counts = ", ".join(f"{count:,} {STATUSES[status]}" for status, count in view.statuses.items())
    return f"{plural(len(view.models), 'model')}{f', {counts}' if counts else ''}"


def trend(view: Overview) -> str:
    """What became of the models since the run that it is compared with."""
    return ", ".join(f"{count:,} {fate.value}" for fate, count in view.fates.items()) or "nothing changed"


def _found(models: int, findings: int) -> str:
    return f"{plural(findings, 'finding')} in {plural(models, 'model')}"


def _more(count: int) -> list[str]:
    return [f"  and {count:,} more"] if count > 0 else []


def _turns(change: Change) -> str:
    turns: dict[str, int] = {}
    for turn in change.turns:
        kind = f"{turn.finding.code} {turn.fate.value}"
        turns[kind] = turns.get(kind, 0) + 1
    return ", ".join(kind if count == 1 else f"{kind} ({count})" for kind, count in turns.items())


def _verdicts(change: Change) -> str:
    sides = [side.status for side in (change.before, change.after) if side is not None]
    return " to ".join(dict.fromkeys(sides))


def _changed(change: Change) -> str:
    turns = _turns(change)
    return f"{change.fate.value:10} {change.path}: {_verdicts(change)}{f'; {turns}' if turns else ''}"


def _row(model: Noted) -> list[str]:
    score = NOTHING if model.trainability is None else f"{model.trainability:.2f}"
    codes = ", ".join(dict.fromkeys(finding.code for finding in model.active))
    ended = model.status if model.row.has_report else f"{model.status} ({model.row.status})"
    return [visible(model.path), ended, score, *(str(model.counts[s]) for s in ("error", "warning")), codes or NOTHING]


def _table(models: Sequence[Noted], width: int) -> str:
    made = layer_table(
        HEADINGS, [_row(model) for model in models], width, right=NUMBERS, give_up=("rules", "warnings", "errors")
    )
    stream = io.StringIO()
    Console(file=stream, width=width, no_color=True, highlight=False, markup=False, emoji=False).print(made.table)
    return stream.getvalue().rstrip("\n")


def markdown(view: Overview, *, verbose: bool = False) -> str:
    """As much of the run as a comment may hold, the most important first."""
    page = Page()
    page.add(f"## initaudit: {headline(view)}\n\nRun {code(view.record.id, table=False)}\n")
    for note in view.notes:
        page.add(f"\n**{prose(note)}**\n")
    if view.since is not None:
        page.add(f"\n### Since run {code(view.since.id, table=False)}: {trend(view)}\n\n")
        rows = [
            (change.fate.value, code(change.path), _verdicts(change), prose(_turns(change)))
            for change in view.turned
            if verbose or change.fate is not Fate.SAME
        ]
        if rows:
            page.add_table(("", "model", "verdict", "findings"), rows if verbose else rows[:SHOWN])
        page.add_details("Gone", [code(change.path, table=False) for change in view.gone])
    shown = [model for model in view.models if verbose or model.status != "pass"]
    listed = shown if verbose else shown[:SHOWN]
    if listed:
        page.add("\n")
        page.add_table(("", "model", "trainability:", "findings", "in a sentence"), map(_markdown_row, listed))
    if len(shown) > len(listed):
        page.add(f"\nand {len(shown) - len(listed):,} more that are not in order\n")
    page.add_details("By rule", [f"{prose(f'{c} {name}')}: {_found(m, f)}" for c, name, m, f in view.rules])
    return page.text()


def _markdown_row(model: Noted) -> tuple[str, ...]:
    score = "" if model.trainability is None else f"{model.trainability:.2f}"
    found = ", ".join(plural(model.counts[s], s) for s in ("error", "warning") if model.counts[s])
    return f"{MARKS[model.status]} {model.status}", code(model.path), score, found or "none", prose(model.reason)


def jsonl(view: Overview) -> Iterator[str]:
    """A line a model, the worst first, then a line a model that is gone; each with what changed since the earlier run."""
    for model in view.models:
        yield json_text(_document(model, view.changes.get(model.path))) + "\n"
    for change in view.gone:
        yield json_text({"path": change.path, "fate": change.fate.value, "turns": _turn_list(change)}) + "\n"


def _document(model: Noted, change: Change | None) -> dict[str, object]:
    row = model.row
    return {
        "path": row.path,
        "verdict": model.status,
        "reason": model.reason,
        "ended": row.status,
        "context": row.context,
        "trainability": row.trainability,
        "counts": {**model.counts, "suppressed": len(model.findings) - len(model.active)},
        "findings": [
            {
                "code": f.code,
                "name": f.name,
                "severity": f.severity.value,
                "layer": f.layer,
                "initializer": f.initializer,
                "fingerprint": f.fingerprint,
                "suppressed": f.suppressed,
            }
            for f in model.findings
        ],
        "missed": list(model.missed),
        "failed_rules": list(row.failed_rules),
        "exit_code": model.exit_code,
        "parameters": row.parameters,
        "audited": row.audited,
        "layers": row.layers,
        "bytes": row.bytes,
        "seconds": row.seconds,
        "attempts": row.attempts,
        "key": row.key,
        "fate": None if change is None else change.fate.value,
        "turns": [] if change is None else _turn_list(change),
    }


def _turn_list(change: Change) -> list[dict[str, str]]:
    return [
        {
            "fate": t.fate.value,
            "code": t.finding.code,
            "severity": t.finding.severity.value,
            "fingerprint": t.finding.fingerprint,
        }
        for t in change.turns
    ]
