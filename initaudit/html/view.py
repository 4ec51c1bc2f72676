"""What the HTML page shows of one report: plain dicts for the template, and the data island for the page's script."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from pathlib import PurePath
from typing import Any

from jinja2.utils import htmlsafe_json_dumps
from markupsafe import Markup

from initaudit.html import words

SEVERITIES = ("error", "warning", "info")

SERIES = {
    "std": "stats.std",
    "target": "target.std",
    "ratio": "target.ratio",
    "variance": "signal.variance",
    "predicted": "signal.predicted_variance",
    "meanSquare": "signal.mean_square",
    "after": "signal.after.variance",
    "similarity": "signal.similarity",
    "saturated": "signal.saturated",
    "dead": "signal.dead",
    "gradient": "signal.gradient_rms",
    "gradientError": "signal.gradient_error",
    "resolved": "signal.gradient_resolved",
    "weightGradient": "signal.weight_gradient_ratio",
    "fanIn": "fan_in",
    "fanOut": "fan_out",
    "parameters": "parameters",
}
"""What the charts and the sorting need of each layer: name in the page's script -> path in the report."""

FACTS = {
    "Layer": {
        "Node": "name",
        "Operator": "op_type",
        "Kind": "kind",
        "Stored as": "weight.initializers",
        "Shape": "weight.shape",
        "Type": "weight.dtype",
        "Reached through": "weight.view",
        "Part": "weight.part",
        "Shared with": "weight.shared_with",
        "Bias": "bias",
        "Parameters": "parameters",
        "Fan in": "fan_in",
        "Fan out": "fan_out",
        "Groups": "groups",
        "Activation": "activation",
        "Activation parameters": "activation_params",
        "Normalised by": "normalized_by",
        "Feeds": "feeds",
        "Cannot be trained": "untrainable",
    },
    "Weights": {
        "Mean": "stats.mean",
        "Standard deviation": "stats.std",
        "Smallest": "stats.min",
        "Largest": "stats.max",
        "Exact zeros": "stats.zeros",
        "NaN or infinite": "stats.nonfinite",
        "Subnormal": "stats.subnormal",
        "Skewness": "stats.skewness",
        "Kurtosis": "stats.kurtosis",
        "Duplicate units (share)": "stats.duplicate_units",
        "Duplicates up to scale (share)": "stats.duplicate_units_scaled",
        "Dispersion of the units' norms": "stats.unit_norm_dispersion",
        "Largest / robust std": "stats.largest_over_robust_std",
        "Spectral norm": "stats.spectral_norm",
        "Smallest singular value": "stats.smallest_singular_value",
        "Stable rank": "stats.stable_rank",
        "Condition number": "stats.condition",
        "Orthogonality defect": "stats.orthogonality_defect",
    },
    "Provenance": {
        "Law": "provenance.law",
        "Distribution": "provenance.distribution",
        "Std of that law": "provenance.std",
        "p-value": "provenance.p_value",
        "Still untrained": "provenance.untrained",
        "Confidence": "provenance.confidence",
        "Why": "provenance.why",
    },
    "Signal": {
        "Variance": "signal.variance",
        "Predicted variance": "signal.predicted_variance",
        "Growth from the layer before": "signal.growth",
        "Mean square": "signal.mean_square",
        "Variance after the activation": "signal.after.variance",
        "Mean square after the activation": "signal.after.mean_square",
        "Similarity": "signal.similarity",
        "Saturated (share)": "signal.saturated",
        "Dead (share)": "signal.dead",
        "NaN or infinite (share)": "signal.nonfinite",
        "Gradient RMS": "signal.gradient_rms",
        "Relative error of the gradient": "signal.gradient_error",
        "Gradient above the float resolution": "signal.gradient_resolved",
        "Weight gradient / weight": "signal.weight_gradient_ratio",
    },
}
"""What the details of a layer list: heading -> label -> path in the report."""

NOT_MENDED_BY_DRAWING = ("INI6", "INI9")
"""Codes of findings that ask for the right weights, or for a better audit, not for new random ones."""

MODEL = dict.fromkeys(("path", "sha256", "bytes", "ir_version", "opset", "producer", "parameters"))
PROBE = dict.fromkeys(("mode", "status", "reason", "batch", "seed", "batch_norm")) | {"inputs": (), "notes": ()}
"""What the page names of the model and the probe; unknown unless the report says it."""

HISTOGRAM_HEIGHT = 999
"""Histograms travel as heights relative to their highest bar in thousandths: finer than a pixel, and three digits keep large reports small."""


