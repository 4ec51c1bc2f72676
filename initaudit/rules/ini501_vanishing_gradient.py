"""INI501 vanishing-gradient: the gradient dies on its way back to the first layers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from initaudit.findings import Finding, Remedy, Severity
from initaudit.rule import Rule
from initaudit.rules.limiting_factor import limiting_factors

if TYPE_CHECKING:
    from initaudit.judgement.model_audit import ModelAudit


class VanishingGradient(Rule):
    """The gradient dies on its way back to the first layers.

    Why: first layers receive (almost) no gradient: they stay at their random start while the last ones learn on top of noise.
    Harmless when: an optimiser with per-layer or adaptive steps (Adam, LARS) and a warm-up are used; then it is a warning rather than an error.
    Fix: `initaudit fix` draws the layers before the loss anew; normalisation or skip connections keep the gradient level.
    References: Hochreiter 1991; Glorot & Bengio 2010; Schoenholz et al. 2017.
    """

    code = "INI501"
    name = "vanishing-gradient"
    severity = Severity.ERROR
    by_consequence = (Severity.WARNING, Severity.INFO)
    remedy = Remedy.DRAW_NETWORK

    def check(self, audit: ModelAudit) -> Iterator[Finding]:
        """What limits the trainability of a fresh network."""
        yield from limiting_factors(
            self, audit, suggestion="Re-initialise with the gain of the activation: initaudit fix."
        )
