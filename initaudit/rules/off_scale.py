"""What INI101 and INI102 share: the finding about a std that is off its target."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from initaudit.judgement.scale import MIN_COUNT, effect_of, scale_severity

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
    yield rule.finding(
        layer,
        f"std {layer.stats.std:.3g} is {times} times the {target.std:.3g} that fits: {effect_of(layer, smaller=smaller)}.",
        measured=layer.stats.std,
        expected=target.std,
        severity=severity,
        ratio=ratio,
        suggestion=TRAINED if layer.trained else f"{target.scheme} with std {target.std:.3g}.",
    )
