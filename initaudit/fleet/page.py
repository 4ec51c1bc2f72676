"""The page of a run: one index.html that opens anywhere, with ten thousand models in it; each leads to its own report.

Paths and sentences come from files that nobody vouches for: they pass through the same walls as in `initaudit.formats.page.page`.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from jinja2.utils import htmlsafe_json_dumps

from initaudit.fleet.noting import STATUSES
from initaudit.fleet.trends import Fate
from initaudit.formats.page.overview import common_folder
from initaudit.formats.page.page import rendered
from initaudit.formats.page.words import shorten, visible
from initaudit.version import __version__

if TYPE_CHECKING:
    from markupsafe import Markup

    from initaudit.fleet.noting import Noted
    from initaudit.fleet.overview import Overview
    from initaudit.fleet.trends import Change

SCRIPTS = (
    "page/theme.js",
    "page/numbers.js",
    "page/copyable.js",
    "page/sort.js",
    "page/fleet_rows.js",
    "page/fleet.js",
)
STYLES = ("page/page.css", "page/fleet.css")

LONGEST_PATH = 160
"""Characters of a path that the page holds. A judgement: ten thousand of them are 1.6 MB."""
LONGEST_REASON = 180
"""Characters of a sentence; its model's report has the whole of it. A judgement: two lines of the table, and 1.8 MB of ten thousand."""
STATIC_ROWS = 100
"""Models that the page shows before its script runs, and at once afterwards: as many as one scrolls through."""
MOST_TURNED = 50
"""Models whose changes are listed one by one: beyond that the table is sorted and filtered. A judgement."""
DIGITS = 4
"""Of a trainability, as in reports."""


def page_of(number: int) -> str:
    """Where the page of a model lies beside the index: by its line in the plan, for paths may hold anything."""
    return f"models/{number:05}.html"


def index_page(view: Overview, *, with_pages: bool) -> str:
    """The page.

    Args:
        view: of the run.
        with_pages: each model with a report has its own page at `page_of`; else the page says how to have it made.
    """
    folder = common_folder([model.path for model in view.models])
    first = [
        _row(model, view.changes.get(model.path), folder, with_pages=with_pages) for model in view.models[:STATIC_ROWS]
    ]
    turned, rules = view.turned, view.rules
    return rendered(
        "fleet.html.j2",
        scripts=SCRIPTS,
        styles=STYLES,
        tool={"name": "initaudit", "version": __version__},
        run=view.record,
        address=view.address,
        folder=folder,
        finished=len(view.models),
        statuses=view.statuses,
        ends=view.ends,
        notes=view.notes,
        since=view.since,
        fates={fate.value: count for fate, count in view.fates.items()},
        turned=[_turned(change, folder) for change in turned[:MOST_TURNED]],
        more_turned=max(0, len(turned) - MOST_TURNED),
        gone=[change.path for change in view.gone],
        rules=rules,
        rows=first,
        island=_island(view, folder, [code for code, *_ in rules], with_pages=with_pages),
    )


def _shown(path: str, folder: str) -> str:
    return str(visible(shorten(path.removeprefix(folder), LONGEST_PATH)))


def _row(model: Noted, change: Change | None, folder: str, *, with_pages: bool) -> dict[str, Any]:
    """What the template prints of a model, as the script does."""
    return {
        "path": _shown(model.path, folder),
        "page": page_of(model.row.number) if with_pages and model.row.has_report else None,
        "status": model.status,
        "reason": _sentence(model),
        "trainability": model.trainability,
        "counts": model.counts,
        "rules": _codes(model),
        "bytes": model.row.bytes,
        "fate": None if change is None or change.fate is Fate.SAME else change.fate.value,
    }


def _sentence(model: Noted) -> str:
    """The reason, without the path that it may begin with."""
    return shorten(model.reason.removeprefix(f"{model.path}: "), LONGEST_REASON)


def _codes(model: Noted) -> list[str]:
    """Rules that found what counts, in the order of their findings."""
    return list(dict.fromkeys(finding.code for finding in model.active))


def _turned(change: Change, folder: str) -> dict[str, Any]:
    turns: dict[tuple[str, str, str], int] = {}
    for turn in change.turns:
        kind = (turn.fate.value, turn.finding.code, turn.finding.severity.value)
        turns[kind] = turns.get(kind, 0) + 1
    return {
        "path": _shown(change.path, folder),
        "fate": change.fate.value,
        "before": None if change.before is None else change.before.status,
        "after": None if change.after is None else change.after.status,
        "turns": [(*kind, count) for kind, count in turns.items()],
    }


def _island(view: Overview, folder: str, codes: Sequence[str], *, with_pages: bool) -> Markup:
    """All models as JSON by column; words that repeat stand in a list and are named by their place in it."""
    models = view.models
    place = {code: i for i, code in enumerate(codes)}
    names = [_shown(m.path, folder) for m in models]
    fates = [view.changes[m.path].fate.value if m.path in view.changes else Fate.SAME.value for m in models]
    return htmlsafe_json_dumps(
        {
            "folder": folder,
            "command": shlex.join(["initaudit", "fleet", "report", view.address, "--run", view.record.id, "--model"]),
            "pages": with_pages,
            "names": names,
            "unnamed": [i for i, m in enumerate(models) if names[i] != m.path.removeprefix(folder)],
            "numbers": [m.row.number for m in models],
            "statuses": _words([m.status for m in models], STATUSES),
            "ends": _words([m.row.status for m in models]),
            "contexts": _words([m.row.context for m in models]),
            "fates": _words(fates, [fate.value for fate in Fate]),
            "reasons": _words([str(visible(_sentence(m))) for m in models]),
            "trainability": [None if m.trainability is None else round(m.trainability, DIGITS) for m in models],
            "errors": [m.counts["error"] for m in models],
            "warnings": [m.counts["warning"] for m in models],
            "infos": [m.counts["info"] for m in models],
            "codes": codes,
            "found": [[place[code] for code in _codes(m)] for m in models],
            "bytes": [m.row.bytes for m in models],
            "layers": [m.row.layers for m in models],
            "parameters": [m.row.parameters for m in models],
            "seconds": [m.row.seconds for m in models],
            "attempts": [m.row.attempts for m in models],
        },
        separators=(",", ":"),
        allow_nan=False,
    )


def _words(values: Sequence[str], words: Sequence[str] = ()) -> dict[str, Any]:
    """Each word once, those given first, and of each value the place of its word."""
    known = {word: place for place, word in enumerate(words)}
    at = [known.setdefault(value, len(known)) for value in values]
    return {"words": list(known), "at": at}
