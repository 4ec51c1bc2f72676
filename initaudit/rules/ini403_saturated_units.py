"""INI403 saturated-units: most units sit in the flat part of their activation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from initaudit.findings import Finding, Remedy, Severity
from initaudit.initialisation.targets import SIGMOIDAL
from initaudit.judgement.scale import SATURATED
from initaudit.rule import Rule, Threshold

if TYPE_CHECKING:
    from initaudit.judgement.model_audit import ModelAudit
    from initaudit.measuring.layer_audit import LayerAudit

NEARLY_ALL = 0.9
"""Share from which it is an error in a fresh network, and worth a warning in a trained one, whose units saturate in part by learning."""


class SaturatedUnits(Rule):
    """Most units sit in the flat part of their activation.

    Why: where the slope is below 1 % of its maximum, the gradient is as well: a saturated layer blocks learning in everything before it.
    Harmless when: the units are gates that are meant to be open or closed, or outputs that are meant to be near 0 or 1.
    Fix: `initaudit fix --select INI403` (smaller weights, zero bias); in a trained network check the scale of its inputs.
    References: Glorot & Bengio 2010, section 3; LeCun et al. 1998, Efficient BackProp, section 4.4.
    """

    code = "INI403"
    name = "saturated-units"
    severity = Severity.WARNING
    by_consequence = (Severity.ERROR, Severity.INFO)
    remedy = Remedy.DRAW_LAYER
    thresholds = (
        Threshold("fresh-share", SATURATED, "share of saturated units of a fresh network, from"),
        Threshold("trained-share", NEARLY_ALL, "share of saturated units of a trained network, from"),
    )

    def check_layer(self, layer: LayerAudit, audit: ModelAudit) -> Iterator[Finding]:
        """Heads and gates are named as information only."""
        signal, facts = layer.signal, layer.layer
        if signal is None or signal.saturated is None or facts.activation not in SIGMOIDAL or facts.untrainable:
            return
        trained = audit.context.has_training
        if signal.saturated < self.threshold("trained-share" if trained else "fresh-share"):
            return
        if facts.is_head or "gate" in facts.feeds:
            severity = Severity.INFO
        else:
            severity = Severity.ERROR if not trained and signal.saturated >= NEARLY_ALL else Severity.WARNING
        rms = f" (pre-activation rms {signal.mean_square**0.5:.3g})"
        yield self.finding(
            layer,
            f"{signal.saturated:.0%} of the {facts.activation} inputs lie where the slope is below 1 % of its maximum{rms}: no gradient passes.",
            measured=signal.saturated,
            expected=0.0,
            severity=severity,
            suggestion="Check the scale of the inputs (`--input-data` gives real ones), and how weights and bias were loaded."
            if layer.trained
            else "Scale the weights down to their target and set the bias to zero.",
        )
