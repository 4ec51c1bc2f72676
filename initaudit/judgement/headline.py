"""Headline: of all that was found, the one thing that a reader must know: the cause, where it is, and what to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from initaudit.findings import Severity

if TYPE_CHECKING:
    from collections.abc import Sequence

    from initaudit.findings import Finding
    from initaudit.judgement.obstacle import Obstacle

OF_THE_START = ("INI1", "INI3", "INI4", "INI5")
"""Beginnings of the codes of what keeps a fresh network from learning: scales, biases, signal, gradient."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Headline:
    """What every report says first, in the same words."""

    cause: str
    """What is wrong, with numbers."""
    layer: str | None
    """Where; None where it is everywhere, or in no layer."""
    action: str
    """What to do; empty where nothing can be said."""


def headline_of(findings: Sequence[Finding], obstacle: Obstacle | None) -> tuple[Headline, str] | None:
    """The headline and a sentence of it and of how much more there is; None where only information was found.

    Args:
        findings: all that count; of those of the worst severity the first is named.
        obstacle: what keeps the network from learning: the cause of all that the rules find of its start, and speaks for it.
    """
    loud = [f for f in findings if f.severity is not Severity.INFO]
    if not loud:
        return None
    first = max(loud, key=lambda f: f.severity.rank)
    others = sum(f.severity is first.severity for f in loud) - 1
    name = f"{first.code} {first.name}"
    if obstacle is not None and any(f.code.startswith(OF_THE_START) for f in loud):
        more = f" and {others} more" if others else ""
        headline = Headline(cause=obstacle.message, layer=obstacle.layer, action=obstacle.advice)
        return headline, f"{headline.cause} ({name}{more})"
    more = f" (and {others} more)" if others else ""
    where = f" at {first.layer}" if first.layer else ""
    headline = Headline(cause=first.message, layer=first.layer, action=first.suggestion)
    return headline, f"{name}{where}: {headline.cause}{more}"
