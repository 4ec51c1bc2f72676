"""audit(): the whole flow, one line per step. The file to read first."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from initaudit.advising.advise import with_advice
from initaudit.config import Config
from initaudit.extraction.coverage import without_unread
from initaudit.extraction.extract import extract_layers
from initaudit.findings import Finding
from initaudit.judgement.baseline import load_baseline
from initaudit.judgement.compare import earlier_layers, untouched_layers, untouched_rows
from initaudit.judgement.context import infer_context, with_training
from initaudit.judgement.examined import Examined
from initaudit.judgement.filtering import apply_filters, check_reasons
from initaudit.judgement.fitted import with_fits
from initaudit.judgement.folded import why_unjudged
from initaudit.judgement.lost import first_lost
from initaudit.judgement.model_audit import ModelAudit
from initaudit.judgement.obstacle import obstacle_to
from initaudit.judgement.pixels import with_pixels
from initaudit.judgement.recorded import with_records
from initaudit.judgement.slowness import Slowness, slowness
from initaudit.judgement.stepped import why_stepped
from initaudit.judgement.trainability import trainability
from initaudit.judgement.unreached import why_unreached
from initaudit.judgement.verdict import Verdict
from initaudit.measuring.measure import measure
from initaudit.measuring.theory import depth_scale, with_theory
from initaudit.model.load import load_model
from initaudit.probe.isolation import prestart
from initaudit.probe.plan import ProbeOptions
from initaudit.probe.probe import ProbeResult, start_probe
from initaudit.redrawing.recognise import with_shapes
from initaudit.registry import faults
from initaudit.report.report import Report
from initaudit.rule import Rule, all_rules, check_selectors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from initaudit.measuring.sharing import Readers
    from initaudit.model.load import Source
    from initaudit.per_rule import Limit


@np.errstate(
    all="ignore"
)  # what is not finite is found and reported; numpy's own warnings would only stand between the lines
def audit(
    source: Source,
    config: Config | None = None,
    progress: Callable[[str], None] | None = None,
    readers: Readers = None,
) -> Report:
    """Audit one model.

    Args:
        source: path, bytes, onnx.ModelProto or onnx_ir.Model.
        config: options; the defaults of `Config` where None.
        progress: called with a phrase for what the probe is doing.
        readers: an engine whose workers read large weights, or how many processes may be started for that.

    Returns:
        The report. Deterministic for the same file, options and versions.

    Raises:
        ModelError: the model cannot be read.
        UsageError: an option cannot be followed.
    """
    config = config or Config()
    baseline = load_baseline(config.baseline)
    examined = examine(source, config, progress, readers)
    audited = examined.audit
    label, extraction = audited.model.label, audited.extraction
    findings = with_advice(apply_filters(examined.found, config, baseline, examined.depth, label), audited)
    return Report(
        path=label,
        verdict=examined.verdict(findings),
        audit=audited,
        findings=findings,
        failed_rules=examined.failed_rules,
        skipped=extraction.skipped,
        parameters=extraction.parameters,
        audited=extraction.audited,
        config=config,
        started=examined.started,
        seconds=examined.seconds,
    )


@np.errstate(all="ignore")
def examine(
    source: Source, config: Config, progress: Callable[[str], None] | None = None, readers: Readers = None
) -> Examined:
    """All that is measured and found, whatever of it counts; arguments and errors as for `audit`."""
    started, begin = datetime.now(UTC), time.monotonic()
    check_selectors(config)
    deadline = begin + config.timeout
    if config.probe != "none":
        prestart()  # its imports run while the weights are measured
    model = load_model(source)
    extraction = extract_layers(model)
    check_reasons(config, {name for layer in extraction.layers for name in (layer.name, layer.title)})
    options = ProbeOptions.of(config)
    with start_probe(model, extraction.layers, options, progress) as probing:
        layers, unread = measure(extraction.layers, seed=config.seed, readers=readers)
        extraction = without_unread(extraction, unread)
        layers = with_shapes(layers)
        probed = probing()
    context = infer_context(layers, config.context)
    probed = with_pixels(model, layers, context, probed, options, progress, deadline=deadline)
    layers = with_training(with_theory(model.graph, layers, probed.signals), context)
    layers = with_fits(with_records(layers, model.proto) if context.has_training else layers, model.proto)
    unjudged = (
        why_unjudged(layers, context, probed)
        or why_unreached(model.graph, layers, probed)
        or why_stepped(model.graph, layers)
    )
    together = [a for a in layers if a.layer.name not in probed.elsewhere]
    learning = None if unjudged else trainability(together, with_error=config.exact)
    if probed.elsewhere:
        slow = Slowness(factor=None, why="the network chooses between branches")
        obstacle = None
    else:
        slow = slowness(model, layers, context, learning, options, deadline=deadline)
        obstacle = obstacle_to(model, layers, context, learning, slow, options, deadline=deadline)
        if unfinished := slow.interrupted or (obstacle and obstacle.interrupted):
            probed = probed.without("the recommended start was not measured", unfinished)
    earlier = earlier_layers(config.against, layers) if config.against else ()
    audited = ModelAudit(
        model=model,
        extraction=extraction,
        layers=layers,
        context=context,
        probe=probed,
        trainability=learning,
        slowness=slow,
        obstacle=obstacle,
        depth_scale=depth_scale(layers),
        untouched=untouched_layers(layers, earlier),
        untouched_rows=untouched_rows(layers, earlier),
    )
    found, failed_rules = _judge(all_rules(), audited, config.threshold)
    blameless = unjudged or (obstacle is not None and obstacle.is_everywhere)
    return Examined(
        audit=audited,
        found=tuple(found),
        failed_rules=(*faults(), *failed_rules),
        first_lost=None if blameless else first_lost(together),
        unjudged=unjudged or (_unmeasured(probed) if learning is None else None),
        started=started,
        seconds=time.monotonic() - begin,
    )


def _unmeasured(probed: ProbeResult) -> str | None:
    """What a verdict on less than the whole signal must say of itself."""
    if probed.status == "skipped":
        return "Weights only: the signal was not measured."
    if probed.status == "failed":
        return "Weights only: the signal could not be measured."
    forward_only = probed.mode == "forward" or probed.status == "partial"
    return "The way forward only: no gradient was measured." if forward_only else None


def _judge(rules: Iterable[Rule], audit: ModelAudit, limits: Sequence[Limit]) -> tuple[list[Finding], tuple[str, ...]]:
    """What the rules find; and the rules that raise, each in one line: a fault of one costs nothing but that one. Raises MemoryError."""
    found: list[Finding] = []
    failed_rules = []
    for rule in rules:
        try:
            found += _findings(rule, audit, limits)
        except MemoryError:  # of the model, not of the rule
            raise
        except (Exception, SystemExit) as error:  # noqa: BLE001  rules of other packages raise whatever they raise
            home = f"{type(rule).__module__}.{type(rule).__name__}"
            failed_rules.append(" ".join(f"rule {rule.code} ({home}) failed: {type(error).__name__}: {error}".split()))
    return found, tuple(failed_rules)


def _findings(rule: Rule, audit: ModelAudit, limits: Sequence[Limit]) -> list[Finding]:
    findings = rule.findings(audit, limits)
    for finding in findings:
        if not isinstance(finding, Finding):
            raise TypeError(f"{finding!r} is no Finding")
    return findings


def failed(path: str, reason: str, config: Config | None = None) -> Report:
    """The report of a model that could not be audited, under options that may be unknown."""
    unknown = Slowness(factor=None, why="the model could not be audited")
    verdict = Verdict(status="error", context="unknown", trainability=None, slowness=unknown, reason=reason)
    return Report(path=path, verdict=verdict, error=reason, config=config)
