"""Starts as one page: who wins, the quantities through depth with a line a start, histograms layer by layer, the table.

Names come from files that nobody vouches for: they pass through the same walls as in `initaudit.formats.page.page`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jinja2.utils import htmlsafe_json_dumps

from initaudit.formats.page.page import rendered
from initaudit.formats.page.words import visible
from initaudit.formats.printing import number
from initaudit.formats.starts import AS_IS, AUTO, HEADINGS, cells, told_why, values

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Part = Mapping[str, Any]

SCRIPTS = (
    "vendor/uPlot.iife.min.js",
    "page/theme.js",
    "page/numbers.js",
    "page/overlays.js",
    "page/depth_chart.js",
    "page/starts.js",
)
STYLES = (
    "vendor/uPlot.min.css",
    "page/page.css",
    "page/picture.css",
    "page/comparison.css",
    "page/starts.css",
    "page/print.css",
)

MOST_COLUMNS = 6
"""Layers whose histograms are shown, spread through depth. A judgement: as many as fit beside each other on a laptop."""
MOST_LINES = 16
"""Starts that are drawn as lines at first; further ones wait behind their buttons. A judgement: more lines are not told apart."""
WIDTH, HEIGHT = 120, 44
"""Of a histogram, in pixels."""


def starts_page(document: Part) -> str:
    """One self-contained page for a document of `initaudit.starts.document`."""
    starts = document["starts"]
    measured = [start for start in starts if start["layers"]]
    shown = _columns(measured)
    itself = next((start for start in measured if start["scheme"] == AS_IS), None)
    fresh = itself is None or itself["verdict"]["context"] == "fresh"
    return rendered(
        "starts.html.j2",
        scripts=SCRIPTS,
        styles=STYLES,
        tool=document["tool"],
        run=document["run"],
        model=document["model"],
        sentence=document["sentence"],
        outcome=_outcome(document),
        unlike=told_why(document),
        headings=HEADINGS,
        rows=[{"cells": cells(start), "status": _status(start), "kept": start["kept"]} for start in starts],
        titles=[measured[0]["layers"][place]["title"] for place in shown] if measured else [],
        histograms=[_histograms(start, shown) for start in measured],
        has=_has(measured),
        names={
            AS_IS: "the network as the file holds it",
            AUTO: "what `initaudit fix` would write" if fresh else "every layer by its target",
        },
        island=htmlsafe_json_dumps(_island(measured), separators=(",", ":"), allow_nan=False),
    )


def _outcome(document: Part) -> str:
    """Whether the network learns from any start; empty where that is not known."""
    if document["winner"] is not None:
        return "pass"
    verdicts = [start["verdict"] for start in document["starts"] if start["verdict"]]
    return "" if verdicts and all(verdict["trainability"] is None for verdict in verdicts) else "fail"


def _status(start: Part) -> str:
    return start["verdict"]["status"] if start["verdict"] else "error"


def _columns(measured: Sequence[Part]) -> list[int]:
    """Places of the layers whose histograms are shown: the first, the last and some between, of those that have one."""
    if not measured:
        return []
    known = [i for i, layer in enumerate(measured[0]["layers"]) if layer["signal"] and layer["signal"]["histogram"]]
    if len(known) <= MOST_COLUMNS:
        return known
    return [known[round(k * (len(known) - 1) / (MOST_COLUMNS - 1))] for k in range(MOST_COLUMNS)]


def _histograms(start: Part, places: Sequence[int]) -> dict[str, Any]:
    return {
        "scheme": start["scheme"],
        "status": _status(start),
        "drawn": [_histogram(start["layers"][i]) for i in places],
    }


def _histogram(layer: Part) -> dict[str, Any] | None:
    """The outline of the counts as an SVG path, its highest bin as high as the picture; and its ends."""
    found = layer["signal"] and layer["signal"]["histogram"]
    if not found or not max(found["counts"], default=0):
        return None
    counts = found["counts"]
    step, highest = WIDTH / len(counts), max(counts)
    points = []
    for i, count in enumerate(counts):
        y = HEIGHT * (1 - count / highest)
        points += [f"{i * step:.1f} {y:.1f}", f"{(i + 1) * step:.1f} {y:.1f}"]
    return {
        "path": f"M0 {HEIGHT}L{'L'.join(points)}L{WIDTH} {HEIGHT}Z",
        "low": number(found["low"]),
        "high": number(found["high"]),
    }


def _has(measured: Sequence[Part]) -> dict[str, bool]:
    """Which quantities are known of any start."""
    names = ("variance", "gradient_rms", "saturated", "similarity", "predicted_variance")
    return {name: any(v is not None for start in measured for v in values(start, name)) for name in names}


def _island(measured: Sequence[Part]) -> dict[str, Any]:
    """What the charts draw: of each start every quantity by layer."""
    layers = measured[0]["layers"] if measured else []
    quantities = {
        "variance": "variance",
        "gradient": "gradient_rms",
        "saturated": "saturated",
        "similarity": "similarity",
    }
    return {
        "titles": [str(visible(layer["title"])) for layer in layers],
        "kinds": [layer["op_type"] for layer in layers],
        "shown": MOST_LINES,
        "itself": AS_IS,
        "starts": [
            {
                "name": str(visible(start["scheme"])),
                **{name: values(start, key) for name, key in quantities.items()},
                "theory": [_ratio(layer["signal"]) for layer in start["layers"]],
            }
            for start in measured
        ],
    }


def _ratio(signal: Part | None) -> float | None:
    """Predicted over measured variance."""
    if signal is None or not signal["variance"] or signal["predicted_variance"] is None:
        return None
    ratio: float = signal["predicted_variance"] / signal["variance"]
    return ratio
