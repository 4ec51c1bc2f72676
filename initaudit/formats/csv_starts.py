"""Starts as CSV: a row a layer of each start."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

OF_START = ("status", "trainability", "slowness")
OF_LAYER = ("name", "title", "op_type", "activation", "scheme", "std")
OF_SIGNAL = (
    "variance", "predicted_variance", "mean_square", "gradient_rms", "weight_gradient_ratio", "similarity", "saturated", "dead", "nonfinite",
)  # fmt: skip
COLUMNS = ("model", "start", *OF_START, *OF_LAYER, *OF_SIGNAL, "why")
"""The same in every version of the schema; new ones are put before `why`."""


def start_rows(document: Mapping[str, Any]) -> Iterator[list[Any]]:
    """A row a layer of each start; one without layers, or that could not be measured, is a row of its own."""
    for start in document["starts"]:
        verdict = start["verdict"] or {}
        first = [document["model"]["path"], start["scheme"], *(verdict.get(name) for name in OF_START)]
        for layer in start["layers"] or [{}]:
            signal = layer.get("signal") or {}
            facts = [*(layer.get(name) for name in OF_LAYER), *(signal.get(name) for name in OF_SIGNAL)]
            yield [*first, *facts, start["why"]]
