"""New values for the weights of a layer: drawn from a scheme, centred, or the old ones rescaled, ones for a norm; and for its bias."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from initaudit.errors import FixRefused
from initaudit.initialisation.schemes import SCHEMES
from initaudit.initialisation.targets import SINE
from initaudit.kind import Kind
from initaudit.redrawing.centring import centred

if TYPE_CHECKING:
    from initaudit.extraction.layer import Layer
    from initaudit.initialisation.targets import Target
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
KEPT = "kept"
"""The same where the weights stay and only the bias is set."""


def new_weights(choice: Choice, layer: Layer, seed: int, recipe: Recipe) -> tuple[np.ndarray, str]:
    """New values (float64, shape of the operand) and the name of what they were drawn from.

    Args:
        choice: what the audit found of the layer, and whether its weights are to be centred.
        layer: the same layer in the model that is to be changed; its stored values are only read to be rescaled.
        seed: of the draw; the layer's depth is mixed into it.
        recipe: the scheme and the mode.

    Raises:
        FixRefused: there is nothing to draw, and why.
    """
    known, gain = choice.audit, choice.centred_gain
    if not layer.kind.is_drawn:
        return np.ones(layer.weight.shape), ONES
    if layer.gives_offsets:
        return np.zeros(layer.weight.shape), ZEROS
    rng = np.random.default_rng([seed, layer.depth])
    if known.target is None and layer.kind is Kind.EMBEDDING:
        return _drawn(layer, TABLE, rng), TABLE
    if known.target is None:
        raise FixRefused("no scale is better than another here; nothing to draw")
    if gain is not None:
        fresh = centred(_drawn(layer, "orthogonal", rng), layer.weight.unit_axes, layer.weight.input_axes)
        return fresh * (gain / math.sqrt(layer.fan_in) / fresh.std()), "orthogonal, centred"
    name, std = _aim(layer, known.target, recipe)
    if recipe.mode == "rescale":
        if not known.stats.std > 0:
            raise FixRefused("a constant weight cannot be rescaled; use --mode resample")
        return np.array(layer.weight.array(), np.float64) * (std / known.stats.std), f"rescaled to {name}"
    natural = SCHEMES[name].std(layer.fan_in, layer.fan_out)
    return _drawn(layer, name, rng) * (std / natural if natural else 1.0), name


def new_bias(known: LayerAudit, recipe: Recipe) -> float | None:
    """What the bias of a layer that is drawn anew should be: zero, or one for the input weights of an LSTM's forget gate.

    None leaves it, as rescaling does, and in front of a sine, where biases shift the phases that make its functions more than odd ones.
    """
    layer = known.layer
    if recipe.mode == "rescale" or not layer.kind.is_mixing or known.bias is None or layer.activation == SINE:
        return None
    return FORGET_BIAS if layer.is_forget_gate and layer.role == "W" else 0.0


def _aim(layer: Layer, target: Target, recipe: Recipe) -> tuple[str, float]:
    """The scheme and the std it is to have: the layer's own target, or what was asked for."""
    if recipe.scheme == "auto":
        return target.scheme, target.std
    return recipe.scheme, SCHEMES[recipe.scheme].std(layer.fan_in, layer.fan_out)


def _drawn(layer: Layer, name: str, rng: np.random.Generator) -> np.ndarray:
    """Values in the shape of the operand at the scheme's own std."""
    return SCHEMES[name].draw(
        layer.weight.shape,
        rng,
        fan_in=layer.fan_in,
        fan_out=layer.fan_out,
        unit_axes=layer.weight.unit_axes,
        input_axes=layer.weight.input_axes,
    )