def at(layer: Mapping[str, Any], path: str) -> Any:
    """The value at a dotted path, None where any part of the way is missing or null."""
    value: Any = layer
    for key in path.split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def report_view(report: Mapping[str, Any], index: int, rules: Mapping[str, Any]) -> dict[str, Any]:
    """What the template shows of the report with this place on the page; every optional key present."""
    layers: Sequence[Mapping[str, Any]] = report["layers"]
    anchors = {layer["name"]: f"r{index}-l{position}" for position, layer in enumerate(layers)}
    findings = [_finding(finding, anchors) for finding in report["findings"]]
    kept = [finding for finding in findings if finding["suppressed"] is None]
    by_layer: dict[str, list[dict[str, Any]]] = {}
    for finding in kept:
        by_layer.setdefault(finding["layer"], []).append(finding)
    rows = [_row(layer, position, by_layer.get(layer["name"], [])) for position, layer in enumerate(layers)]
    lost = at(report, "verdict.first_lost")
    coverage = report["coverage"]
    path = report["model"]["path"]
    fixable = report["verdict"]["context"] in ("fresh", "unknown") and any(row["fixable"] for row in rows)
    return {
        "id": f"r{index}",
        "path": path,
        "file": PurePath(path).name or path,
        "model": {**MODEL, **report["model"]},
        "verdict": {"evidence": (), **report["verdict"]},
        "lost": lost and {**lost, "anchor": anchors.get(lost["layer"])},
        "coverage": coverage,
        "skipped": _by_reason(coverage["skipped"]),
        "probe": report.get("probe") and {**PROBE, **report["probe"]},
        "rows": rows,
        "counts": {severity: sum(f["severity"] == severity for f in kept) for severity in SEVERITIES},
        "severities": [(severity, _groups(kept, severity, rules)) for severity in SEVERITIES],
        "suppressed": [finding for finding in findings if finding["suppressed"] is not None],
        "codes": {finding["code"] for finding in findings},
        "ends": {name: words.ends([at(layer, SERIES[name]) for layer in layers]) for name in ("variance", "gradient")},
        "journeys": {
            name: words.journey([at(layer, SERIES[name]) for layer in layers]) for name in ("variance", "gradient")
        },
        "drawable": _drawable(layers),
        "advice": next((f["suggestion"] for s in ("error", "warning") for f in kept if f["severity"] == s), None),
        "fix": words.fix_command(path) if fixable else None,
        "island": _island(
            layers=layers, rows=rows, anchors=anchors, path=path, lost=lost, context=report["verdict"]["context"]
        ),
    }


def _finding(finding: Mapping[str, Any], anchors: Mapping[str, str]) -> dict[str, Any]:
    evidence = finding["evidence"]
    return {
        **finding,
        "anchor": anchors.get(finding["layer"]),
        "measured": evidence.get("measured"),
        "expected": evidence.get("expected"),
        "more": {
            key: value for key, value in evidence.items() if key not in ("measured", "expected") and value is not None
        },
    }


