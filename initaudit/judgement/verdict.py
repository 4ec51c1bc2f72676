"""The verdict: one status, one sentence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from initaudit.findings import Severity

if TYPE_CHECKING:
    from collections.abc import Mapping

    from initaudit.findings import Finding
    from initaudit.judgement.context import Context
    from initaudit.judgement.obstacle import Obstacle
    from initaudit.judgement.slowness import Slowness
    from initaudit.judgement.trainability import Trainability


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a reader who reads one line must know."""

    status: str
    """pass, warn, fail, or error where there is no audit."""
    context: str
    """fresh, trained, mixed or unknown."""
    trainability: float | None
    """0..1, None where not measured."""
    slowness: Slowness
    """Steps to a given accuracy over those of the recommended start."""
    reason: str
    """One sentence."""
    optimisers: Mapping[str, float] | None = None
    """Trainability with each optimiser alone, `sgd` and `adam`; None where not measured."""
    trainability_error: float | None = None
    """What the errors of an exact probe leave open of it, a standard deviation."""
    evidence: tuple[str, ...] = ()
    """Why this context."""
    first_lost: tuple[str, str] | None = None
    """(layer, cause): the first layer where the signal is lost."""
    obstacle: Obstacle | None = None
    """Whether re-initialising mends a fresh network that does not learn well, or what else; None where nothing is to be said."""


def verdict_for(
    findings: Sequence[Finding],
    context: Context,
    trainability: Trainability | None,
    slowness: Slowness,
    first_lost: tuple[str, str] | None,
    *,
    unjudged: str | None = None,
    obstacle: Obstacle | None = None,
) -> Verdict:
    """Status from the findings that count, and the sentence of the worst of them.

    `unjudged` says why there is no trainability although the probe ran.
    """
    active = [f for f in findings if f.suppressed is None]
    errors = [f for f in active if f.severity is Severity.ERROR]
    warnings = [f for f in active if f.severity is Severity.WARNING]
    status = "fail" if errors else "warn" if warnings else "pass"
    return Verdict(
        status=status,
        context=context.name,
        trainability=None if trainability is None else round(trainability.score, 4),
        slowness=slowness,
        reason=_reason(errors, warnings, context, unjudged, obstacle),
        optimisers=None
        if trainability is None
        else {"sgd": round(trainability.sgd, 4), "adam": round(trainability.adam, 4)},
        trainability_error=None if trainability is None else trainability.error,
        evidence=context.evidence,
        first_lost=first_lost if errors or warnings else None,
        obstacle=obstacle if errors or warnings else None,
    )


def _reason(
    errors: Sequence[Finding],
    warnings: Sequence[Finding],
    context: Context,
    unjudged: str | None,
    obstacle: Obstacle | None,
) -> str:
    for findings in (errors, warnings):
        if findings:
            others = f" (and {len(findings) - 1} more)" if len(findings) > 1 else ""
            told = f" {obstacle.message}" if obstacle is not None else ""
            where = f" at {findings[0].layer}" if findings[0].layer else ""
            return f"{findings[0].code} {findings[0].name}{where}: {findings[0].message}{others}{told}"
    kind = {"fresh": "freshly initialised", "trained": "trained", "mixed": "partly trained"}.get(context.name)
    found = f"No problem found in this {kind} network." if kind else "No problem found."
    return f"{found} {unjudged}" if unjudged else found
