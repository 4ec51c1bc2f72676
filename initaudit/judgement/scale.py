"""When a weight's scale is off: how bad it is, judged by its effect. Shared by INI101 and INI102."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from initaudit.activations.surroundings import is_normalized
from initaudit.activations.trace import trace_from
from initaudit.findings import Severity
from initaudit.initialisation.targets import SIGMOIDAL
from initaudit.judgement.gain import signal_gain
from initaudit.judgement.model_audit import once_per_audit
from initaudit.judgement.score import TRAINABLE, UNHARMED
from initaudit.judgement.trained_scale import trained_severity
from initaudit.kind import Kind

if TYPE_CHECKING:
    from initaudit.extraction.layer import Layer
    from initaudit.judgement.model_audit import ModelAudit
    from initaudit.judgement.trainability import Trainability
    from initaudit.measuring.layer_audit import LayerAudit

MIN_COUNT = 32
"""Weights below which a std is too uncertain (+-12 %) and the layer too small to matter."""
GROSS = 10.0
"""Factor off target from which a fresh layer is named even where the network would still train. A judgement: a hundred in
variance is no scheme's misfit but a mistake."""
HALVED = 2.0
"""Factor by which the signal must shrink in a layer of a chain for its small weights to count: where its input has a matching size, it does not."""
OPEN = 0.5
"""Mean bias beyond which a factor without an activation passes most of what it multiplies, however small its weights: half of
the customary start at 1 (Liu et al. 2021, section 2.1)."""
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
        or (facts.gives_offsets and (smaller or audit.context.has_training))
    ):
        return None
    untrained = layer.provenance is not None and layer.provenance.untrained is True
    if audit.context.has_training and not untrained:
        return trained_severity(layer, audit, smaller=smaller)
    off = 1 / ratio if smaller else ratio
    if off <= (1 / bound if smaller else bound):
        return None
    if facts.gives_offsets:
        return Severity.WARNING  # the taps read at random places
    # a small head or end of a branch adds little, and a gate that its bias holds open passes the other factor; only a chain
    # multiplies, and within a branch the layers in front of its end are one
    adds_little = smaller and (facts.is_head or _held_open(layer))
    if facts.normalized_before_use or facts.folded_norm or facts.ends_residual_branch or adds_little:
        return Severity.INFO
    learning = None if audit.context.has_training else audit.trainability
    if learning is not None and learning.score < TRAINABLE and _confirmed(layer, smaller=smaller, factor=1.0):
        return Severity.ERROR
    harmful = off > GROSS and (_starves(layer, audit, learning) if smaller else _floods(layer))
    return Severity.WARNING if harmful or (not smaller and _saturates(layer)) else Severity.INFO


def _starves(layer: LayerAudit, audit: ModelAudit, learning: Trainability | None) -> bool:
    """Whether weights that are far too small harm.

    A scheme chosen knowingly, N(0, 0.02) in a narrow transformer, is harmful only where the probe says so. A layer of a plain chain that is
    alone with its scale is at least slow: a network with two at a twentieth of He's std learns in two to five times the steps.
    """
    if learning is None:
        return _law(layer) is None
    if learning.score < UNHARMED:
        return True
    return (
        _is_in_plain_chain(layer.layer)
        and _confirmed(layer, smaller=True, factor=HALVED)
        and not _is_the_scheme(_law(layer), audit)
    )


def _is_the_scheme(law: str | None, audit: ModelAudit) -> bool:
    """Whether half of the layers that have a target were drawn from `law`: a few small ones fit one by accident."""
    laws = _laws(audit)
    return law is not None and 2 * laws[law] >= laws.total()


@once_per_audit
def _laws(audit: ModelAudit) -> Counter[str | None]:
    """How many of the layers that have a target were drawn from each law."""
    return Counter(_law(a) for a in audit.layers if a.target is not None)


def _law(layer: LayerAudit) -> str | None:
    return layer.provenance.law if layer.provenance is not None else None


def _floods(layer: LayerAudit) -> bool:
    """Whether weights that are far too large inflate the signal: Xavier's std for the head of a large vocabulary is tiny, and counts for nothing."""
    gain = signal_gain(layer)
    return gain is None or gain > 1.0


def _is_in_plain_chain(facts: Layer) -> bool:
    """Whether the scale of the layer reaches the next weights: no shortcut past it, no norm, gate or attention behind it."""
    behind = facts.postactivation or facts.output
    return (
        facts.kind.is_product
        and not facts.in_residual_branch
        and not {"gate", "attention", "softmax"} & set(facts.feeds)
        and not (behind is not None and is_normalized(trace_from(behind)))
    )


def _held_open(layer: LayerAudit) -> bool:
    """Whether the layer gives a factor that starts at its bias (gMLP: Liu et al. 2021, section 2.1)."""
    bias = layer.bias
    return layer.layer.activation is None and "gate" in layer.layer.feeds and bias is not None and abs(bias.mean) > OPEN


def _saturates(layer: LayerAudit) -> bool:
    saturated = layer.signal.saturated if layer.signal is not None else None
    return layer.layer.activation in SIGMOIDAL and saturated is not None and saturated >= SATURATED


def effect_of(layer: LayerAudit, *, smaller: bool) -> str:
    """What the scale does to the signal, from the probe where it ran."""
    gain = signal_gain(layer)
    if layer.layer.folded_norm and not layer.trained:
        return "the exporter folded the BatchNorm behind it, which makes up for the scale in training"
    if layer.layer.normalized_before_use:
        return "the normalisation behind it hides the scale from the forward signal"
    if gain is None:
        return "it shrinks the signal" if smaller else "it inflates the signal"
    return f"the signal's std is multiplied by {gain:.2g} here"


def _confirmed(layer: LayerAudit, *, smaller: bool, factor: float) -> bool:
    gain = signal_gain(layer)
    if gain is None:
        return False
    return gain < 1 / factor if smaller else gain > factor
