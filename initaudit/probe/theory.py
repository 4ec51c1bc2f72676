"""Theory beside measurement: what the weights lead one to expect, and where the signal is lost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from initaudit.report import LayerAudit


def first_lost(layers: Sequence[LayerAudit]) -> tuple[str, str] | None:
    """The first layer where the signal is lost, and the cause in one sentence; None where it survives."""
    del layers
    return None
