"""Layers that a recorded fix drew and nothing has changed since: in a network that was trained, these are untrained for certain, whatever their values say."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

from initaudit.errors import UnsupportedWeight
from initaudit.model.digest import digest
from initaudit.model.record import read_record
from initaudit.redrawing.draw import KEPT
from initaudit.redrawing.repair import REPAIRED

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from onnx import ModelProto

    from initaudit.measuring.layer_audit import LayerAudit
    from initaudit.model.record import Record
    from initaudit.model.tensors import Tensor

HOLDS_MORE = frozenset({KEPT, REPAIRED})
"""What is recorded of layers whose weights a fix left, or most of them."""


def with_records(layers: Sequence[LayerAudit], model: ModelProto) -> tuple[LayerAudit, ...]:
    """The layers of a network that was trained, each that still is as a fix drew it with the scheme; also where it shares its weights with such a one."""
    record = read_record(model)
    drawn = {} if record is None else _drawn(record)
    places: dict[tuple[int, str | None], str] = {}
    digest_now = cache(_digest)  # a recurrent layer's gates are parts of one tensor
    for audit in layers:
        weight, (name, said, scheme) = audit.layer.weight, drawn.get(audit.layer.name, ("", "", ""))
        tensor = weight.tensors[0] if weight.tensors else None
        if tensor is not None and tensor.name == name and audit.stats.std > 0 and digest_now(tensor) == said:
            places[id(tensor), weight.part] = scheme
    return tuple(_untrained(audit, places) for audit in layers)


def _drawn(record: Record) -> Mapping[str, tuple[str, str, str]]:
    """By name of the layer: its tensor, the digest that fixes left in it, and the scheme."""
    drawn: dict[str, tuple[str, str, str]] = {}
    for fix in record.fixes:
        now = {(tensor.name, tensor.before): tensor.after for tensor in fix.tensors}
        drawn = {layer: (name, now.get((name, said), said), scheme) for layer, (name, said, scheme) in drawn.items()}
        left = {tensor.name: tensor.after for tensor in fix.tensors}
        for layer in fix.layers:
            if fix.mode == "resample" and layer.scheme not in HOLDS_MORE and layer.initializer in left:
                drawn[layer.layer] = layer.initializer, left[layer.initializer], layer.scheme
    return drawn


def _digest(tensor: Tensor) -> str | None:
    try:
        return digest(tensor.array())
    except UnsupportedWeight:
        return None


def _untrained(audit: LayerAudit, places: Mapping[tuple[int, str | None], str]) -> LayerAudit:
    weight = audit.layer.weight
    scheme = places.get((id(weight.tensors[0]), weight.part)) if weight.tensors else None
    return audit if scheme is None else replace(audit, drawn_by_fix=scheme, trained=False)
