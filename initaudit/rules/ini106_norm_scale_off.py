"""INI106 norm-scale-off: the scale of a normalisation starts far from 1."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from initaudit.findings import Finding, Remedy, Severity
from initaudit.judgement.score import TRAINABLE, UNHARMED
from initaudit.kind import Kind
from initaudit.rule import Rule, Threshold

if TYPE_CHECKING:
    from initaudit.judgement.model_audit import ModelAudit
    from initaudit.measuring.layer_audit import LayerAudit

OFF = 10.0
"""Factor between the scale's root mean square and 1 from which it is named. A judgement, that of INI101: a hundred in variance is no
design but a mistake; RepVGG draws its scales from N(0.1, 0.1), root mean square 0.14 (timm)."""


class NormScaleOff(Rule):
    """The scale of a normalisation starts far from 1.

    Why: the norm gives values of unit size, which its scale multiplies; a small one shrinks every signal and gradient that passes,
        a large one saturates what comes behind, whatever the weights in front are.
    Harmless when: a small scale, down to zero, ends a residual branch (zero gamma: Goyal et al. 2017, section 5.1), which is not
        named; or the network is shallow enough to learn all the same; then the finding is information.
    Fix: `initaudit fix --select INI106` sets the scale to 1.
    References: Ioffe & Szegedy 2015, section 3; Ba, Kiros & Hinton 2016, section 3.
    """

    code = "INI106"
    name = "norm-scale-off"
    severity = Severity.WARNING
    by_consequence = (Severity.ERROR, Severity.INFO)
    remedy = Remedy.DRAW_LAYER
    thresholds = (Threshold("factor", OFF, "root mean square of the scale, or the inverse, above"),)

    def check_layer(self, layer: LayerAudit, audit: ModelAudit) -> Iterator[Finding]:
        """Where nothing was trained; judged by whether the network learns."""
        stats, facts = layer.stats, layer.layer
        if facts.kind is not Kind.NORM or facts.untrainable or stats.nonfinite or audit.context.has_training:
            return
        if facts.input is None or facts.input.is_static:  # weights are normalised (NFNet), to 1 / sqrt(fan_in)
            return
        size = stats.root_mean_square
        off = self.threshold("factor")
        smaller = size < 1 / off
        if 1 / off <= size <= off or (smaller and facts.ends_residual_branch):
            return
        effect = f"every normalised value is multiplied by {size:.2g}" if size else "nothing passes it"
        yield self.finding(
            layer,
            f"The root mean square of the norm's scale is {size:.2g} where norms start at 1: {effect}.",
            measured=size,
            expected=1.0,
            severity=_severity(layer, audit),
            remedy=self.remedy,
            suggestion="Set the scale to 1.",
        )


def _severity(layer: LayerAudit, audit: ModelAudit) -> Severity:
    learning = audit.trainability
    if learning is None:  # only of a norm that is an operator is it known what size its values have
        return Severity.WARNING if layer.layer.node.spec.norm else Severity.INFO
    if learning.score < TRAINABLE:
        return Severity.ERROR
    return Severity.WARNING if learning.score < UNHARMED else Severity.INFO
