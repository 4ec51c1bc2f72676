"""INI503 uneven-learning: layers receive relative weight gradients that differ by orders of magnitude."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from initaudit.findings import Finding, Remedy, Severity
from initaudit.rule import Rule
from initaudit.rules.limiting_factor import limiting_factors

if TYPE_CHECKING:
    from initaudit.judgement.model_audit import ModelAudit


class UnevenLearning(Rule):
    """Layers receive relative weight gradients that differ by orders of magnitude.

    Why: no single learning rate fits: what moves one layer at all blows another one up.
    Harmless when: an optimiser with per-layer or adaptive steps (Adam, LARS) and a warm-up are used; then it is a warning rather than an error.
    Fix: `initaudit fix` draws the layers before the loss anew; normalisation or skip connections keep the gradient level.
    References: You et al. 2017 (LARS); Yang & Hu 2021 (feature learning).
    """

    code = "INI503"
    name = "uneven-learning"
    severity = Severity.ERROR
    by_consequence = (Severity.WARNING, Severity.INFO)
    remedy = Remedy.DRAW_NETWORK

    def check(self, audit: ModelAudit) -> Iterator[Finding]:
        """What limits the trainability of a fresh network."""
        yield from limiting_factors(
            self, audit, suggestion="Re-initialise with the gain of the activation: initaudit fix."
        )
