"""The map of the network: what the template prints of it, and what the script draws."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from jinja2.utils import htmlsafe_json_dumps

from initaudit.formats.page import words
from initaudit.formats.page.map_boxes import FACTORS, Box, is_factor, map_boxes
from initaudit.formats.page.map_columns import Column, columns, common
from initaudit.formats.page.map_jumps import with_jumps
from initaudit.formats.page.series import at
from initaudit.formats.printing import number

GAP = 20
"""CSS pixels between a box and what reads it: room for the head of an arrow and a bend."""
HEIGHTS = {"layer": 38, "factor": 22, "join": 22, "input": 22, "output": 22, "jump": 22}
"""CSS pixels: two lines of text, or one."""
SIGNS = {"Add": "+", "Sum": "+", "Sub": "−", "Mul": "×", "Div": "÷"}
"""What a join is drawn as; others by the name of their operator."""
BY_FANS = ("linear", "lstm", "gru", "rnn", "attention", "einsum")
"""Kinds of layers whose fans say more than the shape of the weight."""
SEVERITIES = ("error", "warning", "info")
SHOWN_FINDINGS = 3
"""Findings of a layer that the facts of its box name; a judgement, so that they stay readable at a glance."""


def network_map(report: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """The map of a report whose rows of the page's layer table are given; None where it has no graph, or no layer."""
    places = map_boxes(report)
    if not any(place.layers for place in places):
        return None
    table = _Described(places, report["layers"], rows)
    drawn = _Described(with_jumps(places), report["layers"], rows)
    shown = drawn.boxes_shown()
    severities = [table.severity(position) for position, place in enumerate(places) if place.layers]
    return {
        "table": table.lines(),
        "counts": {severity: severities.count(severity) for severity in (*SEVERITIES, None)},
        "joins": any(place.kind == "join" for place in places),
        "measured": {key: any(box[key] is not None for box in shown["boxes"]) for key in ("signal", "gradient")},
        "island": htmlsafe_json_dumps(shown, separators=(",", ":"), allow_nan=False),
    }


