"""Learned gains between an activation and the layer that reads it: phi(z) times g has g^2 times the second moment of phi(z)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from initaudit.errors import InitauditError
from initaudit.initialisation.targets import MAX_GAIN, SAME_FACTOR
from initaudit.kind import Kind
from initaudit.model.operators import Use
from initaudit.model.walks import source_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from initaudit.extraction.layer import Layer
    from initaudit.model.graph import Value


def input_gains(layers: Sequence[Layer]) -> dict[str, float]:
    """By name, layers whose input is the output of an earlier one times a learned gain in a plain chain, with the gain's root mean square.

    Where a sum, a norm or a product of signals stands between, the gain scales a part of the input alone (ReZero, LayerScale), or
    nothing. A gain beyond MAX_GAIN, either way, is no scale to be made up for.
    """
    factors = {id(a.output): a for a in layers if a.kind is Kind.SCALE and a.role is None and a.output is not None}
    ends = {id(a.postactivation or a.output) for a in layers if a.kind.is_drawn}
    found = {}
    for layer in layers:
        if factors and layer.kind.is_mixing:
            gain = _gain_behind(layer.input, factors, ends)
            if 1 / MAX_GAIN <= gain <= MAX_GAIN and abs(gain - 1.0) > SAME_FACTOR:
                found[layer.name] = gain
    return found


def _gain_behind(value: Value | None, factors: Mapping[int, Layer], ends: set[int]) -> float:
    """Product of the gains on the way back to one of `ends`; 1 where the way ends elsewhere."""
    gain = 1.0
    while value is not None and id(value) not in ends:
        factor = factors.get(id(value))
        if factor is not None:
            gain *= _size(factor)
            value = factor.input
            continue
        value = source_of(value, (Use.PASS,))
    return gain if value is not None else 1.0


def _size(factor: Layer) -> float:
    """Root mean square of its values; 1 where they cannot be read."""
    try:
        values = factor.weight.array().astype(np.float64)
    except InitauditError:
        return 1.0
    return float(np.sqrt(np.mean(values**2)))
