"""Target: how large the weights of a layer should be at the start, and why; target_for() decides it from what follows.

Two answers to one question. Where the activation passes on a fixed share of the second moment (ReLU and its kin), the
weights make up for it: std = gain / sqrt(fan_in), the gain by quadrature (He et al. 2015, eq. 10). Where the layer is
linear or the activation is near linear around zero and bounded, forward and backward signal are balanced:
std = sqrt(2 / (fan_in + fan_out)) (Glorot & Bengio 2010, eq. 12).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from initaudit.initialisation.layer_gain import gain_of
from initaudit.kind import Kind

if TYPE_CHECKING:
    from initaudit.extraction.layer import Layer

SIGMOIDAL = frozenset({"tanh", "sigmoid", "softsign", "hardtanh", "hardsigmoid"})
"""Activations that are nearly linear around zero and flat on both sides: Glorot & Bengio 2010 derive their scheme for these."""
SINE = "sin"
"""The activation of SIREN, whose own scheme is known to fit: He's bound, and 1/n in the first layer (Sitzmann et al. 2020, section 3.2)."""
GLU_SHARE = 0.29338
"""E[sigmoid(z)^2] for z ~ N(0, 1), by quadrature: the share of the second moment that a gated linear unit lets through."""
_OWN_SCHEMES = {
    "selu": (
        "lecun_normal",
        1.0,
        "selu keeps mean 0 and variance 1 only for weights of variance 1/fan_in (Klambauer et al. 2017, section 3)",
    ),
    "glu": (
        "he_normal",
        GLU_SHARE**-0.5,
        f"The gate of glu lets {GLU_SHARE:.2g} of the second moment through (Gehring et al. 2017, section 3.5)",
    ),
    "maxout": ("lecun_normal", 1.0, "The larger of two normal values has second moment 1, so maxout needs no gain"),
    SINE: (
        "he_uniform",
        math.sqrt(2.0),
        "U(+-sqrt(6/n)) gives sines the same law at each layer (Sitzmann et al. 2020, theorem 1.8)",
    ),
}
"""Activations for which their authors, or a closed form, give the weights: scheme, gain, and the reason."""
HARMLESS_OFFSET = 0.1
"""Pixels by which the taps of a convolution may be moved at random. A judgement: bilinear sampling then takes nine tenths of a value from
the pixel that is meant."""
SAME_FACTOR = 0.01
"""A factor this close to 1 is the rounding of a quantiser, not a scale: 8 bits leave 0.4 %."""
MAX_GAIN = 10.0
"""A larger quadrature gain means that a unit signal lies in the flat part of the activation; no weight scale mends that. A
judgement: that of SiLU, the largest of a usual rectifier, is 1.68."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What the weights of a layer should look like at the start."""

    scheme: str
    """Entry of `initaudit.initialisation.schemes.SCHEMES` that gives the distribution to draw from."""
    gain: float
    """Factor that makes up for what follows: 1.414 before ReLU, 1 before nothing, less at the end of a residual branch."""
    std: float
    """Standard deviation that fits, > 0."""
    why: str
    """The reason in one sentence, with the numbers."""
    of_chain: bool = False
    """Whether it is that of a chain shaped as a whole, which gives the bias its values too, and not that of the layer alone."""


def target_for(layer: Layer, *, residual_branches: int = 1, gain_before: float = 1.0) -> Target | None:
    """Target of a layer, or None where no scale is right or wrong: norm scales, slopes, tables read through a norm.

    Args:
        layer: fans are per group, gate and part; strides are taken into account here.
        residual_branches: how many residual branches the network adds up; each adds its variance to the stream.
        gain_before: size of the learned gain that multiplies the layer's input, > 0 (`input_gains`).
    """
    if layer.untrainable is not None or not layer.kind.has_target or layer.fan_in < 1 or layer.fan_out < 1:
        return None
    if layer.kind is Kind.EMBEDDING:
        return _embedding(layer)
    if layer.kind.is_recurrent and layer.role == "R":
        return _recurrent(layer)
    if layer.gives_offsets:
        return _of_offsets(layer)
    target = _by_activation(layer)
    factor = factor_before_activation(layer)
    if layer.activation == SINE and factor >= 1.0 and reads_the_input(layer):
        return _first_of_sines(layer, factor)
    if factor not in (0.0, 1.0):
        target = _rescaled(target, factor, "the output is multiplied by {} before the activation")
    if gain_before != 1.0:
        target = _rescaled(target, gain_before, "a learned gain multiplies the input by {}")
    if layer.ends_residual_branch and not layer.normalized_before_use and residual_branches > 1:
        return _branch_end(target, residual_branches)
    return target


