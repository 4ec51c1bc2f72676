"""A run as JSON lines, for other programs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from initaudit.formats.printing import json_text

if TYPE_CHECKING:
    from initaudit.fleet.noting import Noted
    from initaudit.fleet.overview import Overview
    from initaudit.fleet.trends import Change


def json_lines(view: Overview, *, changed: bool = False) -> Iterator[str]:
    """A line a model, the worst first, then a line a model that is gone; each with what became of it since the earlier run.

    With `changed`, only those that something became of.
    """
    turned = {change.path for change in view.turned}
    for model in view.models:
        if not changed or model.path in turned:
            yield json_text(_model(model, view.changes.get(model.path))) + "\n"
    for change in view.gone:
        yield json_text({"path": change.path, "fate": change.fate.value, "turns": _turns(change)}) + "\n"


def _model(model: Noted, change: Change | None) -> dict[str, object]:
    row = model.row
    of_row = ("parameters", "audited", "layers", "bytes", "seconds", "attempts", "key")
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
                "code": finding.code,
                "name": finding.name,
                "severity": finding.severity.value,
                "layer": finding.layer,
                "initializer": finding.initializer,
                "fingerprint": finding.fingerprint,
                "suppressed": finding.suppressed,
            }
            for finding in model.findings
        ],
        "missed": list(model.missed),
        "failed_rules": list(row.failed_rules),
        "exit_code": model.exit_code,
        **{name: getattr(row, name) for name in of_row},
        "fate": None if change is None else change.fate.value,
        "turns": [] if change is None else _turns(change),
    }


def _turns(change: Change) -> list[dict[str, str]]:
    return [
        {
            "fate": turn.fate.value,
            "code": turn.finding.code,
            "severity": turn.finding.severity.value,
            "fingerprint": turn.finding.fingerprint,
        }
        for turn in change.turns
    ]
