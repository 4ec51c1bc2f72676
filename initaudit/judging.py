"""judge(): what was measured is weighed against theory, against the recommended start, and by the rules."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from initaudit.findings import Finding
from initaudit.judgement.compare import earlier_layers, untouched_layers, untouched_rows
from initaudit.judgement.context import infer_context, with_training
from initaudit.judgement.examined import Examined
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
from initaudit.measuring.theory import depth_scale, with_theory
from initaudit.probe.plan import ProbeOptions
from initaudit.registry import faults

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime

    from initaudit.config import Config
    from initaudit.extraction.layer import Extraction
    from initaudit.measuring.layer_audit import LayerAudit
    from initaudit.model.load import Model
    from initaudit.per_rule import Limit
    from initaudit.probe.probe import ProbeResult
    from initaudit.rule import Rule


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Measured:
    """A model before it is judged."""

    model: Model
    extraction: Extraction
    layers: tuple[LayerAudit, ...]
    probe: ProbeResult
    started: datetime
    begin: float
    """`started` on `time.monotonic`'s clock."""


@np.errstate(all="ignore")
def judge(
    measured: Measured, rules: Iterable[Rule], config: Config, progress: Callable[[str], None] | None = None
) -> Examined:
    """All that is found, whatever of it counts. `progress` is called with a phrase for what further probes are doing."""
    model, layers, probed = measured.model, measured.layers, measured.probe
    options, deadline = ProbeOptions.of(config), measured.begin + config.timeout
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
        extraction=measured.extraction,
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
    found, failed_rules = _found(rules, audited, config.threshold)
    blameless = unjudged or (obstacle is not None and obstacle.is_everywhere)
    return Examined(
        audit=audited,
        found=tuple(found),
        failed_rules=(*faults(), *failed_rules),
        first_lost=None if blameless else first_lost(together),
        unjudged=unjudged or (_unmeasured(probed) if learning is None else None),
        started=measured.started,
        seconds=time.monotonic() - measured.begin,
    )


def _unmeasured(probed: ProbeResult) -> str | None:
    """What a verdict on less than the whole signal must say of itself."""
    if probed.status == "skipped":
        return "Weights only: the signal was not measured."
    if probed.status == "failed":
        return "Weights only: the signal could not be measured."
    forward_only = probed.mode == "forward" or probed.status == "partial"
    return "The way forward only: no gradient was measured." if forward_only else None


def _found(rules: Iterable[Rule], audit: ModelAudit, limits: Sequence[Limit]) -> tuple[list[Finding], tuple[str, ...]]:
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
