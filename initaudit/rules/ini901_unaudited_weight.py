"""INI901 unaudited-weight: part of the parameters could not be audited."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from initaudit.findings import Finding, Remedy, Severity
from initaudit.rule import Rule, Threshold

if TYPE_CHECKING:
    from initaudit.judgement.model_audit import ModelAudit

MUCH = 0.1
"""Share of unaudited parameters from which the audit as a whole cannot be relied on."""


class UnauditedWeight(Rule):
    """Part of the parameters could not be audited.

    Why: a finding that is missing because a weight was not seen would be mistaken for health.
    Harmless when: the reasons given are acceptable (tables of constants, operators that are no neural layers).
    Fix: see the list under coverage in the report; export without the operator that hides the weight.
    References: none; coverage is a result.
    """

    code = "INI901"
    name = "unaudited-weight"
    severity = Severity.INFO
    by_consequence = (Severity.WARNING,)
    remedy = Remedy.NONE
    thresholds = (Threshold("share", MUCH, "share of parameters that were not audited, for a warning above"),)

    def check(self, audit: ModelAudit) -> Iterator[Finding]:
        """One finding for the model: that it holds no weights of its own, or the share and the largest of those missed."""
        extraction = audit.extraction
        absent = [s.initializer for s in extraction.skipped if not s.stored]
        if absent and not audit.layers:
            yield self.finding(
                None,
                f"Nothing was audited: all {len(absent)} weights are inputs of the model ({absent[0]!r} ...); the file holds no values.",
                measured=1.0,
                expected=0.0,
                severity=Severity.WARNING,
                suggestion="Audit a file that holds the weights.",
            )
        elif not audit.layers:
            yield self.finding(
                None,
                f"Nothing was audited: no layer with weights was found, of {extraction.parameters:,} parameters.",
                measured=0.0,
                severity=Severity.WARNING,
                suggestion="Audit the file that holds the network; leave files without weights out with --exclude.",
            )
        missed = extraction.parameters - extraction.audited
        if missed <= 0:
            return
        share = missed / extraction.parameters
        largest = max((s for s in extraction.skipped if s.is_parameter), key=lambda s: s.parameters, default=None)
        example = f"; the largest is {largest.initializer!r}: {largest.reason}" if largest else ""
        yield self.finding(
            None,
            f"{missed:,} of {extraction.parameters:,} parameters ({share:.1%}) were not audited{example}.",
            measured=share,
            expected=0.0,
            severity=Severity.WARNING if share > self.threshold("share") else Severity.INFO,
            suggestion="Read the coverage list; the rest of the report does not speak of these weights.",
        )
