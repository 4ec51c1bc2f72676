"""What the rules on float16 share."""

from __future__ import annotations

from collections.abc import Sequence

LARGEST = 65504.0
"""Largest finite number of float16 (IEEE 754 binary16)."""
NAMED = 8
"""Nodes named in a suggestion; the JSON report has all of them. A judgement: as many as fit on a few lines."""


def keep_in_float32(nodes: Sequence[str]) -> str:
    """The advice that names the nodes."""
    more = f" and {len(nodes) - NAMED} more" if len(nodes) > NAMED else ""
    return f"Keep in float32: {', '.join(nodes[:NAMED])}{more}."
