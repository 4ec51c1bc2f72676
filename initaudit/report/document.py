"""The JSON document (schema_version 1), built from audits. Keys are a contract: add freely, rename none."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from initaudit.extraction.wiring import wiring
from initaudit.findings import Severity
from initaudit.model.record import read_record
from initaudit.report.earlier import record_part
from initaudit.report.graph import graph_entry
from initaudit.report.run import run
from initaudit.version import __version__

if TYPE_CHECKING:
    from datetime import datetime

    from initaudit.extraction.layer import Skipped
    from initaudit.findings import Finding
    from initaudit.judgement.model_audit import ModelAudit
    from initaudit.judgement.verdict import Verdict
    from initaudit.measuring.layer_audit import LayerAudit
    from initaudit.probe.probe import ProbeResult
    from initaudit.probe.signal import Signal
    from initaudit.stats import WeightStats
    from initaudit.stats.provenance import Provenance

SCHEMA_VERSION = "1"
"""Raised when a key is renamed, removed or changes its meaning."""


def document(entries: Sequence[Mapping[str, Any]], **of_run: Any) -> dict[str, Any]:
    """One document for the entries of any number of models; `of_run` as for `head`."""
    return {**head(**of_run), "reports": list(entries)}


def head(*, started: datetime | None = None, command: Sequence[str] | None = None) -> dict[str, Any]:
    """What a document says before its `reports`; `started` and `command` as for `initaudit.report.run.run`."""
    return {
        "schema_version": SCHEMA_VERSION,
        "tool": {"name": "initaudit", "version": __version__},
        "run": run(started=started, command=command),
    }


def entry(
    *,
    path: str,
    verdict: Verdict,
    audit: ModelAudit | None,
    findings: Sequence[Finding],
    failed_rules: Sequence[str],
    skipped: Sequence[Skipped],
    parameters: int,
    audited: int,
) -> dict[str, Any]:
    """What the document says of one model but for `options` and `timing`; `audit` is None where it could not be read."""
    facts = facts_of(
        path=path,
        audit=audit,
        failed_rules=failed_rules,
        skipped=skipped,
        parameters=parameters,
        audited=audited,
    )
    return judged(facts, verdict, findings)


def facts_of(
    *,
    path: str,
    audit: ModelAudit | None,
    failed_rules: Sequence[str],
    skipped: Sequence[Skipped],
    parameters: int,
    audited: int,
) -> dict[str, Any]:
    """The part of an entry that no filter and no severity changes; arguments as for `entry`."""
    model = audit.model if audit else None
    return {
        "model": {
            "path": path,
            "sha256": model.sha256 if model else None,
            "bytes": model.size if model else None,
            "ir_version": model.proto.ir_version if model else None,
            "opset": dict(model.opset) if model else {},
            "producer": _producer(model.proto) if model else None,
            "parameters": parameters,
            "record": record_part(read_record(model.proto)) if model else None,
        },
        "coverage": {
            "parameters": parameters,
            "audited": audited,
            "skipped": [_skipped(s) for s in skipped],
        },
        "probe": _probe(audit.probe, audit.depth_scale) if audit else None,
        "layers": [_layer(layer) for layer in audit.layers] if audit else [],
        "graph": graph_entry(wiring(model.graph, (a.layer for a in audit.layers))) if audit and model else None,
        "failed_rules": list(failed_rules),
    }


def judged(facts: Mapping[str, Any], verdict: Verdict, findings: Sequence[Finding]) -> dict[str, Any]:
    """An entry of `facts_of` and what is made of them, its keys in their order."""
    return {
        "model": facts["model"],
        "verdict": _verdict(verdict),
        "coverage": facts["coverage"],
        "probe": facts["probe"],
        "layers": facts["layers"],
        "graph": facts["graph"],
        "findings": [_finding(finding) for finding in findings],
        "counts": _counts(findings),
        "failed_rules": facts["failed_rules"],
    }


def _verdict(verdict: Verdict) -> dict[str, Any]:
    return {
        "status": verdict.status,
        "context": verdict.context,
        "trainability": number(verdict.trainability),
        "trainability_error": number(verdict.trainability_error),
        "optimisers": dict(verdict.optimisers) if verdict.optimisers is not None else None,
        "slowness": number(verdict.slowness.factor),
        "slowness_why": verdict.slowness.why,
        "reason": verdict.reason,
        "headline": asdict(verdict.headline) if verdict.headline is not None else None,
        "evidence": list(verdict.evidence),
        "obstacle": asdict(verdict.obstacle) if verdict.obstacle is not None else None,
        "first_lost": dict(zip(("layer", "cause"), verdict.first_lost, strict=True)) if verdict.first_lost else None,
    }


def _counts(findings: Sequence[Finding]) -> dict[str, int]:
    """Active findings of each severity, worst first, and those that are suppressed."""
    active = [finding.severity for finding in findings if finding.suppressed is None]
    of_severity = {severity.value: active.count(severity) for severity in Severity}
    return {**of_severity, "suppressed": len(findings) - len(active)}


def number(value: float | None) -> float | None:
    """JSON has no NaN or infinity: they become None; numpy scalars become Python's."""
    if value is None:
        return None
    value = float(value)
    return value if math.isfinite(value) else None


