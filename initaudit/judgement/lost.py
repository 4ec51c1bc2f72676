"""Where the signal is lost for good, and why."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from initaudit.measuring.layer_audit import LayerAudit

LOST = 1e-8
"""Variance over inputs, as a share of that which entered, below which the signal counts as lost: the weights behind get gradients
1e-4 of those in front, which no single learning rate serves, and beside a bias of order one less than four digits of float32 are left."""

EXPLODED = 1 / LOST
"""Share above which it counts as exploded: a factor of 1e4 in std. No layer of a trained network comes near (`benchmarks/thresholds.py
trained`)."""

ALL_DEAD = 0.99
"""Share of dead units from which a layer passes on next to nothing. A judgement: in a layer of up to 100 units
it takes all of them."""

SUDDEN = 1e-3
"""Growth of the variance at one layer that is a break, not a trend: a scheme that does not fit its activation loses a factor of two or
so at each layer, and takes ten of them for as much. A judgement."""


def first_lost(layers: Sequence[LayerAudit]) -> tuple[str, str] | None:
    """The first layer from which on the signal is lost for good, and the cause in one sentence; None where it survives.

    A layer in front of others that carry the signal again (a dead side branch, a scale that a normalisation mends) loses
    nothing. Heads may start at zero.
    """
    probed = [a for a in layers if a.signal is not None and not (a.layer.is_head and _is_zero(a))]
    reference = _reference(probed)
    lost: int | None = None
    for index in range(len(probed) - 1, -1, -1):
        if _why_lost(probed[index], reference) is None:
            break
        lost = index
    if lost is None:
        return None
    audit = probed[lost]
    return audit.layer.name, _cause(probed, lost, reference)


def _reference(probed: Sequence[LayerAudit]) -> float:
    """Variance of what the network is fed, as its first layer sees it."""
    for audit in probed:
        signal = audit.signal
        if signal is not None and signal.input is not None and signal.input.variance > 0:
            return signal.input.variance
    return 1.0


def _why_lost(audit: LayerAudit, reference: float) -> str | None:
    """How the signal is lost at this layer: not finite, dead, vanished, exploded; None where it is not."""
    signal = audit.signal
    assert signal is not None
    if signal.nonfinite > 0 or not math.isfinite(signal.mean_square):
        return "not finite"
    if signal.dead is not None and signal.dead >= ALL_DEAD and not audit.layer.is_head:  # a sure answer is no loss
        return "dead"
    if signal.variance < LOST * reference or not signal.variance_resolved:
        return "vanished"
    if signal.variance > EXPLODED * reference:
        return "exploded"
    return None


def _cause(probed: Sequence[LayerAudit], lost: int, reference: float) -> str:
    audit = probed[lost]
    signal, stats, layer = audit.signal, audit.stats, audit.layer
    assert signal is not None
    why = _why_lost(audit, reference)
    weight = f"the weights of {layer.title} (std {stats.std:.3g}{_against_target(audit)})"
    if why == "not finite":
        if stats.nonfinite:
            return f"{stats.nonfinite} weights of {layer.title} are NaN or infinite"
        return f"{signal.nonfinite:.0%} of what {layer.title} gives is NaN or infinite"
    if why == "dead":
        bias = audit.bias
        low = f", its bias averages {bias.mean:.3g}" if bias is not None and abs(bias.mean) > stats.std else ""
        return f"{signal.dead:.0%} of the units of {layer.title} lie in the flat part of {layer.activation} for every input{low}"
    if _is_zero(audit):
        return f"all weights of {layer.title} are zero"
    if signal.growth is None or signal.growth < SUDDEN or signal.growth > 1 / SUDDEN:
        return f"{weight} scale the variance by {_times(signal.growth)} at once"
    names = {a.layer.activation or "no activation" for a in probed[: lost + 1]}
    through = f" through {next(iter(names))}" if len(names) == 1 else ""
    steps = [a.signal.growth for a in probed[: lost + 1] if a.signal is not None and a.signal.growth]
    typical = float(np.exp(np.mean(np.log(steps)))) if steps else math.nan
    if why == "vanished" and signal.similarity is not None and signal.similarity > 1 - LOST:
        return (
            f"each layer{through} leaves {typical:.2g} of the variance over inputs, so that all inputs look the same from "
            f"{layer.title} on; {_worst(probed[: lost + 1])}"
        )
    return f"each layer{through} multiplies the variance by {typical:.2g} on average; {_worst(probed[: lost + 1])}"


def _worst(probed: Sequence[LayerAudit]) -> str:
    """The weight that is furthest from its target, as the place to begin."""
    judged = [a for a in probed if a.ratio]
    if not judged:
        return "no target is known for the weights on the way"
    worst = max(judged, key=lambda a: abs(math.log(a.ratio or 1.0)))
    if worst.target is None or worst.ratio is None:
        return ""
    return (
        f"{worst.layer.title} has weights of std {worst.stats.std:.3g}, {worst.ratio:.2g} times the "
        f"{worst.target.std:.3g} of {worst.target.scheme}"
    )


def _against_target(audit: LayerAudit) -> str:
    if audit.target is None or not audit.ratio:
        return ""
    return f", {audit.ratio:.2g} times the {audit.target.std:.3g} of {audit.target.scheme}"


def _times(growth: float | None) -> str:
    return f"{growth:.2g}" if growth is not None else "too much"


def _is_zero(audit: LayerAudit) -> bool:
    return audit.stats.std == 0.0 and audit.stats.mean == 0.0
