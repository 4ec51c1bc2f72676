"""What INI101 and INI102 share: the finding about a std that is off its target."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from initaudit.findings import Severity
from initaudit.judgement.gain import signal_gain
from initaudit.judgement.scale import MIN_COUNT, effect_of, scale_severity
from initaudit.judgement.trained_scale import ORDINARY

if TYPE_CHECKING:
    from initaudit.findings import Finding
    from initaudit.judgement.model_audit import ModelAudit
    from initaudit.measuring.layer_audit import LayerAudit
    from initaudit.rule import Rule

TRAINED = (
    "Check the scale of the inputs (`--input-data` gives real ones), how the weights were loaded and converted, "
    "and whether a normalisation that the layer was trained with is missing from the file."
)
"""What to do about the scale of a layer that was trained: no scheme has anything to say of it."""
INPUTS = (
    "Nothing, where the inputs have that scale (pixels of 0 to 255 call for small weights); "
    "`--input-data` gives the probe real ones."
)
"""What to do where the units of the inputs explain the scale of the first layer."""


def scale_findings(
    rule: Rule, layer: LayerAudit, audit: ModelAudit, bound: float, *, smaller: bool
) -> Iterator[Finding]:
    """The finding of `rule` where the layer's std is beyond `bound` times its target and that has a consequence."""
    ratio, target = layer.ratio, layer.target
    if ratio is None or target is None or (smaller and ratio == 0) or layer.stats.count < MIN_COUNT:
        return
    severity = scale_severity(layer, audit, bound, smaller=smaller)
    if severity is None:
        return
    times = f"{ratio:.2g}" if smaller else f"{ratio:.3g}"
    effect = effect_of(layer, smaller=smaller)
    if layer.trained:
        low, high = ORDINARY
        message = f"std {layer.stats.std:.3g} is {times} times the {target.std:.3g} of a fresh layer, where trained ones have {low:g} to {high:g}"
        suggestion = TRAINED if severity is Severity.WARNING else INPUTS
    else:
        message = f"std {layer.stats.std:.3g} is {times} times the {target.std:.3g} that fits"
        suggestion = f"{target.scheme} with std {target.std:.3g}."
    yield rule.finding(
        layer,
        f"{message}: {effect}{_inputs_that_fit(layer) if severity is Severity.INFO and layer.trained else ''}.",
        measured=layer.stats.std,
        expected=target.std,
        severity=severity,
        ratio=ratio,
        suggestion=suggestion,
    )


def _inputs_that_fit(layer: LayerAudit) -> str:
    """What a first layer tells of the units of the inputs it was trained on."""
    gain = signal_gain(layer)
    return f", which suits inputs with a std of about {1 / gain:.2g}" if gain else ""
