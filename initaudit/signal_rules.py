"""What the rules on the signal share: turning the factors that limit trainability into findings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from initaudit.findings import Finding, Severity
from initaudit.trainability import TRAINABLE

if TYPE_CHECKING:
    from initaudit.report import ModelAudit
    from initaudit.rule import Rule

NOTABLE = 0.8
"""A factor that leaves this much trainability or more is not worth a finding."""


def limiting_factors(rule: Rule, audit: ModelAudit, *, suggestion: str) -> Iterator[Finding]:
    """Findings for the factors of `rule` in a network whose own standard is trainability (fresh or unknown).

    An error where the network as a whole is not trainable and this factor is (nearly) the worst; else a warning, as where
    the exporter took BatchNorms out that training will have.
    """
    learning = audit.trainability
    if learning is None or audit.context.has_training or not learning.factors:
        return
    if any(factor.name == "symmetry" and factor.rule != rule.code for factor in learning.factors):
        return  # units that are copies are the cause of all else; INI002 to INI004 name them
    folded = sum(a.layer.folded_norm for a in audit.layers)
    if folded:  # what is measured is not what will be trained
        suggestion = (
            f"The exporter folded {folded} BatchNorms into the layers before them; in training they restore the scale. "
            "To judge that network, export it in training mode."
        )
    worst = min(factor.score for factor in learning.factors)
    for factor in learning.factors:
        if factor.rule != rule.code or factor.score >= NOTABLE or learning.score >= NOTABLE:
            continue
        doomed = (
            learning.score < TRAINABLE and audit.context.name == "fresh" and not folded
        )  # an unknown network may be trained
        fatal = doomed and (factor.score < TRAINABLE or factor.score == worst)
        subject = next((a for a in audit.layers if a.layer.name == factor.layer), None)
        yield rule.finding(
            subject,
            factor.message,
            measured=None,
            expected=None,
            trainability=factor.score,
            severity=Severity.ERROR if fatal else Severity.WARNING,
            suggestion=suggestion,
        )


def fatal_to_learning(audit: ModelAudit) -> Severity:
    """Severity of a defect of one layer's weights: ERROR, or WARNING where the network was probed and learns all the same.

    A zero or constant layer between random ones still receives a gradient, and its units part in the first steps.
    """
    learning = audit.trainability
    learns = learning is not None and learning.score >= TRAINABLE and not audit.context.has_training
    return Severity.WARNING if learns else Severity.ERROR
