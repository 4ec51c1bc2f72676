"""What the page shows of a fix: plain dicts for the template, in the words of the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from initaudit.formats import changes

if TYPE_CHECKING:
    from initaudit.formats.telling import Part

SHOWN = 25
"""Layers that are shown unfolded. A judgement: a screen or two."""


def fix_view(fix: Part, after: Part, anchors: Mapping[str, str]) -> dict[str, Any]:
    """Every change, the rungs that were tried, both verdicts and what was left alone.

    Args:
        fix: the document's `fix`.
        after: the report of the model as it is now, or would be.
        anchors: where its layers stand on the page, by name.
    """
    rows = [
        {
            "title": change["title"],
            "anchor": anchors.get(change["layer"]),
            "moved": changes.moved(change),
            "how": changes.how(change),
            "rung": change["rung"],
            "codes": change["reason"].split(", "),
            "wrong": change["wrong"],
        }
        for change in fix["changes"]
    ]
    return {
        "title": "What fix would change" if fix["changes"] and not fix["written"] else "What fix changed",
        "outcome": changes.outcome(fix),
        "is_written": bool(fix["written"]),
        "shown": rows[:SHOWN],
        "folded": rows[SHOWN:],
        "rungs": [
            {**step, "what": changes.rung(step, fix), "taken_back": changes.taken_back(step)} for step in fix["rungs"]
        ],
        "verdicts": [("before", fix["before"]["verdict"])]
        + ([(changes.then(fix), after["verdict"])] if fix["changes"] else []),
        "stays": changes.stays(fix),
        "notes": fix["notes"],
        "exported": changes.exported(fix),
    }