def _embedding(layer: Layer) -> Target | None:
    if layer.normalized_before_use or any(what.startswith("norm:") for what in layer.feeds) or layer.shared_with:
        return None  # a norm removes the scale; a tied table serves two uses that ask for different ones
    return Target(
        scheme="normal_1",
        gain=1.0,
        std=1.0,
        why="Each token reads one row, so the fan-in does not matter: std = 1 gives the network an input of unit variance.",
    )


def _recurrent(layer: Layer) -> Target:
    size = max(layer.fan_in, layer.fan_out)
    std = 1.0 / math.sqrt(size)
    return Target(
        scheme="orthogonal",
        gain=1.0,
        std=std,
        why=f"A recurrent matrix is applied at every step, so it should keep lengths: orthogonal (Saxe et al. 2014), "
        f"std = 1/sqrt({size}) = {std:.3g}.",
    )


def _by_activation(layer: Layer) -> Target:
    name = layer.activation
    if name is None:
        return _balanced(layer, _linear_reason(layer))
    if name in SIGMOIDAL:
        return _balanced(
            layer, f"{name} is bounded and nearly linear around zero, so forward and backward signal are balanced"
        )
    if name in _OWN_SCHEMES:
        return _kept(layer, *_OWN_SCHEMES[name])
    found = gain_of(layer)
    if found is None or not math.isfinite(found.forward) or not 0 < found.forward < MAX_GAIN:
        return _balanced(
            layer,
            f"The activation ({name}) has no gain for a unit signal, so forward and backward signal are balanced as for a linear layer",
        )
    if name in ("relu", "relu6"):
        return _kept(layer, "he_normal", math.sqrt(2.0), f"{name} halves the second moment (He et al. 2015, eq. 10)")
    label = "The unnamed activation" if name == "custom" else name
    share = found.forward**-2
    verb = "lets" if share < 1 else "turns a unit signal into"
    rest = f"{share:.3g} of the second moment through" if share < 1 else f"a second moment of {share:.3g}"
    return _kept(
        layer,
        "he_normal",
        found.forward,
        f"{label} {verb} {rest} (He et al. 2015, eq. 10, with the gain by quadrature)",
    )


def _kept(layer: Layer, scheme: str, gain: float, reason: str) -> Target:
    """Target with std = gain / sqrt(fan_in)."""
    fan_in, fan = _thinned(layer.fan_in, layer, Kind.CONV_TRANSPOSE)
    std = gain / math.sqrt(fan_in)
    squared = gain * gain
    formula = f"sqrt({squared:.3g}/{fan})"
    return Target(
        scheme=scheme, gain=gain, std=std, why=f"{reason}, so std = {formula} = {std:.3g}{_norm_note(layer)}."
    )


def _balanced(layer: Layer, reason: str) -> Target:
    """Target with std = sqrt(2 / (fan_in + fan_out))."""
    fan_in, inputs = _thinned(layer.fan_in, layer, Kind.CONV_TRANSPOSE)
    fan_out, outputs = _thinned(layer.fan_out, layer, Kind.CONV, Kind.GROUPED_CONV, Kind.DEPTHWISE_CONV)
    std = math.sqrt(2.0 / (fan_in + fan_out))
    return Target(
        scheme="xavier_uniform",
        gain=1.0,
        std=std,
        why=f"{reason}: std = sqrt(2/({inputs}+{outputs})) = {std:.3g} (Glorot & Bengio 2010, eq. 12){_norm_note(layer)}.",
    )


def factor_before_activation(layer: Layer) -> float:
    """By what constant the output is multiplied on its way to the activation, > 0; 1 where that is no straight line."""
    from initaudit.activations.named import is_affine
    from initaudit.activations.region import function_between

    start, end = layer.output, layer.preactivation
    if layer.activation is None or start is None or end is None or start is end:
        return 1.0
    function = function_between(start, end)
    if function is None or not is_affine(function):
        return 1.0
    low, high = function(np.array([0.0, 1.0]))
    factor = abs(float(high - low))
    return factor if math.isfinite(factor) and abs(factor - 1.0) > SAME_FACTOR else 1.0


