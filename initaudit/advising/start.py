"""Start: how a layer should begin, in terms that every framework has an expression for."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from initaudit.initialisation.schemes import SCHEMES
from initaudit.kind import Kind
from initaudit.redrawing.choice import Recipe
from initaudit.redrawing.draw import TABLE, new_bias

if TYPE_CHECKING:
    from initaudit.initialisation.schemes import Distribution
    from initaudit.measuring.layer_audit import LayerAudit


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """How a layer should begin: what `initaudit fix` gives it."""

    distribution: Distribution | None
    """Of its weights; None where these are sound and only the bias is off."""
    std: float = 0.0
    """Their standard deviation, or the one value of a constant."""
    bias: float | None = None
    """What its bias should be; None where it is that, or there is none, or it may be anything."""
    sums_to_zero: bool = False
    """Whether the weights of each unit should, as behind an activation that is mostly mean."""


def start_of(audit: LayerAudit, *, bias_alone: bool = False, centred_gain: float | None = None) -> Start | None:
    """How the layer should begin; None where nothing better than what it has is known."""
    layer, target, bias = audit.layer, audit.target, _bias_of(audit)
    if bias_alone:
        return None if bias is None else Start(distribution=None, bias=bias)
    if layer.kind is Kind.NORM:
        return Start(distribution="constant", std=1.0)
    if layer.gives_offsets:
        return Start(distribution="constant", std=0.0, bias=bias)
    if target is None:
        table = SCHEMES[TABLE]
        return Start(distribution=table.distribution, std=table.std(1, 1)) if layer.kind is Kind.EMBEDDING else None
    if centred_gain is not None:
        std = centred_gain / math.sqrt(layer.fan_in)
        return Start(distribution="orthogonal", std=std, bias=bias, sums_to_zero=True)
    return Start(distribution=SCHEMES[target.scheme].distribution, std=target.std, bias=bias)


def _bias_of(audit: LayerAudit) -> float | None:
    """What a new draw would make of the bias, where it is not that already."""
    new, bias = new_bias(audit, Recipe()), audit.bias
    if new is None or bias is None or (bias.min == new == bias.max):
        return None
    return new
