"""What the way forward alone tells of a network that is still to be trained: how far the signal falls or grows between its layers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from initaudit.judgement.model_audit import ModelAudit
    from initaudit.measuring.layer_audit import LayerAudit

FAR = 1e6
"""Ratio of signal variances, either way, that is named although the gradient was not measured. A judgement: a factor of 1,000 in std; of the
networks of which that is known, nearly all with such a ratio are slow at best, and what normalisation mends has none."""


def change_of_variance(audit: ModelAudit) -> tuple[float, LayerAudit] | None:
    """Variance of the signal at the last layer over that at the first, and the last layer.

    None where the gradient was measured and says more, or the network is trained; infinite where the signal overflows.
    """
    if audit.probe.mode != "forward" or audit.context.has_training or audit.trainability is not None:
        return None
    probed = [
        a
        for a in audit.layers
        if a.layer.kind.is_product and a.signal is not None and a.layer.name not in audit.probe.elsewhere
    ]
    if len(probed) < 2 or probed[0].signal is None or probed[-1].signal is None:
        return None
    first, last = probed[0].signal.variance, probed[-1].signal.variance
    if not (first > 0 and math.isfinite(first)):
        return None
    return (last / first if math.isfinite(last) else math.inf), probed[-1]
