"""Laws that a weight fits by chance, seen beside the other weights of the network.

One weight that passes for a draw is evidence; one of fifty that passes barely, while the others were trained, is what chance brings.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from initaudit.stats.provenance import ACCEPT, CERTAIN_SCALE_FREE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from initaudit.measuring.layer_audit import LayerAudit

LARGEST_CORRECTION: Final = 0.05
"""p-value that no number of layers makes too small for a draw. A judgement: the usual level, at which one draw in twenty is left open."""


def without_coincidences(layers: Sequence[LayerAudit]) -> list[LayerAudit]:
    """The layers, with the verdict open where a draw is explained as well by chance."""
    judged = {_tensor(audit) for audit in layers if audit.provenance and audit.provenance.p_value is not None}
    moved = {
        _tensor(audit)
        for audit in layers
        if audit.provenance and audit.provenance.untrained is False and audit.provenance.confidence == "high"
    }
    least = min(LARGEST_CORRECTION, 1.0 - (1.0 - ACCEPT) ** len(judged)) if moved else 0.0  # Sidak 1967
    return [_corrected(audit, least, beside_trained=_tensor(audit) in moved) for audit in layers]


def _tensor(audit: LayerAudit) -> int:
    """Identity of the stored tensor behind the weight."""
    return id((*audit.layer.weight.tensors, audit)[0])


def _corrected(audit: LayerAudit, least: float, *, beside_trained: bool) -> LayerAudit:
    """The layer, its verdict open where p-values below `least` are expected or another part of its tensor was trained."""
    origin = audit.provenance
    if origin is None or origin.untrained is not True or origin.p_value is None:
        return audit
    if origin.distribution != "uniform" and origin.p_value < least and audit.stats.count < CERTAIN_SCALE_FREE:
        why = f"of so many weights of a trained network one fits as badly by chance (p < {least:.2g})"
    elif beside_trained and origin.law is None:
        why = "another part of the same tensor was trained"
    else:
        return audit
    return replace(audit, provenance=replace(origin, untrained=None, confidence="low", why=f"{origin.why}; but {why}"))
