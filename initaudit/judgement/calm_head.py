"""A head that does not drown in what the layers before it have in common, nor is outrun by them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from initaudit.judgement.dynamics import dynamics_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from initaudit.measuring.layer_audit import LayerAudit


def head_factors(audits: Sequence[LayerAudit], *, whole: bool = False) -> dict[str, float]:
    """By name of the last layer: what makes its own share of what all answers have in common as large as that of all layers before it.

    min(1, sqrt(K_head / sum of K_l)), K_l the kernel of a layer's weights and bias between two inputs as far as they are alike; with `whole` all of
    it, so that a step moves the layers before the head no faster than the head itself.
    """
    dynamics = dynamics_of(audits)
    if dynamics is None or not dynamics.finite:
        return {}
    *before, head = dynamics.drawn
    if not head.is_head:
        return {}
    shared = [layer.kernel * (1.0 if whole else 1.0 - layer.contrast) for layer in before]
    own = head.kernel * (1.0 if whole else 1.0 - head.contrast)
    total = math.fsum(shared)
    return {head.name: min(1.0, math.sqrt(own / total))} if own > 0 and total > 0 else {}
