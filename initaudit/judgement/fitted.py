"""Layers whose weights a recorded fix fitted to inputs: their scale is right for these, whatever it would be for inputs of unit variance."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from initaudit.initialisation.spelling import BY_INPUTS
from initaudit.model.record import read_record

if TYPE_CHECKING:
    from collections.abc import Sequence

    from onnx import ModelProto

    from initaudit.measuring.layer_audit import LayerAudit
    from initaudit.model.record import FixedLayer

SAME = 0.01
"""Relative difference from the recorded std within which the weights count as they were left: rounding to bfloat16 makes 0.4 %."""
SCHEME = "orthogonal"
"""What such a layer would be drawn from."""


def with_fits(layers: Sequence[LayerAudit], model: ModelProto) -> tuple[LayerAudit, ...]:
    """The layers, with the std that was fitted as the target of those that were fitted and have it still."""
    record = read_record(model)
    if record is None:
        return tuple(layers)
    said = {layer.layer: layer for fix in record.fixes for layer in fix.layers}
    return tuple(_as_fitted(audit, said.get(audit.layer.name)) for audit in layers)


def _as_fitted(audit: LayerAudit, fixed: FixedLayer | None) -> LayerAudit:
    target, std = audit.target, audit.stats.std
    if fixed is None or target is None or audit.trained or not fixed.std or abs(std / fixed.std - 1.0) > SAME:
        return audit
    method = next((name for name in BY_INPUTS if fixed.scheme.endswith(name)), None)
    if method is None:
        return audit
    why = f"Its scale was fitted to inputs by {method}, as the file says: std = {std:.3g}."
    return replace(
        audit, target=replace(target, scheme=SCHEME, std=std, gain=std * math.sqrt(audit.layer.fan_in), why=why)
    )