def _groups(findings: Iterable[Mapping[str, Any]], severity: str, rules: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The findings of one severity by rule: one heading, one suggestion where all share it."""
    chosen = sorted((f for f in findings if f["severity"] == severity), key=lambda f: str(f["code"]))
    groups = []
    for code, members in groupby(chosen, key=lambda f: f["code"]):
        group = list(members)
        suggestions = {f["suggestion"] for f in group}
        groups.append(
            {
                "code": code,
                "name": group[0]["name"],
                "rule": rules.get(code),
                "findings": group,
                "suggestion": suggestions.pop() if len(suggestions) == 1 else None,
            }
        )
    return groups


def _row(layer: Mapping[str, Any], position: int, findings: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    severities = {finding["severity"] for finding in findings}
    return {
        "number": position + 1,
        "name": layer["name"],
        "title": layer.get("title") or layer["name"],
        "kind": layer["kind"],
        "shape": at(layer, "weight.shape"),
        "part": at(layer, "weight.part"),
        "fan_in": layer["fan_in"],
        "fan_out": layer["fan_out"],
        "activation": layer["activation"],
        "std": at(layer, "stats.std"),
        "target_std": at(layer, "target.std"),
        "ratio": at(layer, "target.ratio"),
        "law": at(layer, "provenance.law") or at(layer, "provenance.distribution"),
        "untrained": at(layer, "provenance.untrained"),
        "variance": at(layer, "signal.variance"),
        "gradient": at(layer, "signal.gradient_rms"),
        "unresolved": at(layer, "signal.gradient_resolved") is False,
        "findings": findings,
        "codes": list(dict.fromkeys(finding["code"] for finding in findings)),
        "severity": next((severity for severity in SEVERITIES if severity in severities), None),
        "fixable": at(layer, "target.std") is not None
        and any(f["severity"] != "info" and not f["code"].startswith(NOT_MENDED_BY_DRAWING) for f in findings),
    }


def _by_reason(skipped: Iterable[Mapping[str, Any]]) -> list[tuple[str, list[Mapping[str, Any]]]]:
    """What was not audited, by reason: weights before mere constants, the reason with most parameters first."""
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for entry in skipped:
        groups.setdefault(entry["reason"], []).append(entry)

    def rank(group: tuple[str, list[Mapping[str, Any]]]) -> tuple[bool, int]:
        entries = group[1]
        return not any(entry.get("is_parameter", True) for entry in entries), -sum(
            e["parameters"] or 0 for e in entries
        )

    return sorted(groups.items(), key=rank)


def _drawable(layers: Sequence[Mapping[str, Any]]) -> dict[str, bool]:
    """Which charts have anything to show."""

    def known(*paths: str) -> bool:
        return any(at(layer, path) is not None for layer in layers for path in paths)

    return {
        "signal": known("signal.variance", "signal.mean_square"),
        "gradient": known("signal.gradient_rms"),
        "units": known("signal.similarity", "signal.saturated", "signal.dead"),
        "scale": known("target.ratio"),
        "spread": known("signal.histogram"),
        "weights": any(at(layer, "stats.histogram") and words.finite(at(layer, "target.std")) for layer in layers),
    }


def _island(
    *,
    layers: Sequence[Mapping[str, Any]],
    rows: Sequence[Mapping[str, Any]],
    anchors: Mapping[str, str],
    path: str,
    lost: Mapping[str, Any] | None,
    context: str,
) -> Markup:
    """The data of the charts and the details as JSON by column: one value per layer, safe inside a script element."""
    facts = []
    for heading, labels in FACTS.items():
        for label, place in labels.items():
            values = [words.fact(at(layer, place)) for layer in layers]
            if any(value is not None for value in values):
                facts.append([heading, label, values])
    names = list(anchors)
    return htmlsafe_json_dumps(
        {
            "anchors": list(anchors.values()),
            "names": [words.plain(name) for name in names],
            "titles": [words.plain(row["title"]) for row in rows],
            "kinds": [row["kind"] for row in rows],
            "activations": [row["activation"] for row in rows],
            "laws": [row["law"] for row in rows],
            "severities": [row["severity"] for row in rows],
            "findings": [
                [[f["severity"], f["code"], words.plain(f["message"])] for f in row["findings"]] for row in rows
            ],
            "lost": names.index(lost["layer"]) if lost and lost["layer"] in anchors else None,
            "series": {name: [_chart_number(at(layer, place)) for layer in layers] for name, place in SERIES.items()},
            "schemes": [at(layer, "target.scheme") for layer in layers],
            "gains": [words.fact(at(layer, "target.gain")) for layer in layers],
            "why": [words.fact(at(layer, "target.why")) for layer in layers],
            "facts": facts,
            "weightHistograms": [_histogram(at(layer, "stats.histogram")) for layer in layers],
            "signalHistograms": [_histogram(at(layer, "signal.histogram")) for layer in layers],
            "fixes": [words.fix_command(path, row["name"], names) if row["fixable"] else None for row in rows],
            "trained": context == "trained",
        },
        separators=(",", ":"),
        allow_nan=False,
    )


def _chart_number(value: Any) -> float | str | None:
    """Five significant digits draw the same line as seventeen; what is not finite becomes a word the script shows as such."""
    if value is None or isinstance(value, str):
        return value
    if not math.isfinite(value):
        return words.number(value)
    return int(value) if isinstance(value, int) else float(f"{value:.5g}")


def _histogram(histogram: Mapping[str, Any] | None) -> list[Any] | None:
    """[low, high, heights] with heights in thousandths of the highest bar; a bar that holds anything stays visible."""
    if histogram is None or not (words.finite(histogram["low"]) and words.finite(histogram["high"])):
        return None
    counts = histogram["counts"]
    highest = max(counts, default=0)
    if highest <= 0:
        return None
    heights = [max(1, round(HISTOGRAM_HEIGHT * count / highest)) if count else 0 for count in counts]
    return [_chart_number(histogram["low"]), _chart_number(histogram["high"]), heights]
