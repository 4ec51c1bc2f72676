"""Parts of one stored weight that only together show how it was drawn."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from initaudit.errors import UnsupportedWeight
from initaudit.stats.packed import packed_orthogonal

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    import numpy as np

    from initaudit.measuring.layer_audit import LayerAudit
    from initaudit.stats.provenance import Provenance


def with_packed_draws(layers: Sequence[LayerAudit]) -> list[LayerAudit]:
    """The layers, those that are parts of an orthogonal draw with the provenance of the whole."""
    together: dict[Hashable, list[LayerAudit]] = {}
    for audit in layers:
        facts = audit.layer
        if facts.weight.part is not None and audit.provenance is not None and len(facts.weight.shape) == 2:
            direction = facts.weight.part.rpartition("gate:")[0]
            together.setdefault((id(facts.node), facts.role, direction), []).append(audit)
    found = {id(audit): whole for parts in together.values() if (whole := _whole(parts)) for audit in parts}
    return [replace(audit, provenance=found.get(id(audit), audit.provenance)) for audit in layers]


def _whole(parts: Sequence[LayerAudit]) -> Provenance | None:
    """The verdict on parts that make up one matrix; None where their own stand."""
    first = parts[0].layer
    if len(parts) < 2 or any(a.stats.nonfinite or a.provenance is None or not a.stats.std > 0 for a in parts):
        return None
    if all(a.provenance.distribution in {"orthogonal", "identity", "uniform"} for a in parts if a.provenance):
        return None  # no part of an orthogonal matrix is uniform
    try:
        matrices = [_matrix(audit) for audit in parts]
    except UnsupportedWeight:
        return None
    if len({matrix.shape[1] for matrix in matrices}) > 1:
        return None
    return packed_orthogonal(matrices, first.weight.dtype, cell=first.kind.is_recurrent)


def _matrix(audit: LayerAudit) -> np.ndarray:
    """The weight as units by inputs."""
    view = audit.layer.weight
    array = view.array()
    return array if view.unit_axes == (0,) else array.T
