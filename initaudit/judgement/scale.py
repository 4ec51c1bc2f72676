"""When a weight's scale is off: how bad it is, judged by its effect. Shared by INI101 and INI102."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from initaudit.findings import Severity
from initaudit.initialisation.targets import SIGMOIDAL
from initaudit.judgement.score import TRAINABLE, UNHARMED
from initaudit.kind import Kind

if TYPE_CHECKING:
    from initaudit.judgement.model_audit import ModelAudit
    from initaudit.measuring.layer_audit import LayerAudit

MIN_COUNT = 32
"""Weights below which a std is too uncertain (+-12 %) and the layer too small to matter."""
GROSS = 10.0
"""Factor off target from which a fresh layer is named even where the network would still train. A judgement: a hundred in
variance is no scheme's misfit but a mistake."""
TRAINED_FACTOR = 15.0
"""Factor off target from which a trained layer is suspicious. Of 509 trained layers of 47 networks 98 % lie between 1/10 and 7,
and the six beyond 15 are branches that died (std 1e-40) and first layers, whose inputs had another scale
(`benchmarks/thresholds.py trained`)."""
OPEN = 0.5
"""Mean bias beyond which a factor without an activation passes most of what it multiplies, however small its weights: half of
the customary start at 1 (Liu et al. 2021, section 2.1)."""
TRAINED_GAIN = 8.0
"""Factor between the signal's std that enters and leaves a trained layer, in the same direction, that the probe must confirm:
one trained layer in fifty has more (`benchmarks/thresholds.py trained`)."""

LEAST_GAIN = 2.0
"""The same for a std that is very far off. A judgement: what is four times the variance is not noise."""


SATURATED = 0.5
"""Share of saturated pre-activations from which a fresh layer is named. A judgement: half of the units pass no gradient; Xavier
before tanh saturates less than 0.3 %."""


def scale_severity(layer: LayerAudit, audit: ModelAudit, bound: float, *, smaller: bool) -> Severity | None:
    """None where the scale is within `bound` (a ratio to the target's std) or has no consequence worth a word."""
    ratio, facts = layer.ratio, layer.layer
    if (
        ratio is None
        or facts.untrainable
        or layer.stats.std == 0
        or layer.stats.nonfinite
        or facts.kind is Kind.EMBEDDING
    ):
        return None
    off = 1 / ratio if smaller else ratio
    if audit.context.has_training:
        return _trained(layer, off, smaller=smaller)
    if off <= (1 / bound if smaller else bound):
        return None
    # a small head or end of a branch adds little, and a gate that its bias holds open passes the other factor; only a chain
    # multiplies, and within a branch the layers in front of its end are one
    adds_little = smaller and (facts.is_head or _held_open(layer))
    if facts.normalized_before_use or facts.folded_norm or facts.ends_residual_branch or adds_little:
        return Severity.INFO
    learning = audit.trainability
    untrainable = learning is not None and learning.score < TRAINABLE
    if untrainable and _confirmed(layer, smaller=smaller, factor=1.0):
        return Severity.ERROR
    if smaller:  # what is small and yet learns well does no harm: N(0, 0.02) in a narrow transformer
        unproved = learning is None and _is_published(
            layer
        )  # a scheme chosen knowingly; only the probe can say that it harms
        harmful = off > GROSS and not unproved and (learning is None or learning.score < UNHARMED)
    else:
        gain = signal_gain(
            layer
        )  # Xavier's std for a head of a large vocabulary is tiny; what counts is what leaves the layer
        harmful = (off > GROSS and (gain is None or gain > 1.0)) or _saturates(layer)
    return Severity.WARNING if harmful else Severity.INFO


def _held_open(layer: LayerAudit) -> bool:
    """Whether the layer gives a factor that starts at its bias (gMLP: Liu et al. 2021, section 2.1)."""
    bias = layer.bias
    return layer.layer.activation is None and "gate" in layer.layer.feeds and bias is not None and abs(bias.mean) > OPEN


def _is_published(layer: LayerAudit) -> bool:
    return layer.provenance is not None and layer.provenance.law is not None


def _saturates(layer: LayerAudit) -> bool:
    saturated = layer.signal.saturated if layer.signal is not None else None
    return layer.layer.activation in SIGMOIDAL and saturated is not None and saturated >= SATURATED


def effect_of(layer: LayerAudit, *, smaller: bool) -> str:
    """What the scale does to the signal, from the probe where it ran."""
    gain = signal_gain(layer)
    if layer.layer.folded_norm:
        return "the exporter folded the BatchNorm behind it, which makes up for the scale in training"
    if layer.layer.normalized_before_use:
        return "the normalisation behind it hides the scale from the forward signal"
    if gain is None:
        return "it shrinks the signal" if smaller else "it inflates the signal"
    return f"the signal's std is multiplied by {gain:.2g} here"


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


def _trained(layer: LayerAudit, off: float, *, smaller: bool) -> Severity | None:
    if off < TRAINED_FACTOR:
        return None
    needed = max(LEAST_GAIN, TRAINED_GAIN * TRAINED_FACTOR / off)  # what is further off needs less to confirm it
    bounded = layer.layer.kind.is_recurrent  # the gain of the signal says nothing of the weights of a cell
    if bounded or _confirmed(layer, smaller=smaller, factor=needed):
        return Severity.WARNING
    return None


def _confirmed(layer: LayerAudit, *, smaller: bool, factor: float) -> bool:
    gain = signal_gain(layer)
    if gain is None:
        return False
    return gain < 1 / factor if smaller else gain > factor
