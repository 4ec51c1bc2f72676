"""What every output says of starts: the columns of the table, and the numbers in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from initaudit.formats.printing import NOTHING, number

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    Part = Mapping[str, Any]

HEADINGS = ("start", "verdict", "learns", "slowness", "signal", "gradient", "saturated", "dead", "similarity", "findings")  # fmt: skip
"""Columns of the table, a row a start; `learns` is the trainability."""
ARROW = "→"
AS_IS, AUTO = "as-is", "auto"
"""Starts that are no schemes, as the document names them."""


def cells(start: Part) -> list[str]:
    """One start, column by column; where it was not measured, why stands in the place of the findings."""
    if start["verdict"] is None:
        return [start["scheme"], "error", *[NOTHING] * (len(HEADINGS) - 3), start["why"]]
    verdict = start["verdict"]
    return [
        start["scheme"],
        verdict["status"],
        NOTHING if verdict["trainability"] is None else f"{verdict['trainability']:.2f}",
        NOTHING if verdict["slowness"] is None else f"{verdict['slowness']:.1f}x",
        _journey(start, "variance"),
        _journey(start, "gradient_rms"),
        _share(start, "saturated", max),
        _share(start, "dead", max),
        _last(start, "similarity"),
        _findings(start),
    ]


def told_why(document: Part) -> list[str]:
    """Which starts were not measured, or are those of the file, and why; a line a reason."""
    reasons: dict[str, list[str]] = {}
    for start in document["starts"]:
        if start["why"] is not None:
            reasons.setdefault(f"not measured: {start['why']}", []).append(start["scheme"])
        elif start["changed"] == 0 and start["scheme"] != AS_IS:
            reasons.setdefault("changes nothing: the same as the file", []).append(start["scheme"])
    return [f"{', '.join(schemes)}: {reason}" for reason, schemes in reasons.items()]


def values(start: Part, quantity: str) -> list[Any]:
    """A quantity at each layer, None where it was not measured."""
    return [None if layer["signal"] is None else layer["signal"][quantity] for layer in start["layers"]]


def _journey(start: Part, quantity: str) -> str:
    """From the first layer to the last."""
    known = [value for value in values(start, quantity) if value is not None]
    return f"{number(known[0])}{ARROW}{number(known[-1])}" if known else NOTHING


def _share(start: Part, quantity: str, of: Callable[[Sequence[float]], float]) -> str:
    known = [value for value in values(start, quantity) if value is not None]
    return f"{100 * of(known):.0f} %" if known else NOTHING


def _last(start: Part, quantity: str) -> str:
    known = [value for value in values(start, quantity) if value is not None]
    return f"{100 * known[-1]:.0f} %" if known else NOTHING


def _findings(start: Part) -> str:
    return " ".join(code if count == 1 else f"{code}x{count}" for code, count in start["findings"].items()) or NOTHING
