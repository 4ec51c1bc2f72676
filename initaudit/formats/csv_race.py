"""A race as CSV: a row a point of each curve."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PREDICTED = ("trainability", "slowness")
COLUMNS = (
    "model",
    "start",
    *PREDICTED,
    "optimizer",
    "rate",
    "draw",
    "end",
    "steps",
    "held_out",
    "step",
    "loss",
    "metric",
    "why",
)
"""The same in every version of the schema; new ones are put before `why`. `steps` are those to the target, `metric` is accuracy or R2."""


def race_rows(document: Mapping[str, Any]) -> Iterator[list[Any]]:
    """A row a point; a run without points, and a start that was not trained, is a row of its own."""
    every = document["race"]["every"]
    for start in document["starts"]:
        first = [document["model"]["path"], start["scheme"], *(start["predicted"][name] for name in PREDICTED)]
        if not start["outcomes"]:
            yield [*first, *[None] * (len(COLUMNS) - len(first) - 1), start["why"]]
        for outcome in start["outcomes"]:
            for run in outcome["runs"]:
                own = [
                    *first,
                    outcome["optimizer"],
                    outcome["rate"],
                    run["seed"],
                    run["end"],
                    run["steps"],
                    run["held_out"],
                ]
                points = zip(run["loss"], run["metric"], strict=True)
                for place, (loss, metric) in enumerate(points, 1):
                    yield [*own, place * every, loss, metric, start["why"]]
                if not run["loss"]:
                    yield [*own, None, None, None, start["why"]]
