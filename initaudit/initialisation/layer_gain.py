"""The gain of what follows a layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from initaudit.initialisation.gains import IDENTITY, Function, Gain, gain, named_gain

if TYPE_CHECKING:
    from initaudit.extraction.layer import Layer


def activation_of(layer: Layer) -> Function | None:
    """The elementwise function behind a layer: its closed form, or the subgraph itself where it has no name.

    None where the layer has no activation, or one that is not elementwise (GLU, maxout).
    """
    from initaudit.activations.named import closed_form
    from initaudit.activations.region import function_between

    if layer.activation is None:
        return None
    if layer.activation != "custom":
        return closed_form(layer.activation, layer.activation_params)
    if layer.preactivation is None or layer.postactivation is None:
        return None
    return function_between(layer.preactivation, layer.postactivation)


def gain_of(layer: Layer) -> Gain | None:
    """Gain of what follows a layer: IDENTITY without an activation, None where the activation is not elementwise."""
    if layer.activation is None:
        return IDENTITY
    if layer.activation != "custom":
        return named_gain(layer.activation, layer.activation_params)
    phi = activation_of(layer)
    return None if phi is None else gain(phi)
