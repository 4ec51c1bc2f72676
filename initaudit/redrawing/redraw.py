"""redraw(): new values for the stored tensors behind the chosen layers of a model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from initaudit.errors import FixRefused
from initaudit.extraction.extract import extract_layers
from initaudit.redrawing.choice import Change, Refusal
from initaudit.redrawing.contents import Contents
from initaudit.redrawing.draw import new_bias, new_weights
from initaudit.redrawing.positions import positions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from initaudit.extraction.layer import Layer
    from initaudit.model.load import Model
    from initaudit.redrawing.choice import Choice, Recipe


def redraw(
    model: Model, chosen: Sequence[Choice], seed: int, recipe: Recipe
) -> tuple[tuple[Change, ...], tuple[Refusal, ...], Contents]:
    """New weights for the layers of `model` (not the audited instance) that were chosen; the model itself stays as it is."""
    changes: list[Change] = []
    refusals: list[Refusal] = []
    contents = Contents()
    drawn: set[tuple[int, str | None]] = set()
    layers = {
        layer.depth: layer for layer in extract_layers(model).layers
    }  # their names change with tensors that are split
    for choice in chosen:
        layer = layers[choice.audit.layer.depth]
        tensor = layer.weight.tensors[0] if layer.weight.tensors else None
        if tensor is not None and (id(tensor), layer.weight.part) in drawn:
            continue  # a tied weight: one change serves all its uses
        try:
            index = positions(layer.weight)
            fresh, scheme = new_weights(choice, layer, seed, recipe)
        except FixRefused as refusal:
            refusals.append(Refusal(layer=layer.name, reason=str(refusal)))
            continue
        assert tensor is not None
        drawn.add((id(tensor), layer.weight.part))
        contents.put(tensor, index, fresh)
        changes.append(
            Change(
                layer=layer.name,
                title=layer.title,
                initializer=tensor.name,
                scheme=scheme,
                reason=choice.reason,
                std_before=choice.audit.stats.std,
                std_after=float(fresh.std()),
                bias=_reset_bias(layer, new_bias(choice.audit, recipe), contents),
            )
        )
    return tuple(changes), tuple(refusals), contents


def _reset_bias(layer: Layer, value: float | None, contents: Contents) -> str | None:
    """The name of the bias that is set to `value`; None where there is none to set."""
    bias = layer.bias
    if value is None or bias is None or not bias.is_floating or bias.proto is None:
        return None
    index = None if layer.bias_slice is None else np.arange(*layer.bias_slice)
    contents.put(bias, index, np.full(bias.shape if index is None else index.shape, value))
    return bias.name