def _rescaled(target: Target, factor: float, what: str) -> Target:
    """The weights of sin(30 (Wx + b)) are 30 times smaller than those of sin(Wx + b) (Sitzmann et al. 2020, section 3.2)."""
    named = what.format(f"{factor:.4g}")
    return replace(
        target,
        gain=target.gain / factor,
        std=target.std / factor,
        why=f"{target.why[:-1]}; {named}, so {target.std:.3g}/{factor:.4g} = {target.std / factor:.3g}.",
    )


def _of_offsets(layer: Layer) -> Target:
    std = HARMLESS_OFFSET / math.sqrt(layer.fan_in)
    return Target(
        scheme="lecun_normal",
        gain=HARMLESS_OFFSET,
        std=std,
        why=f"Offsets of a deformable convolution start at zero (Dai et al. 2017, section 2.1); up to {HARMLESS_OFFSET:g} pixels, "
        f"std = {HARMLESS_OFFSET:g}/sqrt({layer.fan_in}) = {std:.3g}, its taps stay in place.",
    )


def _first_of_sines(layer: Layer, factor: float) -> Target:
    std = 1.0 / (math.sqrt(3.0) * layer.fan_in)
    return Target(
        scheme="lecun_uniform",
        gain=std * math.sqrt(layer.fan_in),
        std=std,
        why=f"The first of a network of sines is drawn from U(+-1/{layer.fan_in}) whatever the factor behind it, here {factor:.4g}; 30 makes it "
        f"span several periods over coordinates of [-1, 1] (Sitzmann et al. 2020, section 3.2): std = {std:.3g}.",
    )


def reads_the_input(layer: Layer) -> bool:
    """Whether the layer's data are an input of the model, moved at most."""
    value = layer.input
    while value is not None and not value.is_input:
        node = value.producer
        if node is None or not node.spec.only_moves:
            return False
        value = node.inputs[0]
    return value is not None and value.graph.owner is None


def _branch_end(target: Target, branches: int) -> Target:
    shrink = 1.0 / math.sqrt(branches)
    std = target.std * shrink
    return Target(
        scheme=target.scheme,
        gain=target.gain * shrink,
        std=std,
        why=f"It ends one of {branches} residual branches, whose variances add up, so the std is divided by sqrt({branches}) "
        f"(GPT-2; Zhang et al. 2019 even start at zero): {target.std:.3g}/sqrt({branches}) = {std:.3g}.",
    )


def _linear_reason(layer: Layer) -> str:
    """Why a layer without an activation of its own is treated as linear."""
    feeds = set(layer.feeds)
    if layer.kind.is_recurrent:
        return "The cell adds it to the recurrent part in front of a sigmoid or tanh, so forward and backward signal are balanced"
    if "attention" in feeds or layer.kind is Kind.ATTENTION:
        return "Attention takes it as it is, and logits of unit variance need projections that keep the variance"
    if layer.is_head or feeds <= {"output", "softmax"}:
        return "The output layer is linear in front of the loss; smaller, down to zero, is right too"
    if "gate" in feeds:
        return "It is multiplied by another signal without an activation of its own"
    if layer.ends_residual_branch or "residual_add" in feeds:
        return "It is added to another signal without an activation of its own"
    return "No activation follows before the next layer, so forward and backward signal are balanced"


def _thinned(fan: int, layer: Layer, *kinds: Kind) -> tuple[float, str]:
    """A fan of which a layer of these kinds uses one in stride (per axis) on average, and how to print it.

    A transposed convolution spreads its inputs: only one kernel tap in stride meets a value. A convolution computes one output in
    stride: each input enters so many fewer of them, in a patch embedding as many as there are units.
    """
    stride = math.prod(layer.node.attr("strides") or [1]) if layer.kind in kinds else 1
    return fan / stride, f"({fan}/{stride})" if stride > 1 else str(fan)


def _norm_note(layer: Layer) -> str:
    if layer.normalized_by is None:
        return ""
    return f"; {layer.normalized_by} behind it makes the scale immaterial to the forward signal"
