"""What the rules on the signal share (INI401, 402, 405, 501, 502, 503): turning the factors that limit trainability into findings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from initaudit.findings import Finding, Remedy, Severity
from initaudit.judgement.score import SUFFICES, TRAINABLE
from initaudit.rules.ini504_slow_start import SLOW

if TYPE_CHECKING:
    from initaudit.judgement.model_audit import ModelAudit
    from initaudit.rule import Rule

ADAM_TRAINS = "Plain SGD would not train it; Adam does."


def limiting_factors(rule: Rule, audit: ModelAudit, *, suggestion: str, advice: str | None = None) -> Iterator[Finding]:
    """Findings for the factors of `rule` in a network whose own standard is trainability (not known to be trained).

    An error where the network as a whole is not trainable and this factor is (nearly) the worst; else a warning, or information where
    the signal keeps its size, Adam trains the network and INI504 says how slowly. What to do is `advice` where it is given, else what the network's
    obstacle asks for, else `suggestion`.
    """
    learning = audit.trainability
    if learning is None or audit.context.has_training or not learning.factors:
        return
    if any(factor.name == "symmetry" and factor.rule != rule.code for factor in learning.factors):
        return  # units that are copies are the cause of all else; INI002 to INI004 name them
    obstacle = audit.obstacle
    slow = audit.slowness.factor
    dies = any(factor.rule in ("INI401", "INI402") for factor in learning.factors)
    told = learning.takes_adam and slow is not None and slow >= SLOW and not dies
    otherwise = Severity.INFO if told else Severity.WARNING
    worst = min(factor.score for factor in learning.factors)
    for factor in learning.factors:
        if factor.rule != rule.code or factor.score >= SUFFICES or learning.score >= SUFFICES:
            continue
        doomed = learning.score < TRAINABLE
        fatal = doomed and (factor.score < TRAINABLE or factor.score == worst)
        blamed = None if obstacle is not None and obstacle.is_everywhere else factor.layer
        subject = next((a for a in audit.layers if a.layer.name == blamed), None)
        yield rule.finding(
            subject,
            f"{factor.message} {ADAM_TRAINS}" if learning.takes_adam else factor.message,
            measured=None,
            expected=None,
            trainability=factor.score,
            severity=Severity.ERROR if fatal else otherwise,
            suggestion=advice or (suggestion if obstacle is None else obstacle.advice),
            remedy=None if obstacle is None or obstacle.fix_helps else Remedy.CHECK,
        )
