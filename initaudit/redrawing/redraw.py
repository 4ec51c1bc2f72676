"""redraw(): new values for the stored tensors behind the chosen layers of a model."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from initaudit.errors import FixRefused
from initaudit.extraction.extract import extract_layers
from initaudit.initialisation.spelling import BY_INPUTS
from initaudit.probe.plan import ProbeOptions
from initaudit.redrawing.biases import reset_bias, size_of_bias
from initaudit.redrawing.choice import Change, Refusal
from initaudit.redrawing.contents import Contents
from initaudit.redrawing.draw import KEPT, leaves_bias, new_bias, new_weights
from initaudit.redrawing.fitting import ToFit, fit, own_bias
from initaudit.redrawing.placing import Placed, place
from initaudit.redrawing.positions import positions
from initaudit.redrawing.repair import REPAIRED, repair_bias, repaired
from initaudit.redrawing.spread import spread

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Sequence

    from initaudit.extraction.layer import Layer
    from initaudit.model.load import Model
    from initaudit.redrawing.choice import Choice, Recipe


def redraw(
    model: Model, chosen: Sequence[Choice], seed: int, recipe: Recipe, *, inputs: ProbeOptions | None = None
) -> tuple[tuple[Change, ...], tuple[Refusal, ...], Contents]:
    """New weights for the layers of `model` (not the audited instance) that were chosen; the model itself stays as it is.

    `inputs` says what schemes that are fitted to inputs see; synthetic ones where that is None.
    """
    changes: list[Change] = []
    refusals: list[Refusal] = []
    contents = Contents()
    drawn: set[Hashable] = set()
    to_fit: list[ToFit] = []
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
            changes.append(_changed(choice, layer, model, list(layers.values()), seed, recipe, contents))
        except FixRefused as refusal:
            refusals.append(Refusal(layer=layer.name, reason=str(refusal)))
            continue
        if tied is not None:
            drawn.add(tied)
        method = recipe.scheme_for(choice.audit.layer).scheme
        if method in BY_INPUTS and tied is not None and not choice.repair:
            bias = own_bias(layer, list(layers.values())) if changes[-1].bias and recipe.bias == "auto" else None
            index = positions(layer.weight)
            to_fit.append(ToFit(layer=layer, method=method, gain=recipe.gain, index=index, bias=bias))
    if to_fit:
        unfit = fit(model, to_fit, contents, inputs or ProbeOptions(mode="forward", seed=seed))
        refusals += [Refusal(layer=name, reason=reason) for name, reason in unfit.items()]
        changes = [_as_fitted(change, to_fit, contents) for change in changes if change.layer not in unfit]
    return tuple(changes), tuple(refusals), contents


def _as_fitted(change: Change, fitted: Iterable[ToFit], contents: Contents) -> Change:
    """With the mean and the std of the weights that the layer got."""
    for item in fitted:
        if item.layer.name == change.layer:
            flat = contents.values[id(item.layer.weight.tensors[0])]
            own = flat if item.index is None else flat[item.index]
            mean, std = spread(own.astype(np.float64, copy=False))
            return replace(change, std_after=std, mean_after=mean)
    return change


def _changed(  # noqa: PLR0917  what a change is made from
    choice: Choice,
    layer: Layer,
    model: Model,
    layers: Sequence[Layer],
    seed: int,
    recipe: Recipe,
    contents: Contents,
) -> Change:
    """What becomes of one layer, with its new values in `contents`. Raises FixRefused where nothing does."""
    before, scheme = choice.audit.stats, KEPT
    name, std, mean, placed, done = "", before.std, before.mean, Placed(), tuple[str, ...]()
    if not choice.bias_alone:
        if choice.repair:
            fresh, done = repaired(choice, layer, seed)
        else:
            fresh, scheme = new_weights(choice, layer, seed, recipe)
        if not fresh.size:
            raise FixRefused("it has no values")
        keep_bias = choice.keeps_bias or choice.repair or leaves_bias(layer, recipe)
        placed = place(layer, model, fresh, contents, keep_bias=keep_bias)
        name, (mean, std) = layer.weight.tensors[0].name, spread(fresh)
    if choice.repair:
        of_bias = () if recipe.bias == "keep" else repair_bias(layer, contents, choice.stray_bias)
        bias, done = layer.bias.name if of_bias and layer.bias is not None else None, (*done, *of_bias)
    else:
        value = None if choice.keeps_bias else new_bias(choice.audit, recipe)
        bias = placed.bias or reset_bias(layer, value, layers, contents)
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
        repaired="; ".join(done),
        scale=placed.scale,
        bias=bias,
        bias_before=choice.audit.bias.mean if bias and choice.audit.bias is not None else placed.bias_before,
        bias_after=0.0 if placed.bias else size_of_bias(layer, contents) if bias else None,
    )
