"""What an audit found, kept as JSON apart from where the file lay and from what of it counts.

The entry of a document is made from it for any path, and under any filters, baseline, severities and gates, without a look at the model.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from initaudit.advising.advise import with_advice
from initaudit.advising.command import ANY_FILE, for_file
from initaudit.findings import Advice, Confidence, Finding, Reader, Remedy, Severity
from initaudit.judgement.context import Context
from initaudit.judgement.filtering import apply_filters, check_reasons
from initaudit.judgement.obstacle import Obstacle
from initaudit.judgement.slowness import Slowness
from initaudit.judgement.trainability import Trainability
from initaudit.judgement.verdict import Verdict, verdict_for
from initaudit.report.document import facts_of, judged, number
from initaudit.report.gate import exit_code, gate, missed
from initaudit.report.run import circumstances

if TYPE_CHECKING:
    from collections.abc import Sequence

    from initaudit.config import Config
    from initaudit.judgement.baseline import Baseline
    from initaudit.judgement.examined import Examined

TOLD = ("code", "name", "layer", "initializer", "message", "suggestion", "url", "subject", "lasting_name")
"""Fields of a finding that are text. Whether it is suppressed, and its number among its like, is not known yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _KeptFinding(Finding):
    """A finding whose severity is not known yet, with its advice for either case."""

    loud: tuple[Advice, ...]
    quiet: tuple[Advice, ...]


def keep(examined: Examined) -> dict[str, Any]:
    """What is kept.

    `facts`, the part of a report's entry that no option here changes, without the path; `found`, all findings, each with its advice where it
    asks for action (`loud`) and where it is only information (`quiet`); `judgement`, what a verdict is made from; `seconds`.
    """
    audit, extraction = examined.audit, examined.audit.extraction
    facts = facts_of(
        path=ANY_FILE,
        audit=audit,
        failed_rules=examined.failed_rules,
        skipped=extraction.skipped,
        parameters=extraction.parameters,
        audited=extraction.audited,
    )
    anywhere = replace(audit, model=replace(audit.model, path=None, name=ANY_FILE))
    advised = {
        severity: with_advice([replace(finding, severity=severity) for finding in examined.found], anywhere)
        for severity in (Severity.WARNING, Severity.INFO)
    }
    told = zip(examined.found, advised[Severity.WARNING], advised[Severity.INFO], strict=True)
    learning = audit.trainability
    return {
        "facts": facts,
        "found": [_found(finding, loud.advice, quiet.advice) for finding, loud, quiet in told],
        "judgement": {
            "context": {"name": audit.context.name, "evidence": list(audit.context.evidence)},
            "trainability": None
            if learning is None
            else {name: number(getattr(learning, name)) for name in ("score", "sgd", "adam", "error")},
            "slowness": {"factor": number(audit.slowness.factor), "why": audit.slowness.why},
            "obstacle": None if audit.obstacle is None else dataclasses.asdict(audit.obstacle),
            "first_lost": None if examined.first_lost is None else list(examined.first_lost),
            "unjudged": examined.unjudged,
        },
        "seconds": round(examined.seconds, 3),
    }


def entry_of(
    kept: Mapping[str, Any], path: str, config: Config, baseline: Baseline | None, *, exit_zero: bool = False
) -> dict[str, Any]:
    """The entry of the document of `initaudit check` for a file at `path`, under these options.

    `baseline` is read from the file that they name. Raises UsageError where a filter cannot be followed.
    """
    facts = {**kept["facts"], "model": {**kept["facts"]["model"], "path": path}}
    layers = facts["layers"]
    check_reasons(config, {name for layer in layers for name in (layer["name"], layer["title"])})
    depth = {layer["name"]: layer["depth"] for layer in layers}
    filtered = apply_filters([_finding(raw, path) for raw in kept["found"]], config, baseline, depth, path)
    findings = [replace(f, advice=f.quiet if f.severity is Severity.INFO else f.loud) for f in filtered]
    verdict = _verdict(kept["judgement"], findings)
    entry = judged(facts, verdict, findings)
    lacking = missed(
        config,
        verdict.trainability,
        probed=facts["probe"]["status"],
        layers=len(layers),
        audited=facts["coverage"]["audited"],
        parameters=facts["coverage"]["parameters"],
    )
    active = [finding for finding in findings if finding.suppressed is None]
    code = exit_code(config, lacking, active, is_judged=not facts["failed_rules"], exit_zero=exit_zero)
    return {**entry, **circumstances(config, kept["seconds"]), "gate": gate(config, lacking, code=code)}


def _found(finding: Finding, loud: Sequence[Advice], quiet: Sequence[Advice]) -> dict[str, Any]:
    told = {name: getattr(finding, name) for name in TOLD}
    evidence = {key: number(value) for key, value in finding.evidence.items()}
    kinds = {"severity": finding.severity, "confidence": finding.confidence, "remedy": finding.remedy}
    advice = {"loud": list(map(dataclasses.astuple, loud)), "quiet": list(map(dataclasses.astuple, quiet))}
    return {**told, **{name: kind.value for name, kind in kinds.items()}, "evidence": evidence, **advice}


def _finding(raw: Mapping[str, Any], path: str) -> _KeptFinding:
    return _KeptFinding(
        **{name: raw[name] for name in TOLD},
        severity=Severity(raw["severity"]),
        confidence=Confidence(raw["confidence"]),
        remedy=Remedy(raw["remedy"]),
        evidence=raw["evidence"],
        loud=_advice(raw["loud"], path),
        quiet=_advice(raw["quiet"], path),
    )


def _advice(told: Sequence[Sequence[str]], path: str) -> tuple[Advice, ...]:
    lines = ((reader, text, for_file(code, path)) for reader, text, code in told)
    return tuple(Advice(reader=Reader(reader), text=text, code=code) for reader, text, code in lines if code)


def _verdict(judgement: Mapping[str, Any], findings: Sequence[Finding]) -> Verdict:
    context, learning, lost = judgement["context"], judgement["trainability"], judgement["first_lost"]
    return verdict_for(
        findings,
        Context(name=context["name"], evidence=tuple(context["evidence"])),
        None if learning is None else Trainability(factors=(), **learning),
        Slowness(**judgement["slowness"]),
        None if lost is None else (lost[0], lost[1]),
        unjudged=judgement["unjudged"],
        obstacle=None if judgement["obstacle"] is None else Obstacle(**judgement["obstacle"]),
    )
