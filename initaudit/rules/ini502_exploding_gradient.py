"""INI502 exploding-gradient: the gradient grows without bound on its way back to the first layers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from initaudit.findings import Finding, Remedy, Severity
from initaudit.rule import Rule
from initaudit.rules.limiting_factor import limiting_factors

if TYPE_CHECKING:
    from initaudit.judgement.model_audit import ModelAudit


class ExplodingGradient(Rule):
    """The gradient grows without bound on its way back to the first layers.

    Why: the learning rate that the first layers stand is far too small for the last ones; larger ones diverge.
    Harmless when: an optimiser with per-layer or adaptive steps (Adam, LARS) and a warm-up are used; then it is a warning rather than an error.
    Fix: `initaudit fix` draws the layers before the loss anew; normalisation or skip connections keep the gradient level.
    References: Pascanu et al. 2013; Philipp et al. 2017.
    """

    code = "INI502"
    name = "exploding-gradient"
    severity = Severity.ERROR
    by_consequence = (Severity.WARNING, Severity.INFO)
    remedy = Remedy.DRAW_NETWORK

    def check(self, audit: ModelAudit) -> Iterator[Finding]:
        """What limits the trainability of a fresh network."""
        yield from limiting_factors(
            self, audit, suggestion="Re-initialise with the gain of the activation: initaudit fix."
        )
