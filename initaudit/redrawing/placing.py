"""Putting new weights where a layer stores its own: as they are, or as codes with a scale."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from initaudit.redrawing.contents import Contents
from initaudit.redrawing.positions import positions
from initaudit.redrawing.quantised import integer_bias, is_quantised, keep_integer_bias, put_quantised

if TYPE_CHECKING:
    from initaudit.extraction.layer import Layer
    from initaudit.model.load import Model


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """What else is written with the weights; None where nothing is."""

    scale: str | None = None
    """Name of the scale."""
    bias: str | None = None
    """Name of an integer bias, which is zero then."""
    bias_before: float | None = None
    """Mean of the integer bias that was there, in real units."""


def place(layer: Layer, model: Model, weights: np.ndarray, contents: Contents, *, keep_bias: bool = False) -> Placed:
    """New weights (float64, shape of the operand) for a layer of `model`, put into `contents`.

    Raises FixRefused where they cannot be written alone, and why; `contents` is then as it was.
    """
    if not is_quantised(layer.weight):
        contents.put(layer.weight.tensors[0], positions(layer.weight), weights)
        return Placed()
    bias = integer_bias(layer, model)
    fresh = Contents()
    scale, growth = put_quantised(layer.weight, model, weights, fresh)
    placed = Placed(scale=scale)
    if bias is not None and keep_bias:
        keep_integer_bias(layer, model, growth, fresh)
    elif bias is not None:
        fresh.put(bias, None, np.zeros(bias.size))
        placed = replace(placed, bias=bias.name, bias_before=float(np.mean(layer.auxiliary["bias"].array())))
    contents.take(fresh)
    return placed
