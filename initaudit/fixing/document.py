"""What the JSON document says of a fix: its key `fix`, beside the reports."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from initaudit.report.document import number

if TYPE_CHECKING:
    from initaudit.fixing.fixer import FixResult
    from initaudit.fixing.weights import Exported


NUMBERS = ("std_before", "std_after", "mean_before", "mean_after", "bias_before", "bias_after")
"""Of a change, what may be no finite number."""


def fix_part(result: FixResult) -> dict[str, Any]:
    """What was changed and written, and the whole report of the model as it was; that of the model as it is now is the document's report."""
    changes = [asdict(change) for change in result.changes]
    for change in changes:
        change |= {key: number(change[key]) for key in NUMBERS}
    return {
        "model": result.before.path,
        "written": [str(path) for path in result.written],
        "held_back": result.held_back,
        "rungs": [asdict(step) for step in result.steps],
        "changes": changes,
        "refusals": [asdict(refusal) for refusal in result.refusals],
        "left": [asdict(left) for left in result.left],
        "notes": list(result.notes),
        "exported": None if result.exported is None else _plain(result.exported),
        "before": result.before.entry(),
    }


def _plain(exported: Exported) -> dict[str, Any]:
    return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(exported).items()}
