"""Examined: what was measured and found of a model, before it is decided which findings count."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from initaudit.judgement.verdict import Verdict, verdict_for

if TYPE_CHECKING:
    from datetime import datetime

    from initaudit.findings import Finding
    from initaudit.judgement.model_audit import ModelAudit


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Examined:
    """Filters, baselines, severities and gates change nothing of it."""

    audit: ModelAudit
    found: tuple[Finding, ...]
    """All findings of all rules."""
    failed_rules: tuple[str, ...]
    """As in a report."""
    first_lost: tuple[str, str] | None
    """(layer, cause): the first layer where the signal is lost."""
    unjudged: str | None
    """What a verdict on less than the whole network must say of itself."""
    started: datetime
    seconds: float
    """How long it took."""

    @property
    def depth(self) -> dict[str, int]:
        """Of each layer, by its name."""
        return {audit.layer.name: audit.layer.depth for audit in self.audit.layers}

    def verdict(self, findings: Sequence[Finding]) -> Verdict:
        """The verdict where these findings are what is left, in their order."""
        audit = self.audit
        return verdict_for(
            findings,
            audit.context,
            audit.trainability,
            audit.slowness,
            self.first_lost,
            unjudged=self.unjudged,
            obstacle=audit.obstacle,
        )
