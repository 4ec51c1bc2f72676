"""INI405 collapsed-inputs: different inputs give the same output."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from initaudit.findings import Finding, Remedy, Severity
from initaudit.kind import Kind
from initaudit.rule import Rule
from initaudit.rules.limiting_factor import limiting_factors

if TYPE_CHECKING:
    from initaudit.judgement.model_audit import ModelAudit

COLLAPSED = 1e-6
"""1 - similarity below which inputs are told apart by less than a thousandth of the activation's rms."""


class CollapsedInputs(Rule):
    """Different inputs give the same output.

    Why: the part of the activations that depends on the input is tiny beside the part that does not (biases, means of the activation);
        a loss cannot tell the inputs apart. Normalisation hides this: every layer looks healthy alone.
    Harmless when: the network really ignores its input (constants, positions only).
    Fix: `initaudit fix` with zero biases and the gain of the activation; shorter or residual paths;
        in a trained network check how the weights were loaded and scaled.
    References: Schoenholz et al. 2017 (correlation fixed point c* = 1); Hayou et al. 2019.
    """

    code = "INI405"
    name = "collapsed-inputs"
    severity = Severity.ERROR
    remedy = Remedy.DRAW_NETWORK

    def check(self, audit: ModelAudit) -> Iterator[Finding]:
        """A fresh network: what limits its trainability. A trained one: the first layer that ignores its input."""
        yield from limiting_factors(
            self, audit, suggestion="Zero the biases and re-initialise with the gain of the activation."
        )
        if not audit.context.has_training:
            return
        for layer in audit.layers:
            signal = layer.signal
            if signal is None or signal.similarity is None or signal.input is None or layer.layer.untrainable:
                continue
            if layer.layer.kind is Kind.EMBEDDING or not signal.input.variance > 0:
                continue
            if layer.stats.std == 0:  # INI002 and INI003 name the cause
                continue
            if 1 - signal.similarity < COLLAPSED:
                yield self.finding(
                    layer,
                    f"Different inputs are {signal.similarity:.6%} alike behind this layer: what follows no longer depends on the input.",
                    measured=signal.similarity,
                    expected=0.0,
                    severity=Severity.WARNING,
                    suggestion="Check the bias of this layer and the units before it.",
                    remedy=Remedy.CHECK,
                )
                return
