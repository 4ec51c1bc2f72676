"""The map of the network: what the template prints of it, and what the script draws."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from jinja2.utils import htmlsafe_json_dumps

from initaudit.formats.page import words
from initaudit.formats.page.map_boxes import FACTORS, Box, is_factor, map_boxes
from initaudit.formats.page.map_columns import Column, columns, common
from initaudit.formats.page.series import at
from initaudit.formats.printing import NOTHING, number

GAP = 20
"""CSS pixels between a box and what reads it: room for the head of an arrow and a bend."""
HEIGHTS = {"layer": 38, "factor": 22, "join": 22, "input": 22, "output": 22}
"""CSS pixels: two lines of text, or one."""
SIGNS = {"Add": "+", "Sum": "+", "Sub": "−", "Mul": "×", "Div": "÷"}
"""What a join is drawn as; others by the name of their operator."""
BY_FANS = ("linear", "lstm", "gru", "rnn", "attention", "einsum")
"""Kinds of layers whose fans say more than the shape of the weight."""
SEVERITIES = ("error", "warning", "info")
SHOWN_FINDINGS = 3
"""Findings of a box that its facts name; a judgement, so that they stay readable at a glance."""


def network_map(report: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], name: str) -> dict[str, Any] | None:
    """The map of a report whose rows of the layer table are given and whose anchors begin with `name`; None where there is no graph."""
    boxes = map_boxes(report)
    if not any(box.layers for box in boxes):
        return None
    layers: Sequence[Mapping[str, Any]] = report["layers"]
    mains = [_main(box, layers) for box in boxes]
    titles = [_title(box, main, layers) for box, main in zip(boxes, mains, strict=True)]
    paths = [re.split(r"[./]", title) if box.layers else [] for title, box in zip(titles, boxes, strict=True)]
    heights = [HEIGHTS[_shape(box, layers)] for box in boxes]
    found = columns([box.reads for box in boxes], heights, paths, GAP)
    severities = [_worst(rows[layer]["severity"] for layer in box.layers) for box in boxes]
    labels, captions = _labels(boxes, titles, paths, found)
    anchors = [None if main is None else f"{name}-l{main}" for main in mains]
    shown = [
        {
            "shape": _shape(box, layers),
            "height": height,
            "label": words.plain(label),
            "detail": words.plain(_detail(box, main, layers)),
            "facts": [words.plain(fact) for fact in _facts(box, title, layers, rows)],
            "severity": severity,
            "anchor": anchor,
            "signal": _measured(main, layers, "signal.variance"),
            "gradient": _measured(main, layers, "signal.gradient_rms"),
        }
        for box, main, title, label, height, severity, anchor in zip(
            boxes, mains, titles, labels, heights, severities, anchors, strict=True
        )
    ]
    drawn = {
        "gap": GAP,
        "boxes": shown,
        "edges": [[source, position] for position, box in enumerate(boxes) for source in box.reads],
        "columns": [
            {"start": c.start, "stop": c.stop, "continues": c.continues, "caption": words.plain(caption)}
            for c, caption in zip(found, captions, strict=True)
        ],
    }
    table = [
        {
            "title": title if box.layers else _called(box),
            "anchor": anchor,
            "severity": severity,
            "inside": ", ".join(box.inside),
            "reads": [
                {"title": titles[source] if boxes[source].layers else _called(boxes[source]), "anchor": anchors[source]}
                for source in box.reads
            ],
        }
        for box, title, severity, anchor in zip(boxes, titles, severities, anchors, strict=True)
    ]
    return {
        "table": table,
        "counts": {
            severity: sum(s == severity and bool(b.layers) for s, b in zip(severities, boxes, strict=True))
            for severity in (*SEVERITIES, None)
        },
        "joins": any(box.kind == "join" for box in boxes),
        "measured": {key: any(box[key] is not None for box in shown) for key in ("signal", "gradient")},
        "island": htmlsafe_json_dumps(drawn, separators=(",", ":"), allow_nan=False),
    }


def _main(box: Box, layers: Sequence[Mapping[str, Any]]) -> int | None:
    """The layer that the box is named after: the first that is more than a factor."""
    return next((p for p in box.layers if layers[p]["kind"] not in FACTORS), next(iter(box.layers), None))


def _title(box: Box, main: int | None, layers: Sequence[Mapping[str, Any]]) -> str:
    """Of the layer, without the part where the box holds all parts."""
    if main is None:
        return box.name
    title = str(layers[main].get("title") or layers[main]["name"])
    parts = sum(
        layers[p]["op_type"] == layers[main]["op_type"] and at(layers[p], "weight.part") is not None for p in box.layers
    )
    return re.sub(r"\[[^\]]*\]$", "", title) if parts > 1 else title


def _shape(box: Box, layers: Sequence[Mapping[str, Any]]) -> str:
    return "factor" if is_factor(box, layers) else box.kind


def _called(box: Box) -> str:
    """A place that is no layer, in words."""
    return f"{box.op_type} {box.name}" if box.kind == "join" else f"{box.kind} {box.name}"


def _labels(
    boxes: Sequence[Box], titles: Sequence[str], paths: Sequence[Sequence[str]], found: Sequence[Column]
) -> tuple[list[str], list[str]]:
    """What is written on each box, and above each column: what the names of all its layers begin with."""
    labels = [
        SIGNS.get(box.op_type or "", box.op_type or "") if box.kind == "join" else title
        for box, title in zip(boxes, titles, strict=True)
    ]
    captions = []
    for column in found:
        named = [position for position in range(column.start, column.stop) if boxes[position].layers]
        shared = min(common(*(paths[p] for p in named)), min(len(paths[p]) for p in named) - 1) if len(named) > 1 else 0
        while shared and any(paths[p][shared].isdigit() for p in named):
            shared -= 1  # a number alone says nothing
        captions.append(".".join(paths[named[0]][:shared]) if named else "")
        for position in named:
            labels[position] = ".".join(paths[position][shared:])
    return labels, captions


def _detail(box: Box, main: int | None, layers: Sequence[Mapping[str, Any]]) -> str:
    """The second line of a box."""
    if main is None:
        return ""
    layer = layers[main]
    norms = [str(layers[p]["kind"]) for p in box.layers if p != main and layers[p]["kind"] in FACTORS]
    fans = f"{number(layer['fan_in'])} → {number(layer['fan_out'])}"
    size = fans if layer["kind"] in BY_FANS else words.shape(at(layer, "weight.shape"))
    return " · ".join([f"{layer['kind']} {size}", *dict.fromkeys(norms)])


def _facts(box: Box, title: str, layers: Sequence[Mapping[str, Any]], rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """What the map says of a box at which the reader points, a line each."""
    lines = [title if box.layers else _called(box), *(f"inside {body}" for body in box.inside)]
    for position in box.layers:
        layer, row = layers[position], rows[position]
        shape = words.shape(at(layer, "weight.shape"))
        lines.append(" · ".join(p for p in (row["part"], layer["kind"], shape, layer["activation"]) if p))
        mean = at(layer, "stats.mean") if layer["kind"] in FACTORS else None
        values = {"mean": mean, "std": row["std"], "target": row["target_std"], "ratio": row["ratio"], "signal variance": row["variance"], "gradient": row["gradient"]}  # fmt: skip
        lines.append(", ".join(f"{label} {number(value)}" for label, value in values.items() if value is not None))
        codes = [f"{f['severity']}: {f['code']} {f['name']}" for f in row["findings"]]
        lines += codes[:SHOWN_FINDINGS] + (
            [f"and {len(codes) - SHOWN_FINDINGS} more"] if codes[SHOWN_FINDINGS:] else []
        )
    return [line for line in lines if line and line != NOTHING]


def _measured(main: int | None, layers: Sequence[Mapping[str, Any]], path: str) -> float | None:
    """The value of the layer that the box is named after."""
    value = None if main is None else at(layers[main], path)
    return float(f"{value:.3g}") if words.finite(value) else None


def _worst(severities: Any) -> str | None:
    present = set(severities)
    return next((severity for severity in SEVERITIES if severity in present), None)
