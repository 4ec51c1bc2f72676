"""The verdict: one status, one sentence."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from initaudit.findings import Severity
from initaudit.judgement.headline import headline_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from initaudit.findings import Finding
    from initaudit.judgement.context import Context
    from initaudit.judgement.headline import Headline
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
    headline: Headline | None = None
    """The same in parts, and what to do; None where nothing is wrong."""
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
    told = headline_of(active, obstacle)
    if told is None or (obstacle is not None and told[0].cause != obstacle.message):
        obstacle = None  # nothing that it causes counts
    return Verdict(
        status=status_of(active),
        context=context.name,
        trainability=None if trainability is None else round(trainability.score, 4),
        slowness=slowness,
        reason=nothing_left(findings, context.name, unjudged) if told is None else told[1],
        headline=None if told is None else told[0],
        optimisers=None
        if trainability is None
        else {"sgd": round(trainability.sgd, 4), "adam": round(trainability.adam, 4)},
        trainability_error=None if trainability is None else trainability.error,
        evidence=context.evidence,
        first_lost=None if told is None else _lost(first_lost, obstacle),
        obstacle=obstacle,
    )


def _lost(first_lost: tuple[str, str] | None, obstacle: Obstacle | None) -> tuple[str, str] | None:
    """Where the signal is lost, and why in the words of the headline where that names the cause."""
    if first_lost is None or obstacle is None:
        return first_lost
    return first_lost[0], obstacle.message.rstrip(".")


def status_of(active: Iterable[Finding]) -> str:
    """pass, warn or fail, from the findings that count."""
    severities = {f.severity for f in active}
    return "fail" if Severity.ERROR in severities else "warn" if Severity.WARNING in severities else "pass"


def nothing_left(findings: Iterable[Finding], context: str, unjudged: str | None = None) -> str:
    """That nothing was found, or nothing new: what was accepted is still there."""
    accepted = [f for f in findings if f.suppressed is not None and f.severity is not Severity.INFO]
    known = sum(f.known is True for f in accepted)
    kind = {"fresh": "freshly initialised", "trained": "trained", "mixed": "partly trained"}.get(context)
    found = f"No {'other ' if accepted else ''}problem found{f' in this {kind} network' if kind else ''}."
    told = [
        f"{count} {'finding is' if count == 1 else 'findings are'} {how}"
        for count, how in ((known, "in the baseline"), (len(accepted) - known, "ignored"))
        if count
    ]
    sentences = [f"Known: {' and '.join(told)}.", found] if told else [found]
    return " ".join([*sentences, unjudged] if unjudged else sentences)
