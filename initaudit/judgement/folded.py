"""BatchNorms that an exporter folded into the layers before them: the file lacks what training would run."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from initaudit.judgement.context import Context
    from initaudit.measuring.layer_audit import LayerAudit
    from initaudit.probe.probe import ProbeResult


def why_unjudged(layers: Sequence[LayerAudit], context: Context, probe: ProbeResult) -> str | None:
    """Why what the probe measured does not tell whether the network will learn; None where it does.

    A fresh BatchNorm does nothing in evaluation mode and everything in training, so the folded network is another one. In a
    trained network the fold holds the statistics that the network runs with.
    """
    folded = sum(a.layer.folded_norm for a in layers)
    if not folded or probe.norms_restored or context.has_training:
        return None
    return (
        f"Whether it learns was not judged: the exporter folded {folded} BatchNorms into the layers before them, and in training "
        "they restore the scale; export in training mode to judge that network."
    )
