"""Uncertainty: how far the score may be off because gradients were measured in random directions."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from initaudit.judgement.score import score_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from initaudit.judgement.dynamics import Dynamics, MeasuredLayer
    from initaudit.measuring.layer_audit import LayerAudit
    from initaudit.probe.signal import Signal

DRAWS = 64
"""Networks whose scores are compared: their standard deviation is then known within a tenth."""


def uncertainty(dynamics: Dynamics, layers: Sequence[LayerAudit]) -> float:
    """Standard deviation of the score when each layer's squared gradients are moved by their standard errors, independently."""
    signals = {audit.layer.name: audit.probed for audit in layers}
    rng = np.random.default_rng(0)

    def moved(layer: MeasuredLayer, signal: Signal | None) -> MeasuredLayer:
        weight, own = np.exp(2 * rng.normal(size=2) * _errors(signal))
        return replace(
            layer,
            kernel=layer.kernel * float(weight),
            gradient=layer.gradient * float(own) ** 0.5,
            reach=layer.reach * float(own),
        )

    scores = [
        score_of(replace(dynamics, layers=tuple(moved(layer, signals.get(layer.name)) for layer in dynamics.layers)))
        for _ in range(DRAWS)
    ]
    return float(np.std(scores))


def _errors(signal: Signal | None) -> np.ndarray:
    """Relative standard errors of the weight gradient and of the gradient, both of the root."""
    if signal is None:
        return np.zeros(2)
    return np.array([signal.weight_gradient_error or 0.0, signal.gradient_error or 0.0])
