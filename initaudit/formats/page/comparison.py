"""The page for a comparison: no script, and the styles of the report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from initaudit.formats import differences
from initaudit.formats.page.page import rendered
from initaudit.formats.telling import subject

if TYPE_CHECKING:
    from initaudit.formats.telling import Part

STYLES = ("page/page.css", "page/comparison.css")
VERDICTS = {"worse": "fail", "mixed": "warn", "better": "pass", "same": "pass"}
"""The class of the report's style that an outcome is shown in."""


def comparison_page(document: Part) -> str:
    """One self-contained page for a comparison as `initaudit.report.comparison` makes it."""
    return rendered(
        "comparison.html.j2",
        styles=STYLES,
        tool=document["tool"],
        notes=[*document["notes"], *document["gate"]["missed"]],
        models=[_model(model) for model in differences.by_outcome(document)],
    )


def _model(model: Part) -> dict[str, Any]:
    """What the template shows of one model."""
    found = model["findings"]
    return {
        "title": differences.title(model),
        "verdict": VERDICTS[model["outcome"]],
        "outcome": differences.outcome(model),
        "statuses": differences.statuses(model),
        "notes": model["notes"],
        "measures": list(differences.measures(model)),
        "changed": [_finding(f) for f in found if f["state"] != "unchanged"],
        "unchanged": [_finding(f) for f in found if f["state"] == "unchanged"],
        "no_findings": differences.no_findings(model),
        "new": sum(f["state"] in ("new", "worse") for f in found),
        "gone": sum(f["state"] == "gone" for f in found),
        "layers": [_layer(layer) for layer in model["layers"]],
        "layer_counts": differences.layer_counts(model),
        "alike": any(layer["state"] == "alike" for layer in model["layers"]),
    }


def _finding(finding: Part) -> dict[str, Any]:
    return {
        **finding,
        "state": finding["state"],
        "fate": differences.STATES[finding["state"]],
        "severities": differences.severity(finding),
        "subject": subject(finding),
    }


def _layer(layer: Part) -> dict[str, Any]:
    shown = [differences.arrow(layer["statistics"][key]) for key in differences.SHOWN]
    return {**layer, "amount": differences.change(layer), "shown": shown}
