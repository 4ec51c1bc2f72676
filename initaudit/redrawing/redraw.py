"""redraw(): new values for the stored tensors behind the chosen layers of a model."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from initaudit.errors import FixRefused
from initaudit.extraction.extract import extract_layers
from initaudit.initialisation.spelling import BY_INPUTS
from initaudit.probe.plan import ProbeOptions
from initaudit.redrawing.choice import Change, Refusal
from initaudit.redrawing.contents import Contents
from initaudit.redrawing.draw import KEPT, new_bias, new_weights
from initaudit.redrawing.fitting import ToFit, fit, own_bias
from initaudit.redrawing.positions import positions

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

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
    drawn: set[tuple[int, str | None]] = set()
    to_fit: list[ToFit] = []
    layers = {
        layer.depth: layer for layer in extract_layers(model).layers
    }  # their names change with tensors that are split
    for choice in chosen:
        layer = layers[choice.audit.layer.depth]
        tensor = layer.weight.tensors[0] if layer.weight.tensors else None
        if choice.bias_alone:
            try:
                changes.append(_with_new_bias(choice, layer, layers.values(), recipe, contents))
            except FixRefused as refusal:
                refusals.append(Refusal(layer=layer.name, reason=str(refusal)))
            continue
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
                bias=_reset_bias(layer, new_bias(choice.audit, recipe), layers.values(), contents),
            )
        )
        method = recipe.scheme_for(choice.audit.layer).scheme
        if method in BY_INPUTS:
            bias = own_bias(layer, list(layers.values())) if changes[-1].bias and recipe.bias == "auto" else None
            to_fit.append(ToFit(layer=layer, method=method, gain=recipe.gain, index=index, bias=bias))
    if to_fit:
        unfit = fit(model, to_fit, contents, inputs or ProbeOptions(mode="forward", seed=seed))
        refusals += [Refusal(layer=name, reason=reason) for name, reason in unfit.items()]
        changes = [_as_fitted(change, to_fit, contents) for change in changes if change.layer not in unfit]
    return tuple(changes), tuple(refusals), contents


def _as_fitted(change: Change, fitted: Iterable[ToFit], contents: Contents) -> Change:
    """With the std of the weights that the layer got."""
    for item in fitted:
        if item.layer.name == change.layer:
            flat = contents.values[id(item.layer.weight.tensors[0])]
            return replace(change, std_after=float((flat if item.index is None else flat[item.index]).std()))
    return change


def _with_new_bias(choice: Choice, layer: Layer, layers: Iterable[Layer], recipe: Recipe, contents: Contents) -> Change:
    """The layer with its weights as they are. Raises FixRefused where its bias cannot be set."""
    bias = _reset_bias(layer, new_bias(choice.audit, recipe), layers, contents)
    if bias is None:
        raise FixRefused("only its bias is off, and that is left as it is")
    return Change(
        layer=layer.name,
        title=layer.title,
        initializer=bias,
        scheme=KEPT,
        reason=choice.reason,
        std_before=choice.audit.stats.std,
        std_after=choice.audit.stats.std,
        bias=bias,
    )


def _reset_bias(layer: Layer, value: float | None, layers: Iterable[Layer], contents: Contents) -> str | None:
    """The name of the bias that is set to `value`; None where there is none to set.

    A forget gate adds a second bias, that of its recurrent weights, which is set to zero so that the sum is `value`.
    """
    bias = layer.bias
    if value is None or bias is None or not bias.is_floating or bias.proto is None:
        return None
    _set(layer, value, contents)
    if layer.is_forget_gate:
        for other in layers:
            if other.node is layer.node and other.weight.part == layer.weight.part and other.role == "R":
                _set(other, 0.0, contents)
    return bias.name


def _set(layer: Layer, value: float, contents: Contents) -> None:
    """Every element of the layer's bias to `value`."""
    assert layer.bias is not None
    index = None if layer.bias_slice is None else np.arange(*layer.bias_slice)
    contents.put(layer.bias, index, np.full(layer.bias.shape if index is None else index.shape, value))
