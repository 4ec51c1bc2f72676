"""Laws that a weight fits by chance, seen beside the other weights of the network.

One weight that passes for a draw is evidence; one of fifty that passes barely, while the others were trained, is what chance brings.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from initaudit.stats.provenance import ACCEPT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from initaudit.measuring.layer_audit import LayerAudit
    from initaudit.stats.provenance import Provenance

LARGEST_CORRECTION: Final = 0.05
"""p-value that no number of layers makes too small for a draw. A judgement: the usual level, at which one draw in twenty is left open."""


def without_coincidences(layers: Sequence[LayerAudit]) -> list[LayerAudit]:
    """The layers, with the verdict open where a draw is explained as well by chance."""
    judged = {id(a.layer.weight.tensors[0]): a for a in layers if _tested(a) and a.layer.weight.tensors}
    moved = {
        id(a.layer.weight.tensors[0])
        for a in layers
        if a.provenance
        and a.provenance.untrained is False
        and a.provenance.confidence == "high"
        and a.layer.weight.tensors
    }
    least = min(LARGEST_CORRECTION, 1.0 - (1.0 - ACCEPT) ** len(judged)) if moved else 0.0  # Sidak 1967
    found = []
    for audit in layers:
        origin, tensors = audit.provenance, audit.layer.weight.tensors
        why = None
        if origin is not None and origin.untrained is True and _tested(audit):
            why = _by_chance(origin, least, moved=bool(tensors) and id(tensors[0]) in moved)
        if origin is not None and why is not None:
            origin = replace(origin, untrained=None, confidence="low", why=f"{origin.why}; but {why}")
        found.append(audit if origin is audit.provenance else replace(audit, provenance=origin))
    return found


def _tested(audit: LayerAudit) -> bool:
    """Whether its values were compared with laws."""
    return audit.provenance is not None and audit.provenance.p_value is not None


def _by_chance(origin: Provenance, least: float, *, moved: bool) -> str | None:
    """Why the fit proves nothing, in words; None where it does."""
    if origin.distribution != "uniform" and origin.p_value is not None and origin.p_value < least:
        return f"of so many weights of a trained network one fits so well by chance (below p = {least:.2g})"
    if moved and origin.law is None:
        return "another part of the same tensor was trained"
    return None
