"""INI401 vanishing-signal: the signal dies on its way through the network."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from initaudit.findings import Finding, Remedy, Severity
from initaudit.judgement.lost import LOST
from initaudit.kind import Kind
from initaudit.rule import Rule
from initaudit.rules.forward_only import change_of_variance
from initaudit.rules.limiting_factor import limiting_factors

if TYPE_CHECKING:
    from initaudit.judgement.model_audit import ModelAudit

REDRAW = "Re-initialise with the gain of the activation: initaudit fix."


class VanishingSignal(Rule):
    """The signal dies on its way through the network.

    Why: what the last layers see no longer depends on the input; neither does the gradient, so nothing can be learned.
    Harmless when: the network is trained and fed with real data whose scale differs from the probe's unit variance (`--input-data`).
    Fix: `initaudit fix` draws the layers before the loss anew with the gain of their activation; or add normalisation or skip connections;
        in a trained network check how the weights were loaded and scaled.
    References: Glorot & Bengio 2010; He et al. 2015; Schoenholz et al. 2017 (depth scales).
    """

    code = "INI401"
    name = "vanishing-signal"
    severity = Severity.ERROR
    by_consequence = (Severity.WARNING, Severity.INFO)
    remedy = Remedy.DRAW_NETWORK

    def check(self, audit: ModelAudit) -> Iterator[Finding]:
        """A fresh network: what limits its trainability. A trained one: the first layer that carries no signal."""
        yield from limiting_factors(self, audit, suggestion=REDRAW)
        yield from change_of_variance(self, audit, grows=False, suggestion=REDRAW)
        if not audit.context.has_training:
            return
        for layer in audit.layers:
            signal = layer.signal
            if signal is None or signal.input is None or layer.layer.untrainable or layer.layer.kind is Kind.EMBEDDING:
                continue
            if layer.stats.std == 0:  # INI002 and INI003 name the cause
                continue
            entered = signal.input.variance
            if entered > LOST and signal.variance < LOST * entered:
                yield self.finding(
                    layer,
                    f"The signal variance falls from {entered:.2g} to {signal.variance:.2g} in this layer: what follows no longer depends on the input.",
                    measured=signal.variance,
                    expected=entered,
                    severity=Severity.WARNING,
                    suggestion="Check whether the layer's weights were loaded and scaled as in training.",
                    remedy=Remedy.LOAD_VALUES,
                )
                return
