"""What the map of the network draws: the places of the document's graph, fewer where several say one thing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

CONCATENATIONS = ("Concat", "QLinearConcat")
FACTORS = ("norm", "scale")
"""Kinds of layers that only scale what a layer makes, and stand in its box."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """One box, sign or end of the map."""

    kind: str
    """input, layer, join, output, or jump: a sign that stands for what is far above."""
    name: str
    op_type: str | None
    layers: tuple[int, ...]
    """Positions in the document's `layers`, in the order of the signal."""
    inside: tuple[str, ...]
    reads: tuple[int, ...]
    """Positions of boxes, all smaller than its own."""
    jumps: tuple[int, ...] = ()
    """Of a jump: positions of the boxes that it stands for."""


def map_boxes(report: Mapping[str, Any]) -> list[Box]:
    """The boxes of a report's graph, each behind those that it reads; none where the document has no graph.

    A norm stands in the box of the layer before it, or of the one behind it in the same module, where nothing else reads the first
    of the two. A concatenation that repeats an earlier one and adds to it reads that one. Outputs show where the network ends: one for each place that nothing else reads.
    Inputs and whatever else reads nothing stand where they are first read. Time is linear in nodes and edges.
    """
    graph = report.get("graph")
    if not graph:
        return []
    positions = {layer["name"]: position for position, layer in enumerate(report["layers"])}
    reads: list[list[int]] = [[] for _ in graph["nodes"]]
    for source, target in graph["edges"]:
        reads[target].append(source)
    boxes: list[Box | None] = [
        Box(
            kind=node["kind"],
            name=node["name"],
            op_type=node["op_type"],
            layers=tuple(positions[name] for name in node["layers"]),
            inside=tuple(node["inside"]),
            reads=tuple(before),
        )
        for node, before in zip(graph["nodes"], reads, strict=True)
    ]
    boxes = _with_norms_in_layers(_with_growing_concatenations(boxes), report["layers"])
    return _ordered(_with_few_outputs(boxes))


def _with_growing_concatenations(boxes: Sequence[Box | None]) -> list[Box | None]:
    known: dict[tuple[int, ...], int] = {}
    result = list(boxes)
    for position, box in enumerate(boxes):
        if box is None or box.kind != "join" or box.op_type not in CONCATENATIONS:
            continue
        reads = box.reads
        if reads[:-1] in known:
            result[position] = replace(box, reads=(known[reads[:-1]], reads[-1]))
        elif reads[1:] in known:
            result[position] = replace(box, reads=(reads[0], known[reads[1:]]))
        known[reads] = position
    return result


def _with_norms_in_layers(boxes: Sequence[Box | None], layers: Sequence[Mapping[str, Any]]) -> list[Box | None]:
    readers = _readers(boxes)
    result = list(boxes)
    stands_for = list(range(len(boxes)))
    for position, box in enumerate(boxes):
        if box is None:
            continue
        before = tuple(dict.fromkeys(stands_for[source] for source in box.reads))
        current = result[position] = replace(box, reads=before)
        if box.kind != "layer" or len(box.reads) != 1:
            continue
        source = result[before[0]]
        if source is None or source.kind != "layer" or source.inside != box.inside or readers[box.reads[0]] != 1:
            continue
        if is_factor(box, layers) or (is_factor(source, layers) and _module(source, layers) == _module(box, layers)):
            merged = replace(source, layers=source.layers + current.layers)
            result[position] = None
            result[before[0]] = merged
            stands_for[position] = before[0]
    return result


def is_factor(box: Box, layers: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the box holds layers, and none that is more than a factor."""
    return bool(box.layers) and all(layers[position]["kind"] in FACTORS for position in box.layers)


def _module(box: Box, layers: Sequence[Mapping[str, Any]]) -> str:
    """What the box's first layer is a part of."""
    layer = layers[box.layers[0]]
    return str(layer.get("title") or layer["name"]).replace("/", ".").rpartition(".")[0]


def _with_few_outputs(boxes: Sequence[Box | None]) -> list[Box | None]:
    """Outputs of what the network reads on are no ends of it; outputs of the same place are one."""
    inner = {source for box in boxes if box is not None and box.kind != "output" for source in box.reads}
    outputs: dict[tuple[int, ...], list[int]] = {}
    for position, box in enumerate(boxes):
        if box is not None and box.kind == "output":
            outputs.setdefault(box.reads, []).append(position)
    result = list(boxes)
    for reads, same in outputs.items():
        first = boxes[same[0]]
        assert first is not None
        more = f" +{len(same) - 1}" if len(same) > 1 else ""
        for position in same:
            result[position] = None
        if inner.isdisjoint(reads):
            result[same[0]] = replace(first, name=first.name + more)
    return result


def _ordered(boxes: Sequence[Box | None]) -> list[Box]:
    """Without gaps, what reads nothing directly before its first reader, an output directly behind what it reads."""
    first_reader: dict[int, int] = {}
    for position, box in enumerate(boxes):
        for source in box.reads if box is not None else ():
            first_reader.setdefault(source, position)

    def place(position: int) -> tuple[int, int, int]:
        box = boxes[position]
        assert box is not None
        if not box.reads:
            return first_reader.get(position, position), 0, position
        if box.kind == "output":
            return max(place(source)[0] for source in box.reads), 2, position
        return position, 1, position

    order = sorted((p for p, box in enumerate(boxes) if box is not None), key=place)
    number = {position: i for i, position in enumerate(order)}
    kept = (boxes[position] for position in order)
    return [replace(box, reads=tuple(number[source] for source in box.reads)) for box in kept if box is not None]


def _readers(boxes: Sequence[Box | None]) -> list[int]:
    """How many boxes read each."""
    count = [0] * len(boxes)
    for box in boxes:
        for source in box.reads if box is not None else ():
            count[source] += 1
    return count
