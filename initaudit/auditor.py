"""audit(): the whole flow, one line per step. The file to read first; `judging.py` is its second half."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from initaudit.config import Config
from initaudit.extraction.coverage import without_unread
from initaudit.extraction.extract import extract_layers
from initaudit.judgement.baseline import load_baseline
from initaudit.judgement.filtering import apply_filters, check_reasons
from initaudit.model.load import load_model
from initaudit.probe.isolation import prestart
from initaudit.probe.plan import ProbeOptions
from initaudit.probe.probe import start_probe
from initaudit.report.report import Report
from initaudit.rule import all_rules, check_selectors

if TYPE_CHECKING:
    from collections.abc import Callable

    from initaudit.judgement.examined import Examined
    from initaudit.measuring.sharing import Readers
    from initaudit.model.load import Source


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
    from initaudit.advising.advise import with_advice

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
    if config.probe != "none":
        prestart()  # its imports run while the weights are measured
    model = load_model(source)
    extraction = extract_layers(model)
    check_reasons(config, {name for layer in extraction.layers for name in (layer.name, layer.title)})
    with start_probe(model, extraction.layers, ProbeOptions.of(config), progress) as probing:
        # what only the rest needs is imported while the probe works
        from initaudit.measuring.measure import measure

        layers, unread = measure(extraction.layers, seed=config.seed, readers=readers)
        extraction = without_unread(extraction, unread)
        from initaudit.judging import Measured, judge
        from initaudit.redrawing.recognise import with_shapes

        layers, rules = with_shapes(layers), all_rules()
        probed = probing()
    measured = Measured(model=model, extraction=extraction, layers=layers, probe=probed, started=started, begin=begin)
    return judge(measured, rules, config, progress)


def failed(path: str, reason: str, config: Config | None = None) -> Report:
    """The report of a model that could not be audited, under options that may be unknown."""
    from initaudit.judgement.slowness import Slowness
    from initaudit.judgement.verdict import Verdict

    unknown = Slowness(factor=None, why="the model could not be audited")
    verdict = Verdict(status="error", context="unknown", trainability=None, slowness=unknown, reason=reason)
    return Report(path=path, verdict=verdict, error=reason, config=config)
