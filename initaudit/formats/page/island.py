"""The data island of the page: what its script draws and opens, as JSON by column, one value per layer."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from jinja2.utils import htmlsafe_json_dumps

from initaudit.formats.page import words
from initaudit.formats.page.series import at
from initaudit.formats.printing import number

if TYPE_CHECKING:
    from markupsafe import Markup

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
        "Odds that it is untrained": "provenance.odds",
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
        "In a flat part of the activation (share)": "signal.saturated",
        "Dead (share)": "signal.dead",
        "NaN or infinite (share)": "signal.nonfinite",
        "Gradient RMS": "signal.gradient_rms",
        "Relative error of the gradient": "signal.gradient_error",
        "Gradient above the float resolution": "signal.gradient_resolved",
        "Weight gradient / weight": "signal.weight_gradient_ratio",
        "Relative error of the weight gradient": "signal.weight_gradient_error",
        "χ by theory": "signal.chi",
        "χ measured": "signal.chi_measured",
    },
}
"""What the details of a layer list: heading -> label -> path in the report."""

HISTOGRAM_HEIGHT = 999
"""Histograms travel as heights relative to their highest bar in thousandths: finer than a pixel, and three digits keep large reports small."""


def island(
    *,
    layers: Sequence[Mapping[str, Any]],
    rows: Sequence[Mapping[str, Any]],
    anchors: Mapping[str, str],
    quantities: Mapping[str, Sequence[Any]],
    path: str,
    lost: int | None,
    context: str,
) -> Markup:
    """The data of the charts and the details as JSON by column: one value per layer, safe inside a script element.

    `quantities` are those of `series`; `lost` is the position of the layer at which the signal is lost.
    """
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
            "lost": lost,
            "series": {name: [_chart_number(value) for value in values] for name, values in quantities.items()},
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
        return number(value)
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