class _Described:
    """Boxes with the layers in them and their rows of the table."""

    def __init__(
        self,
        boxes: Sequence[Box],
        layers: Sequence[Mapping[str, Any]],
        rows: Sequence[Mapping[str, Any]],
    ) -> None:
        self.boxes = boxes
        self.layers = layers
        self.rows = rows
        self.mains = [self._main(box) for box in boxes]
        self.titles = [self._title(position) for position in range(len(boxes))]
        self.anchors = [None if main is None else rows[main]["anchor"] for main in self.mains]

    def lines(self) -> list[dict[str, Any]]:
        """The map as a table."""
        return [
            {
                "title": self.titles[position],
                "anchor": self.anchors[position],
                "severity": self.severity(position),
                "inside": ", ".join(box.inside),
                "reads": [{"title": self.titles[source], "anchor": self.anchors[source]} for source in box.reads],
            }
            for position, box in enumerate(self.boxes)
        ]

    def boxes_shown(self) -> dict[str, Any]:
        """The map as the script draws it."""
        shapes = [self._shape(box) for box in self.boxes]
        paths = [
            re.split(r"[./]", title) if box.layers else [] for title, box in zip(self.titles, self.boxes, strict=True)
        ]
        found = columns([box.reads for box in self.boxes], [HEIGHTS[shape] for shape in shapes], paths, GAP)
        labels, captions = self._labels(paths, found)
        return {
            "gap": GAP,
            "boxes": [
                {
                    "shape": shape,
                    "height": HEIGHTS[shape],
                    "label": words.plain(label),
                    "detail": words.plain(self._detail(position)),
                    "facts": [words.plain(fact) for fact in self._facts(position)],
                    "severity": self.severity(position),
                    "anchor": self.anchors[position],
                    "jump": next(iter(self.boxes[position].jumps), None),
                    "signal": self._measured(position, "signal.variance"),
                    "gradient": self._measured(position, "signal.gradient_rms"),
                }
                for position, (shape, label) in enumerate(zip(shapes, labels, strict=True))
            ],
            "edges": [[source, position] for position, box in enumerate(self.boxes) for source in box.reads],
            "columns": [
                {"start": c.start, "stop": c.stop, "continues": c.continues, "caption": words.plain(caption)}
                for c, caption in zip(found, captions, strict=True)
            ],
        }

    def severity(self, position: int) -> str | None:
        """Of the worst finding in the box."""
        present = {self.rows[layer]["severity"] for layer in self.boxes[position].layers}
        return next((severity for severity in SEVERITIES if severity in present), None)

    def _main(self, box: Box) -> int | None:
        """The layer that the box is named after: the first that is more than a factor."""
        return next((p for p in box.layers if self.layers[p]["kind"] not in FACTORS), next(iter(box.layers), None))

    def _title(self, position: int) -> str:
        """Of the layer, without the part where the box holds several; of the others in words."""
        box, main = self.boxes[position], self.mains[position]
        if main is not None:
            title = str(self.layers[main].get("title") or self.layers[main]["name"])
            parts = [p for p in box.layers if at(self.layers[p], "weight.part") is not None]
            return re.sub(r"\[[^\]]*\]$", "", title) if len(parts) > 1 else title
        if box.kind == "jump":
            source = box.jumps[0]
            return self._nearest(source) if len(box.jumps) == 1 else f"{len(box.jumps)} from above"
        return f"{box.op_type} {box.name}" if box.kind == "join" else f"{box.kind} {box.name}"

    def _nearest(self, position: int) -> str:
        """The place, a join as what it is behind which layer."""
        latest = position
        while self.boxes[latest].kind == "join" and self.boxes[latest].reads:
            latest = max(self.boxes[latest].reads)
        behind = self._title(latest) if self.boxes[latest].layers else self.boxes[latest].name
        return behind if latest == position else f"{self._sign(self.boxes[position])} behind {behind}"

    def _sign(self, box: Box) -> str:
        return SIGNS.get(box.op_type or "", box.op_type or "")

    def _shape(self, box: Box) -> str:
        return "factor" if is_factor(box, self.layers) else box.kind

    def _labels(self, paths: Sequence[Sequence[str]], found: Iterable[Column]) -> tuple[list[str], list[str]]:
        """What is written on each box, and above each column: what the names of all its layers begin with.

        What all names of the network begin with is left out.
        """
        labels = [
            self._sign(box) if box.kind == "join" else f"↑ {title}" if box.kind == "jump" else box.name
            for box, title in zip(self.boxes, self.titles, strict=True)
        ]
        captions = []
        everywhere = _shared_parts([path for path in paths if path])
        for column in found:
            named = [p for p in range(column.start, column.stop) if paths[p]]
            shared = max(everywhere, _shared_parts([paths[p] for p in named]))
            captions.append(".".join(paths[named[0]][everywhere:shared]) if named else "")
            for position in named:
                labels[position] = ".".join(paths[position][shared:])
        return labels, captions

    def _detail(self, position: int) -> str:
        """The second line of a box."""
        main = self.mains[position]
        if main is None:
            return ""
        layer = self.layers[main]
        factors = [str(self.layers[p]["kind"]) for p in self.boxes[position].layers if p != main]
        fans = f"{number(layer['fan_in'])} → {number(layer['fan_out'])}"
        size = fans if layer["kind"] in BY_FANS else words.shape(at(layer, "weight.shape"))
        return " · ".join([f"{layer['kind']} {size}", *dict.fromkeys(f for f in factors if f in FACTORS)])

    def _facts(self, position: int) -> list[str]:
        """What the map says of a box at which the reader points, a line each."""
        box = self.boxes[position]
        lines = [self.titles[source] for source in box.jumps] or [self.titles[position]]
        lines += [f"inside {body}" for body in box.inside if not box.jumps]
        for place in box.layers:
            lines += self._facts_of_layer(place)
        return lines

    def _facts_of_layer(self, place: int) -> Iterable[str]:
        layer, row = self.layers[place], self.rows[place]
        shape = words.shape(at(layer, "weight.shape"))
        yield " · ".join(p for p in (row["part"], layer["kind"], shape, layer["activation"]) if p)
        mean = at(layer, "stats.mean") if layer["kind"] in FACTORS else None
        weights = {"mean": mean, "std": row["std"], "target": row["target_std"], "ratio": row["ratio"]}
        for values in (weights, {"signal variance": row["variance"], "gradient": row["gradient"]}):
            known = [f"{label} {number(value)}" for label, value in values.items() if value is not None]
            if known:
                yield ", ".join(known)
        findings = [f"{f['severity']}: {f['code']} {f['name']}" for f in row["findings"]]
        yield from findings[:SHOWN_FINDINGS]
        if findings[SHOWN_FINDINGS:]:
            yield f"and {len(findings) - SHOWN_FINDINGS} more"

    def _measured(self, position: int, path: str) -> float | None:
        """The value of the layer that the box is named after, three significant digits."""
        main = self.mains[position]
        value = None if main is None else at(self.layers[main], path)
        return float(f"{value:.3g}") if words.finite(value) else None


def _shared_parts(paths: Sequence[Sequence[str]]) -> int:
    """How many parts at their beginnings several names can do without: what is left of each says something, a number alone does not."""
    if len(paths) < 2:
        return 0
    shared = min(common(*paths), min(map(len, paths)) - 1)
    while shared and any(path[shared].isdigit() for path in paths):
        shared -= 1
    return shared
