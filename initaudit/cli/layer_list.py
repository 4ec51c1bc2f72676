"""The layer table without a verdict: what `initaudit inspect` shows."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from initaudit.engines.auditing import Subject
    from initaudit.extraction.layer import Extraction, Layer
    from initaudit.model.load import Model
    from initaudit.task import Watch


HEADINGS = ("layer", "kind", "shape", "fan in/out", "feeds", "params", "dtype")
GIVE_UP = ("dtype", "feeds", "fan in/out", "params", "kind")
"""Columns that a narrow terminal does without, the first one first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """A model and what was found in it."""

    model: Model
    extraction: Extraction


def inspection(subject: Subject, shown: str, width: int, watch: Watch) -> str:
    """The table of a model as text of `width` columns or as JSON, without reading a weight: a task for a worker. Raises ModelError."""
    from initaudit.extraction.extract import extract_layers

    watch.doing("reading")
    model, _, _ = subject.load()
    found = Inspection(model=model, extraction=extract_layers(model))
    return as_json(found) if shown == "json" else as_text(found, width)


def as_json(found: Inspection) -> str:
    """`{"model": ..., "record": ..., "layers": [...], "skipped": [...]}` as text."""
    from initaudit.model.record import read_record
    from initaudit.report.earlier import record_part

    extraction = found.extraction
    document = {
        "model": found.model.label,
        "parameters": extraction.parameters,
        "audited": extraction.audited,
        "record": record_part(read_record(found.model.proto)),
        "layers": [_row(layer) for layer in extraction.layers],
        "skipped": [
            {
                "initializer": s.initializer,
                "parameters": s.parameters,
                "reason": s.reason,
                "is_parameter": s.is_parameter,
            }
            for s in extraction.skipped
        ],
    }
    return json.dumps(document, indent=2) + "\n"


def as_text(found: Inspection, width: int) -> str:
    """A table of `width` columns with totals."""
    import io

    from rich.console import Console

    from initaudit.formats.printing import printed, visible
    from initaudit.formats.table import layer_table
    from initaudit.formats.telling import fixed_before
    from initaudit.model.record import read_record
    from initaudit.report.earlier import record_part

    out = io.StringIO()
    console = Console(file=out, width=width, color_system=None, highlight=False, markup=False, emoji=False)
    rows = [_cells(layer) for layer in found.extraction.layers]
    if rows:
        laid_out = layer_table(HEADINGS, rows, width, right={"fan in/out", "params"}, give_up=GIVE_UP)
        console.print(laid_out.table)
        if laid_out.note:
            console.print(laid_out.note)
    extraction = found.extraction
    console.print(
        f"{len(extraction.layers)} layers; {extraction.audited:,} of {extraction.parameters:,} parameters belong to them."
    )
    for line in fixed_before(record_part(read_record(found.model.proto))):
        console.print(visible(f"{line}."))
    for what, names in _shared(extraction.layers):
        console.print(visible(f"  {what}: {', '.join(names)}"))
    for skipped in extraction.skipped:
        if skipped.is_parameter:
            console.print(visible(f"  not a layer: {skipped.initializer} ({skipped.parameters:,}): {skipped.reason}"))
    return printed(out.getvalue())


def _shared(layers: Sequence[Layer]) -> Iterator[tuple[str, list[str]]]:
    """What layers have in common, in words, and the names of those that read one stored weight, or the same part of one."""
    from initaudit.extraction.copies import stored_once

    groups: dict[tuple[int, str | None], list[Layer]] = {}
    for layer in layers:
        for tensor in layer.weight.tensors[: layer.kind.is_drawn]:  # norms that start alike have nothing in common
            groups.setdefault((id(tensor), layer.weight.part), []).append(layer)
    for first, *others in groups.values():
        copies = [layer for layer in others if stored_once(first, layer)]
        tied = [layer for layer in others if layer not in copies]
        for what, group in (("one weight", tied), ("equal weights, stored once", copies)):
            if group:
                yield what, list(dict.fromkeys(layer.name for layer in (first, *group)))


def _cells(layer: Layer) -> tuple[str, ...]:
    from initaudit.formats.printing import visible
    from initaudit.formats.table import fed, full_title

    return (
        visible(full_title(name=layer.name, title=layer.title, op_type=layer.op_type, part=layer.weight.part)),
        layer.kind.value,
        "x".join(map(str, layer.weight.shape)),
        f"{layer.fan_in}/{layer.fan_out}",
        fed(layer.activation, layer.feeds),
        f"{layer.parameters:,}",
        layer.weight.dtype,
    )


def _row(layer: Layer) -> dict[str, Any]:
    return {
        "name": layer.name,
        "title": layer.title,
        "op_type": layer.op_type,
        "kind": layer.kind.value,
        "initializers": list(dict.fromkeys(t.name for t in layer.weight.tensors)),
        "shape": list(layer.weight.shape),
        "part": layer.weight.part,
        "view": list(layer.weight.steps),
        "dtype": layer.weight.dtype,
        "fan_in": layer.fan_in,
        "fan_out": layer.fan_out,
        "groups": layer.groups,
        "activation": layer.activation,
        "normalized_by": layer.normalized_by,
        "feeds": list(layer.feeds),
        "parameters": layer.parameters,
        "shared_with": list(layer.shared_with),
        "untrainable": layer.untrainable,
    }
