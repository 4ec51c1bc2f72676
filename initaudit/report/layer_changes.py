"""What became of each layer between two reports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from initaudit.judgement.compare import paired
from initaudit.report.document import number

if TYPE_CHECKING:
    from initaudit.judgement.compare import LayerChange

Part: TypeAlias = Mapping[str, Any]
"""A report, a layer or a finding of the document."""

STATISTICS = {
    "mean": ("stats", "mean"),
    "std": ("stats", "std"),
    "zeros": ("stats", "zeros"),
    "nonfinite": ("stats", "nonfinite"),
    "ratio": ("target", "ratio"),
    "variance": ("signal", "variance"),
    "gradient_rms": ("signal", "gradient_rms"),
}
"""What is shown of a layer before and after, and where a report has it."""


def layer_rows(before: Part | None, after: Part | None, changes: Sequence[LayerChange] | None) -> list[dict[str, Any]]:
    """A row a layer: its name before and after, what became of it, by how much its weights changed, and its statistics.

    Args:
        before: a report of the JSON document.
        after: another.
        changes: of the weights, where they are at hand; else only the statistics are compared, and `alike` is said of layers of which none differs.
    """
    earlier = {layer["name"]: layer for layer in (before["layers"] if before is not None else ())}
    later = {layer["name"]: layer for layer in (after["layers"] if after is not None else ())}
    if changes is None:
        return [
            _by_statistics(b, a, before, after) for b, a in _layer_pairs(list(earlier.values()), list(later.values()))
        ]
    return [
        {
            "before": c.before,
            "after": c.after,
            "title": c.title,
            "state": c.state,
            "change": number(c.change),
            "parameters": c.parameters,
            "statistics": _statistics(earlier.get(c.before or ""), later.get(c.after or "")),
        }
        for c in changes
    ]


def _layer_pairs(before: Sequence[Part], after: Sequence[Part]) -> list[tuple[Part | None, Part | None]]:
    """As `judgement.compare` pairs them: by title, then by stored name, then by equal shape in order."""
    pairs = paired(before, after, (_by_title, _by_tensor, _by_operator))
    known = {id(layer) for pair in pairs for layer in pair}
    return [
        *pairs,
        *((layer, None) for layer in before if id(layer) not in known),
        *((None, layer) for layer in after if id(layer) not in known),
    ]


def _by_title(layer: Part) -> object:
    return (layer["title"], *_place(layer))


def _by_tensor(layer: Part) -> object:
    return (*layer["weight"]["initializers"][:1], *_place(layer))


def _by_operator(layer: Part) -> object:
    return (layer["op_type"], *_place(layer))


def _place(layer: Part) -> tuple[object, ...]:
    return layer["weight"]["part"], tuple(layer["weight"]["shape"])


def _by_statistics(b: Part | None, a: Part | None, before: Part | None, after: Part | None) -> dict[str, Any]:
    """A row of two layers of which only reports are at hand; `alike` where nothing that was measured of the weights differs."""
    change = None
    if b is None or a is None:
        state = "added" if b is None else "removed"
    elif b["stats"] != a["stats"]:
        state = "changed"
    elif before and after and before["model"]["sha256"] == after["model"]["sha256"]:
        state, change = "unchanged", 0.0
    else:
        state = "alike"
    shown = a or b
    assert shown is not None
    return {
        "before": b["name"] if b else None,
        "after": a["name"] if a else None,
        "title": shown["title"],
        "state": state,
        "change": change,
        "parameters": shown["parameters"],
        "statistics": _statistics(b, a),
    }


def _statistics(before: Part | None, after: Part | None) -> dict[str, dict[str, Any]]:
    return {
        name: {"before": _value(before, group, key), "after": _value(after, group, key)}
        for name, (group, key) in STATISTICS.items()
    }


def _value(layer: Part | None, group: str, key: str) -> Any:
    part = layer[group] if layer is not None else None
    return part[key] if part is not None else None
