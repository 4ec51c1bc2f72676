"""Gain: by how much a layer multiplies the signal."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from initaudit.measuring.layer_audit import LayerAudit


def signal_gain(layer: LayerAudit) -> float | None:
    """Measured std over inputs of the layer's own output, over that of what enters it; None where not probed.

    The variance over inputs leaves the bias out, which the rms would not. Behind a BatchNormalization in inference mode the
    scale passes through (its statistics are constants), so there its output counts.
    """
    signal = layer.signal
    if signal is None or signal.input is None or not signal.input.variance > 0:
        return None
    behind = (
        signal.own.variance if signal.own is not None and layer.layer.normalized_by != "batch_norm" else signal.variance
    )
    if not math.isfinite(behind) or not math.isfinite(signal.input.variance):
        return None
    return math.sqrt(behind / signal.input.variance)