def _producer(proto: Any) -> str:
    return " ".join(part for part in (proto.producer_name, proto.producer_version) if part)


def _skipped(skipped: Skipped) -> dict[str, Any]:
    return {
        "initializer": skipped.initializer,
        "parameters": skipped.parameters,
        "reason": skipped.reason,
        "is_parameter": skipped.is_parameter,
    }


def _probe(probe: ProbeResult, depth_scale: float | None) -> dict[str, Any]:
    return {
        "mode": probe.mode,
        "status": probe.status,
        "reason": probe.reason,
        "interrupted": probe.interrupted,
        "batch": probe.batch,
        "seed": probe.seed,
        "exact": probe.exact,
        "error": number(probe.error),
        "provider": probe.provider,
        "inputs": [dict(i) for i in probe.inputs],
        "constant_outputs": list(probe.constant_outputs),
        "batch_norm": probe.batch_norm,
        "nonfinite_node": probe.nonfinite_node,
        "float16": None if probe.float16 is None else _plain(dict(probe.float16)),
        "depth_scale": number(depth_scale),
        "notes": list(probe.notes),
    }


def _layer(audit: LayerAudit) -> dict[str, Any]:
    layer, view = audit.layer, audit.layer.weight
    return {
        "name": layer.name,
        "title": layer.title,
        "op_type": layer.op_type,
        "kind": layer.kind.value,
        "depth": layer.depth,
        "parameters": layer.parameters,
        "weight": {
            "initializers": list(dict.fromkeys(t.name for t in view.tensors)),
            "shape": list(view.shape),
            "dtype": view.dtype,
            "view": list(view.steps),
            "part": view.part,
            "shared_with": list(layer.shared_with),
        },
        "bias": layer.bias.name if layer.bias is not None else None,
        "fan_in": layer.fan_in,
        "fan_out": layer.fan_out,
        "groups": layer.groups,
        "activation": layer.activation,
        "activation_params": {k: number(v) for k, v in layer.activation_params.items()},
        "normalized_by": layer.normalized_by,
        "feeds": list(layer.feeds),
        "untrainable": layer.untrainable,
        "stats": _stats(audit.stats),
        "provenance": _provenance(audit.provenance),
        "target": None
        if audit.target is None
        else {
            "scheme": audit.target.scheme,
            "gain": number(audit.target.gain),
            "std": number(audit.target.std),
            "ratio": number(audit.ratio),
            "why": audit.target.why,
        },
        "signal": _signal(audit.signal),
    }


def _stats(stats: WeightStats) -> dict[str, Any]:
    histogram = stats.histogram
    return {
        "count": stats.count,
        "mean": number(stats.mean),
        "std": number(stats.std),
        "min": number(stats.min),
        "max": number(stats.max),
        "zeros": number(stats.zeros),
        "nonfinite": stats.nonfinite,
        "subnormal": stats.subnormal,
        "skewness": number(stats.skewness),
        "kurtosis": number(stats.kurtosis),
        "duplicate_units": number(stats.duplicate_units),
        "duplicate_units_scaled": number(stats.duplicate_units_scaled),
        "unit_norm_dispersion": number(stats.unit_norms.dispersion) if stats.unit_norms else None,
        "spectral_norm": number(stats.spectral_norm),
        "smallest_singular_value": number(stats.smallest_singular_value),
        "stable_rank": number(stats.stable_rank),
        "condition": number(stats.condition),
        "orthogonality_defect": number(stats.orthogonality_defect),
        "largest_over_robust_std": number(stats.outliers.largest) if stats.outliers else None,
        "histogram": None
        if histogram is None
        else {
            "low": number(histogram.low),
            "high": number(histogram.high),
            "counts": [int(c) for c in histogram.counts],
        },
    }


def _provenance(origin: Provenance | None) -> dict[str, Any] | None:
    if origin is None:
        return None
    return {
        "law": origin.law,
        "distribution": origin.distribution,
        "std": number(origin.std),
        "p_value": number(origin.p_value),
        "untrained": origin.untrained,
        "confidence": origin.confidence,
        "odds": number(origin.odds),
        "why": origin.why,
    }


def _signal(signal: Signal | None) -> dict[str, Any] | None:
    return None if signal is None else {key: _plain(value) for key, value in asdict(signal).items()}


def _plain(value: Any) -> Any:
    """Numbers made fit for JSON, in nested dicts and sequences."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return number(value) if isinstance(value, float) else value


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "code": finding.code,
        "name": finding.name,
        "severity": finding.severity.value,
        "confidence": finding.confidence.value,
        "layer": finding.layer,
        "initializer": finding.initializer,
        "message": finding.message,
        "evidence": {key: number(value) for key, value in finding.evidence.items()},
        "suggestion": finding.suggestion,
        "remedy": finding.remedy.value,
        "advice": [{"reader": a.reader.value, "text": a.text, "code": a.code} for a in finding.advice],
        "url": finding.url,
        "fingerprint": finding.fingerprint,
        "suppressed": finding.suppressed,
        "known": finding.known,
    }
