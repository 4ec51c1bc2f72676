"""audit(): the whole flow, one line per step. The file to read first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from initaudit.baseline import load_baseline
from initaudit.compare import untouched_layers
from initaudit.config import Config
from initaudit.context import infer_context
from initaudit.filtering import apply_filters
from initaudit.layers import extract_layers
from initaudit.measure import measure
from initaudit.model import load_model
from initaudit.probe import ProbeOptions, start_probe
from initaudit.probe.isolation import prestart
from initaudit.probe.theory import first_lost
from initaudit.report import ModelAudit, Report
from initaudit.rule import all_rules
from initaudit.trainability import trainability
from initaudit.verdict import Verdict, verdict_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from initaudit.errors import InitauditError
    from initaudit.model import Source


def audit(source: Source, config: Config | None = None, progress: Callable[[str], None] | None = None) -> Report:
    """Audit one model.

    Args:
        source: path, bytes, onnx.ModelProto or onnx_ir.Model.
        config: options; the defaults of `Config` where None.
        progress: called with a phrase for what the probe is doing.

    Returns:
        The report. Deterministic for the same file, options and versions.

    Raises:
        ModelError: the model cannot be read.
        UsageError: an option cannot be followed.
    """
    config = config or Config()
    if config.probe != "none":
        prestart()  # its imports run while the weights are measured
    model = load_model(source)
    extraction = extract_layers(model)
    probing = start_probe(model, extraction.layers, ProbeOptions.from_config(config), progress)
    layers, unreadable = measure(extraction.layers, seed=config.seed)
    context = infer_context(layers, config.context)
    probed = probing()
    layers = probed.attach(layers)
    learning = trainability(layers)
    findings_input = ModelAudit(
        model=model,
        extraction=extraction,
        layers=layers,
        context=context,
        probe=probed,
        trainability=learning,
        untouched=untouched_layers(layers, config.against) if config.against else {},
    )
    found = [finding for rule in all_rules() for finding in rule.check(findings_input)]
    findings = apply_filters(found, config, load_baseline(config.baseline), layers, model.label)
    return Report(
        path=model.label,
        verdict=verdict_for(findings, context, learning, first_lost(layers)),
        audit=findings_input,
        findings=findings,
        skipped=(*extraction.skipped, *unreadable),
        parameters=extraction.parameters,
        audited=extraction.audited - sum(s.parameters for s in unreadable),
    )


def failed(path: str, error: InitauditError) -> Report:
    """The report of a model that could not be audited."""
    verdict = Verdict(status="error", context="unknown", trainability=None, reason=str(error))
    return Report(path=path, verdict=verdict, error=str(error))
