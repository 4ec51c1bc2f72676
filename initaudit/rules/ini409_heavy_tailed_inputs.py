"""INI409 heavy-tailed-inputs: rare large input values grow out of all proportion."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from initaudit.findings import Confidence, Finding, Remedy, Severity
from initaudit.rule import Rule

if TYPE_CHECKING:
    from initaudit.judgement.model_audit import ModelAudit

DEPARTURE = 10.0
"""Factor in root mean square from which inputs with heavy tails make another network of it. A judgement: a single square of such an input
reaches 5, a network whose values grow no faster than its input 1."""


class HeavyTailedInputs(Rule):
    """Rare large input values grow out of all proportion.

    Why: a product of two values that both depend on the input grows with the square of the input, and a chain of k such products with
        the power 2^k. Normal inputs hide this: features that are seldom anything but zero have, once standardised, values of 30 standard
        deviations, and one such row overflows the network or takes the weights away in one step.
    Harmless when: the inputs are bounded (images, normalised embeddings); feed real data (`--input-data`) to see.
    Fix: a norm in front of the products, a bounded gate (sigmoid), or inputs that are clipped or transformed to ranks or logarithms.
    References: Tukey 1960 (contaminated normal law); Shazeer 2020, GLU Variants Improve Transformer (products, behind a norm).
    """

    code = "INI409"
    name = "heavy-tailed-inputs"
    severity = Severity.INFO
    by_consequence = (Severity.WARNING,)
    remedy = Remedy.CHECK

    def check(self, audit: ModelAudit) -> Iterator[Finding]:
        """The first layer that departs from what N(0, 1) inputs make of it; a warning where values leave the finite numbers."""
        departing = [(a, t) for a in audit.layers if (t := audit.probe.tails.get(a.layer.name, 1.0)) > DEPARTURE]
        if not departing:
            return
        layer, times = departing[0]
        worst, most = max(departing, key=lambda found: found[1])
        grown = "overflow here" if math.isinf(times) else f"are {times:.3g} times as large here"
        if worst is not layer:
            there = "overflow" if math.isinf(most) else f"{most:.3g} times as large"
            grown += f" and {there} at {worst.layer.name}"
        yield self.finding(
            layer,
            f"Pre-activations {grown} where the inputs have heavy tails, at the variance of the N(0, 1) inputs that they are compared with:"
            " the network multiplies values that depend on its input.",
            measured=times,
            expected=1.0,
            severity=Severity.WARNING if math.isinf(most) else Severity.INFO,
            confidence=Confidence.MEDIUM,
            suggestion="Put a norm in front of the products, or clip or rank-transform the inputs; `--input-data` shows what real ones do.",
        )
