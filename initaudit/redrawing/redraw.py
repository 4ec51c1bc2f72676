"""redraw(): new values for the stored tensors behind the chosen layers of a model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from initaudit.errors import FixRefused
from initaudit.extraction.extract import extract_layers
from initaudit.redrawing.biases import reset_bias, size_of_bias
from initaudit.redrawing.choice import Change, Refusal
from initaudit.redrawing.contents import Contents
from initaudit.redrawing.draw import KEPT, new_bias, new_weights
from initaudit.redrawing.positions import positions
from initaudit.redrawing.repair import REPAIRED, repaired

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

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
    drawn: set[Hashable] = set()
    layers = {
        layer.depth: layer for layer in extract_layers(model).layers
    }  # their names change with tensors that are split
    for choice in chosen:
        layer = layers[choice.audit.layer.depth]
        tensor = layer.weight.tensors[0] if layer.weight.tensors else None
        tied = None if tensor is None or choice.bias_alone else (id(tensor), layer.weight.part)
        if tied in drawn:
            continue  # a tied weight: one change serves all its uses
        try:
            changes.append(_changed(choice, layer, list(layers.values()), seed, recipe, contents))
        except FixRefused as refusal:
            refusals.append(Refusal(layer=layer.name, reason=str(refusal)))
            continue
        if tied is not None:
            drawn.add(tied)
    return tuple(changes), tuple(refusals), contents


def _changed(
    choice: Choice, layer: Layer, layers: Sequence[Layer], seed: int, recipe: Recipe, contents: Contents
) -> Change:
    """What becomes of one layer, with its new values in `contents`. Raises FixRefused where nothing does."""
    before, scheme = choice.audit.stats, KEPT
    name, std, mean = "", before.std, before.mean
    if not choice.bias_alone:
        index = positions(layer.weight)
        fresh, scheme = repaired(choice, layer, seed) if choice.repair else new_weights(choice, layer, seed, recipe)
        tensor = layer.weight.tensors[0]
        contents.put(tensor, index, fresh)
        name, std, mean = tensor.name, float(fresh.std()), float(fresh.mean())
    value = None if choice.keeps_bias else new_bias(choice.audit, recipe)
    bias = reset_bias(layer, value, layers, contents, alone=choice.repair)
    if choice.bias_alone and bias is None:
        raise FixRefused("only its bias is off, and that is left as it is")
    return Change(
        layer=layer.name,
        title=layer.title,
        initializer=name or bias or "",
        scheme=REPAIRED if choice.repair else scheme,
        reason=choice.reason,
        wrong=choice.wrong,
        std_before=before.std,
        std_after=std,
        mean_before=before.mean,
        mean_after=mean,
        bias=bias,
        bias_before=choice.audit.bias.mean if bias and choice.audit.bias is not None else None,
        bias_after=size_of_bias(layer, contents) if bias else None,
    )
