"""INI402 exploding-signal: the signal grows without bound on its way through the network."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from initaudit.findings import Finding, Remedy, Severity
from initaudit.judgement.gain import signal_gain
from initaudit.judgement.lost import EXPLODED
from initaudit.rule import Rule
from initaudit.rules.forward_only import change_of_variance
from initaudit.rules.limiting_factor import limiting_factors

if TYPE_CHECKING:
    from initaudit.judgement.model_audit import ModelAudit

REDRAW = "Re-initialise with the gain of the activation: initaudit fix."


class ExplodingSignal(Rule):
    """The signal grows without bound on its way through the network.

    Why: activations leave the range in which the loss and its gradient are usable, saturate what can saturate, and overflow in half precision.
    Harmless when: the network is trained and fed with real data whose scale differs from the probe's unit variance (`--input-data`).
    Fix: `initaudit fix` draws the layers before the loss anew with the gain of their activation; or add normalisation;
        in a trained network check how the weights were loaded and scaled.
    References: Glorot & Bengio 2010; He et al. 2015; Hanin & Rolnick 2018.
    """

    code = "INI402"
    name = "exploding-signal"
    severity = Severity.ERROR
    by_consequence = (Severity.WARNING, Severity.INFO)
    remedy = Remedy.DRAW_NETWORK

    def check(self, audit: ModelAudit) -> Iterator[Finding]:
        """A fresh network: what limits its trainability. A trained one: the first layer that inflates its input beyond reason."""
        yield from limiting_factors(self, audit, suggestion=REDRAW)
        yield from change_of_variance(self, audit, grows=True, suggestion=REDRAW)
        if not audit.context.has_training:
            return
        for layer in audit.layers:
            gain = signal_gain(layer)
            if gain is not None and gain * gain > EXPLODED and layer.layer.untrainable is None:
                yield self.finding(
                    layer,
                    f"The signal's std is multiplied by {gain:.2g} in this layer.",
                    measured=gain,
                    expected=1.0,
                    severity=Severity.WARNING,
                    suggestion="Check whether the layer's weights were loaded and scaled as in training.",
                    remedy=Remedy.LOAD_VALUES,
                )
                return
