"""INI502 exploding-gradient: the gradient grows without bound on its way back to the first layers."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from initaudit.findings import Finding, Remedy, Severity
from initaudit.judgement.input_scale import is_linear_in_the_input
from initaudit.rule import Rule
from initaudit.rules.limiting_factor import limiting_factors

if TYPE_CHECKING:
    from initaudit.judgement.model_audit import ModelAudit

LARGE = 10.0
"""Root mean square of inputs from which they are to blame. A judgement: steps are a hundred times as large as for standardised ones."""


class ExplodingGradient(Rule):
    """The gradient grows without bound on its way back to the first layers.

    Why: the learning rate that the first layers stand is far too small for the last ones; larger ones diverge.
    Harmless when: an optimiser with per-layer or adaptive steps (Adam, LARS) and a warm-up are used; then it is a warning rather than an error.
    Fix: `initaudit fix` draws the layers before the loss anew; normalisation or skip connections keep the gradient level.
        Inputs far larger than 1 (`--input-data`) are to be scaled: no weights make up for them.
    References: Pascanu et al. 2013; Philipp et al. 2017.
    """

    code = "INI502"
    name = "exploding-gradient"
    severity = Severity.ERROR
    by_consequence = (Severity.WARNING, Severity.INFO)
    remedy = Remedy.DRAW_NETWORK

    def check(self, audit: ModelAudit) -> Iterator[Finding]:
        """What limits the trainability of a fresh network."""
        draw = "Re-initialise with the gain of the activation: initaudit fix."
        yield from limiting_factors(self, audit, suggestion=draw, advice=_large_inputs(audit))


def _large_inputs(audit: ModelAudit) -> str | None:
    """The step of a first layer moves what it gives by its input squared: no weights make up for inputs that are large."""
    sizes = [
        math.sqrt(a.signal.input.mean_square)
        for a in audit.layers
        if a.layer.kind.is_product
        and a.signal is not None
        and a.signal.input is not None
        and is_linear_in_the_input(a, audit)
    ]
    largest = max((size for size in sizes if math.isfinite(size)), default=0.0)
    if largest <= LARGE:
        return None
    return f"Scale the inputs to mean 0 and variance 1: their root mean square is {largest:.3g}, and whatever the weights, steps grow with its square."
