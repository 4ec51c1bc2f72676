"""A race as one page: who won, the table, curves with a band over the draws, what was foretold against what was seen, every learning rate.

Names come from files that nobody vouches for: they pass through the same walls as in `initaudit.formats.page.page`.
"""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, Any

from jinja2.utils import htmlsafe_json_dumps

from initaudit.formats.page.foretold import picture
from initaudit.formats.page.page import rendered
from initaudit.formats.page.starts import MOST_LINES
from initaudit.formats.page.words import visible
from initaudit.formats.printing import NOTHING
from initaudit.formats.race import (
    HEADINGS,
    cells,
    course,
    fewest_steps,
    metric,
    setting,
    steps,
    told_agreement,
    told_ends,
    told_interruption,
)
from initaudit.formats.starts import AS_IS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Part = Mapping[str, Any]

SCRIPTS = (
    "vendor/uPlot.iife.min.js",
    "page/theme.js",
    "page/numbers.js",
    "page/overlays.js",
    "page/depth_chart.js",
    "page/race.js",
)
STYLES = (
    "vendor/uPlot.min.css",
    "page/page.css",
    "page/picture.css",
    "page/comparison.css",
    "page/starts.css",
    "page/race.css",
    "page/print.css",
)


def race_page(document: Part) -> str:
    """One self-contained page for a document of `initaudit.racing.document`."""
    starts, race = document["starts"], document["race"]
    fewest = fewest_steps(document)
    raced = [start for start in starts if start["outcomes"]]
    return rendered(
        "race.html.j2",
        scripts=SCRIPTS,
        styles=STYLES,
        tool=document["tool"],
        run=document["run"],
        ended=[told for told in (told_interruption(document), *told_ends(document)) if told],
        model=document["model"],
        metric=race["metric"],
        sentence=document["sentence"],
        winner=document["winner"],
        agreement=told_agreement(document),
        course=course(document),
        headings=HEADINGS,
        rows=[cells(start, fewest) for start in starts],
        words=("start", "with"),
        picture=picture(starts),
        grid=_grid(race["settings"], raced),
        island_starts=len(raced),
        island=htmlsafe_json_dumps(_island(document, raced), separators=(",", ":"), allow_nan=False),
    )


def _grid(settings: Sequence[Part], raced: Sequence[Part]) -> dict[str, Any]:
    """Steps by start and setting."""
    rows = []
    for start in raced:
        found = {setting(outcome): outcome for outcome in start["outcomes"]}
        rows.append([start["scheme"], *(_cell(found.get(setting(one))) for one in settings)])
    return {"headings": ["start", *(setting(one) for one in settings)], "rows": rows}


def _cell(outcome: Part | None) -> str:
    if outcome is None:
        return NOTHING
    if outcome["steps"] is not None:
        return steps(outcome["steps"])
    if outcome["diverged"] == len(outcome["runs"]):
        return "diverged"
    return NOTHING if outcome["metric"] is None else f"({metric(outcome['metric'])})"


def _island(document: Part, raced: Sequence[Part]) -> dict[str, Any]:
    """What the charts draw: of each start, under the setting that suits it best, loss and metric by step."""
    race = document["race"]
    length = max((len(run["loss"]) for start in raced for run in start["outcomes"][0]["runs"]), default=0)
    return {
        "titles": [race["every"] * place for place in range(1, length + 1)],
        "target": race["target"],
        "shown": MOST_LINES,
        "itself": AS_IS,
        "starts": [
            {
                "name": str(visible(start["scheme"])),
                **{
                    kind: _band([run[kind] for run in start["outcomes"][0]["runs"]], length)
                    for kind in ("loss", "metric")
                },
            }
            for start in raced
        ],
    }


def _band(curves: Sequence[Sequence[float | None]], length: int) -> dict[str, list[float | None]]:
    """Median, lowest and highest at each place, where half of the draws at least still go on."""
    columns = [[c[i] for c in curves if i < len(c) and c[i] is not None] for i in range(length)]
    known = [column if 2 * len(column) >= len(curves) else [] for column in columns]
    return {
        "middle": [median(column) if column else None for column in known],  # type: ignore[type-var]
        "low": [min(column) if column else None for column in known],  # type: ignore[type-var]
        "high": [max(column) if column else None for column in known],  # type: ignore[type-var]
    }
