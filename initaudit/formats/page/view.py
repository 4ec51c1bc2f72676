"""What the HTML page shows of one report: plain dicts for the template."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any

from initaudit.findings import Remedy, fix_acts_on
from initaudit.formats.page import words
from initaudit.formats.page.anchors import layer_anchors
from initaudit.formats.page.island import island
from initaudit.formats.page.map import network_map
from initaudit.formats.page.picture import picture
from initaudit.formats.page.series import at, charted, series
from initaudit.formats.telling import fixed_before, missed

SEVERITIES = ("error", "warning", "info")

MODEL = dict.fromkeys(("path", "sha256", "bytes", "ir_version", "opset", "producer", "parameters"))
PROBE = dict.fromkeys(
    ("mode", "status", "reason", "batch", "seed", "provider", "batch_norm", "depth_scale", "exact", "error")
) | {
    "inputs": (),
    "notes": (),
}
"""What the page names of the model and the probe; unknown unless the report says it."""


def report_view(
    report: Mapping[str, Any], index: int, rules: Mapping[str, Any], *, folder: str = "", alone: bool = True
) -> dict[str, Any]:
    """What the template shows of a report; every optional key present.

    Args:
        report: one of the document's `reports`.
        index: its place in the document.
        rules: documentation by code.
        folder: the beginning of the path that a reader need not see again.
        alone: whether the page shows no other report.
    """
    layers: Sequence[Mapping[str, Any]] = report["layers"]
    anchors = layer_anchors(layers, "" if alone else f"r{index}-")
    quantities = series(layers)
    findings = [_finding(finding, anchors) for finding in report["findings"]]
    kept = [finding for finding in findings if finding["suppressed"] is None]
    by_layer: dict[str, list[dict[str, Any]]] = {}
    for finding in kept:
        by_layer.setdefault(finding["layer"], []).append(finding)
    obstacle = report["verdict"].get("obstacle")
    helps = obstacle is None or obstacle["fix_helps"]
    rows = [
        {**_row(layer, position, by_layer.get(layer["name"], []), helps=helps), "anchor": anchors[layer["name"]]}
        for position, layer in enumerate(layers)
    ]
    lost = at(report, "verdict.first_lost")
    lost_at = list(anchors).index(lost["layer"]) if lost and lost["layer"] in anchors else None
    coverage = report["coverage"]
    path = report["model"]["path"]
    may_be_fresh = report["verdict"]["context"] in ("fresh", "unknown")
    fixable = helps and any(fix_acts_on(finding["remedy"], finding["severity"]) for finding in kept)
    return {
        "id": f"r{index}",
        "path": path,
        "file": path[len(folder) :] or path,
        "model": {**MODEL, **report["model"]},
        "changes": None,
        "fixed": fixed_before(report["model"].get("record")),
        "verdict": {"evidence": (), "trainability_error": None, **report["verdict"]},
        "may_be_fresh": may_be_fresh,
        "failed_rules": report.get("failed_rules", ()),
        "missed": missed(report),
        "lost": lost and {**lost, "anchor": anchors.get(lost["layer"])},
        "coverage": coverage,
        "skipped": _by_reason(coverage["skipped"]),
        "probe": report.get("probe") and {**PROBE, **report["probe"]},
        "rows": rows,
        "map": network_map(report, rows),
        "counts": {severity: sum(f["severity"] == severity for f in kept) for severity in SEVERITIES},
        "severities": [(severity, _groups(kept, severity, rules)) for severity in SEVERITIES],
        "suppressed": [finding for finding in findings if finding["suppressed"] is not None],
        "codes": {finding["code"] for finding in findings},
        "ends": {name: words.ends(quantities[name]) for name in ("variance", "gradient")},
        "journeys": {
            "variance": words.journey(quantities["variance"]),
            "gradient": "; ".join(
                f"{of} {journey}"
                for of, name in (("per element", "gradient"), ("of the layer", "gradientTotal"))
                if (journey := words.journey(quantities[name]))
            ),
        },
        "picture": picture(quantities, [row["severity"] for row in rows], lost_at),
        "charted": charted(quantities),
        "options": report.get("options"),
        "seconds": at(report, "timing.seconds"),
        "drawable": _drawable(layers),
        "advice": at(report, "verdict.headline.action"),
        "fix": words.fix_command(path) if fixable else None,
        "island": island(
            layers=layers,
            rows=rows,
            anchors=anchors,
            quantities=quantities,
            path=path,
            lost=lost_at,
            context=report["verdict"]["context"],
        ),
    }


def _finding(finding: Mapping[str, Any], anchors: Mapping[str, str]) -> dict[str, Any]:
    evidence = finding["evidence"]
    return {
        "remedy": Remedy.NONE.value,
        "advice": (),
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


def _row(
    layer: Mapping[str, Any], position: int, findings: Sequence[Mapping[str, Any]], *, helps: bool
) -> dict[str, Any]:
    """One line of the table; `helps` is whether new weights do."""
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
        "chi": at(layer, "signal.chi"),
        "chi_measured": at(layer, "signal.chi_measured"),
        "unresolved": at(layer, "signal.gradient_resolved") is False,
        "findings": findings,
        "codes": list(dict.fromkeys(finding["code"] for finding in findings)),
        "severity": next((severity for severity in SEVERITIES if severity in severities), None),
        "fixable": helps
        and any(f["remedy"] == Remedy.DRAW_LAYER and fix_acts_on(f["remedy"], f["severity"]) for f in findings),
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
