"""What the page draws, sorts and tabulates: quantities with one value per layer."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from initaudit.formats.page import words

PATHS = {
    "std": "stats.std",
    "target": "target.std",
    "ratio": "target.ratio",
    "variance": "signal.variance",
    "predicted": "signal.predicted_variance",
    "meanSquare": "signal.mean_square",
    "after": "signal.after.variance",
    "similarity": "signal.similarity",
    "dead": "signal.dead",
    "gradient": "signal.gradient_rms",
    "gradientError": "signal.gradient_error",
    "resolved": "signal.gradient_resolved",
    "weightGradient": "signal.weight_gradient_ratio",
    "chi": "signal.chi",
    "chiMeasured": "signal.chi_measured",
    "fanIn": "fan_in",
    "fanOut": "fan_out",
    "parameters": "parameters",
}
"""What the report says of a layer as it stands: name in the page's script -> path in the report."""

FLAT_ON_BOTH_SIDES = frozenset({"tanh", "sigmoid", "softsign", "hardtanh", "hardsigmoid"})
"""Activations of which a flat part is a fault. Half of a healthy ReLU layer lies in its flat half."""

CHARTED = {
    "Variance": "variance",
    "Predicted variance": "predicted",
    "Mean square": "meanSquare",
    "Variance after activation": "after",
    "Gradient per element": "gradient",
    "Gradient of the layer": "gradientTotal",
    "Weight gradient / weight": "weightGradient",
    "Similarity": "similarity",
    "Saturated": "saturated",
    "Dead": "dead",
    "Std / target": "ratio",
    "Smallest pre-activation": "lowest",
    "Largest pre-activation": "highest",
}
"""What the charts show, as the columns of the table that stands for them: heading -> name of the series."""


def at(layer: Mapping[str, Any], path: str) -> Any:
    """The value at a dotted path, None where any part of the way is missing or null."""
    value: Any = layer
    for key in path.split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def series(layers: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Every quantity of these layers by its name in the page's script."""
    measured = {name: [at(layer, path) for layer in layers] for name, path in PATHS.items()}
    return measured | {
        "gradientTotal": [_gradient_total(layer) for layer in layers],
        "saturated": [_saturated(layer) for layer in layers],
        "lowest": [at(layer, "signal.histogram.low") for layer in layers],
        "highest": [at(layer, "signal.histogram.high") for layer in layers],
    }


def charted(quantities: Mapping[str, Sequence[Any]]) -> dict[str, Sequence[Any]]:
    """The columns of the table of the charts' numbers, without those of which nothing is known."""
    columns = {heading: quantities[name] for heading, name in CHARTED.items()}
    return {heading: values for heading, values in columns.items() if any(value is not None for value in values)}


def _gradient_total(layer: Mapping[str, Any]) -> Any:
    """The norm of the gradient over all elements of the layer's output.

    Unlike the mean per element, it does not jump where a layer computes more or fewer of them, as before and after a pooling.
    """
    per_element, elements = at(layer, "signal.gradient_rms"), at(layer, "signal.elements")
    if not words.finite(per_element) or not words.finite(elements):
        return per_element if elements is not None else None
    return per_element * math.sqrt(elements)


def _saturated(layer: Mapping[str, Any]) -> Any:
    return at(layer, "signal.saturated") if layer["activation"] in FLAT_ON_BOTH_SIDES else None
