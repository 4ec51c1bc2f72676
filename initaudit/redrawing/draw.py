"""New values for the weights of a layer: drawn from a scheme, centred, or the old ones rescaled, ones for a norm; and for its bias."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from initaudit.errors import FixRefused
from initaudit.initialisation.schemes import SCHEMES
from initaudit.initialisation.spelling import AUTO, BY_INPUTS, scheme_of
from initaudit.initialisation.targets import SINE
from initaudit.kind import Kind
from initaudit.redrawing.centring import centred
from initaudit.redrawing.fitting import why_unfit

if TYPE_CHECKING:
    from initaudit.extraction.layer import Layer
    from initaudit.initialisation.schemes import Scheme
    from initaudit.measuring.layer_audit import LayerAudit
    from initaudit.redrawing.choice import Choice, Recipe

FORGET_BIAS = 1.0
"""Start of an LSTM's forget-gate bias (Jozefowicz, Zaremba & Sutskever 2015): the sum of the input bias and the recurrent one."""


ONES = "ones"
"""What stands for a scheme where the scale of a norm is reset."""
ZEROS = "zeros"
"""The same where the offsets of a deformable convolution are reset."""
TABLE = "normal_0.02"
"""Scheme of a table where no scale is better than another, as a norm or a second use takes it: that of BERT and GPT-2 (Devlin et al. 2019)."""
BESIDE = "normal, like the table beside it"
"""The same of a table that is as large as the one that is added to it."""
KEPT = "kept"
"""The same where the weights stay and only the bias is set."""


def new_weights(choice: Choice, layer: Layer, seed: int, recipe: Recipe) -> tuple[np.ndarray, str]:
    """New values (float64, shape of the operand) and the name of what they were drawn from.

    Args:
        choice: what the audit found of the layer, and whether its weights are to be centred.
        layer: the same layer in the model that is to be changed; its stored values are only read to be rescaled.
        seed: of the draw; the layer's depth is mixed into it.
        recipe: the schemes, the mode and the gain.

    Raises:
        FixRefused: there is nothing to draw, and why.
    """
    asked = recipe.scheme_for(choice.audit.layer)
    if not asked.by_name:
        if not layer.kind.is_drawn:
            return np.ones(layer.weight.shape), ONES
        if layer.gives_offsets:
            return np.zeros(layer.weight.shape), ZEROS
    if asked.scheme == AUTO:
        return _recommended(choice, layer, seed, recipe)
    if asked.scheme in BY_INPUTS:
        return _to_be_fitted(choice.audit, layer, seed, recipe, asked.scheme)
    scheme = scheme_of(asked.scheme)
    if recipe.mode == "rescale":
        std = recipe.gain * scheme.std(layer.fan_in, layer.fan_out, units=_units(layer))
        return _rescaled(choice.audit, layer, std), f"rescaled to {scheme.name}"
    return values_of(scheme, layer, seed, gain=recipe.gain), scheme.name


def values_of(scheme: Scheme, layer: Layer, seed: int, *, gain: float = 1.0) -> np.ndarray:
    """The values that a scheme gives a layer (float64, shape of the operand), whatever it holds; the layer's depth is mixed into the seed.

    Raises FixRefused where the layer has no fans and the scheme asks for them.
    """
    if scheme.knows_fans and not (layer.kind.is_drawn and layer.fan_in > 0 and layer.fan_out > 0):
        raise FixRefused(f"it has no fans, which {scheme.name} depends on")
    return scheme.draw(
        layer.weight.shape,
        np.random.default_rng([seed, layer.depth]),
        fan_in=layer.fan_in,
        fan_out=layer.fan_out,
        gain=gain,
        unit_axes=layer.weight.unit_axes,
        input_axes=layer.weight.input_axes,
    )


def new_bias(known: LayerAudit, recipe: Recipe) -> float | None:
    """What the bias of a layer that is drawn anew, or the shift of a norm, should be: zero, or one for the input weights of an LSTM's forget gate.

    None leaves it.
    """
    layer = known.layer
    if leaves_bias(layer, recipe) or not (layer.kind.is_mixing or layer.kind is Kind.NORM) or known.bias is None:
        return None
    forgets = recipe.bias == "auto" and layer.is_forget_gate and layer.role == "W"
    return FORGET_BIAS if forgets else 0.0


def leaves_bias(layer: Layer, recipe: Recipe) -> bool:
    """Whether the bias stays beside new weights.

    So it does where they are rescaled, and in front of a sine, where biases shift the phases that make its functions more than odd ones.
    """
    if recipe.bias != "auto":
        return recipe.bias == "keep"
    return recipe.mode == "rescale" or layer.activation == SINE


def _recommended(choice: Choice, layer: Layer, seed: int, recipe: Recipe) -> tuple[np.ndarray, str]:
    """Weights of the layer's own target."""
    known, target = choice.audit, choice.audit.target
    if choice.beside is not None and recipe.mode == "resample":
        law = SCHEMES[TABLE]
        gain = recipe.gain * choice.beside / law.std(1, 1)
        return values_of(law, layer, seed, gain=gain), BESIDE
    if target is None and layer.kind is Kind.EMBEDDING:
        return values_of(SCHEMES[TABLE], layer, seed, gain=recipe.gain), TABLE
    if target is None:
        raise FixRefused("no scale is better than another here; nothing to draw")
    if choice.centred_gain is not None:
        fresh = centred(values_of(SCHEMES["orthogonal"], layer, seed), layer.weight.unit_axes, layer.weight.input_axes)
        std = recipe.gain * choice.centred_gain / math.sqrt(layer.fan_in)
        return fresh * (std / fresh.std()), "orthogonal, centred"
    if recipe.mode == "rescale":
        return _rescaled(known, layer, recipe.gain * target.std), f"rescaled to {target.scheme}"
    scheme = SCHEMES[target.scheme]
    natural = scheme.std(layer.fan_in, layer.fan_out)
    fresh = values_of(scheme, layer, seed)
    fresh *= recipe.gain * target.std / natural  # in place: weights may be as large as memory
    return fresh, target.scheme


def _to_be_fitted(known: LayerAudit, layer: Layer, seed: int, recipe: Recipe, method: str) -> tuple[np.ndarray, str]:
    """What is fitted to the inputs afterwards (`redrawing.fitting`): orthogonal draws, or the weights themselves where they are rescaled."""
    if (reason := why_unfit(layer, method)) is not None:
        raise FixRefused(reason)
    if recipe.mode == "rescale":
        if not known.stats.std > 0:
            raise FixRefused("a constant weight cannot be rescaled; use --mode resample")
        return np.array(layer.weight.array(), np.float64), f"rescaled by {method}"
    return values_of(SCHEMES["orthogonal"], layer, seed), method


def _rescaled(known: LayerAudit, layer: Layer, std: float) -> np.ndarray:
    """The layer's own weights at another std."""
    if not known.stats.std > 0:
        raise FixRefused("a constant weight cannot be rescaled; use --mode resample")
    return np.array(layer.weight.array(), np.float64) * (std / known.stats.std)


def _units(layer: Layer) -> int:
    """Rows of the weight matrix."""
    return math.prod(layer.weight.shape[axis] for axis in layer.weight.unit_axes)
