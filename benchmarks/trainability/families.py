"""Networks of many families, from which the trainability of more than plain chains is learnt (torch; development only).

An `Architecture` determines the modules of a network. The last part of a layer's name is its role, which the initialisations of
`family_starts.py` go by: `head` answers, `embed` reads data without an activation behind it, `close` ends a residual branch,
`query`, `key`, `query_key_value`, `gate`, `carry` and `recur` are what they are called, every other layer feeds an activation. A learned scale is
called `gain`, the learned positions and tokens of a transformer `positions` and `token`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from family_chains import Autoencoder, Chain, GainedLayer, Highway, LayerChain, gated, rezero
from family_images import (
    ConvolutionalNetwork,
    DenseNetwork,
    InvertedResidual,
    LayerScaled,
    PlainConvolution,
    ResidualConvolutions,
    UNet,
)
from family_sequences import Cell, DilatedConvolutions, Mixer, Recurrent, Transformer
from networks import INPUTS, OUTPUTS, SIDE

if TYPE_CHECKING:
    from family_parts import Architecture
    from torch import nn

IMAGE, SEQUENCE, FLAT = (1, SIDE, SIDE), (SIDE, SIDE), (INPUTS,)
SMOOTH = ("relu", "gelu", "silu", "tanh", "elu", "leaky_relu", "mish")
ANY = (*SMOOTH, "selu", "sigmoid", "softplus", "softsign", "hardswish")


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """Networks that are built alike, and what may be drawn for them."""

    make: Callable[[Architecture], nn.Module]
    shape: tuple[int, ...]
    depths: tuple[int, ...]
    widths: tuple[int, ...]
    variants: tuple[str, ...] = ("plain",)
    activations: tuple[str, ...] = SMOOTH
    task: str = "classify"
    """classify, reconstruct the image, denoise it, or regress the class as a number."""
    batch: int = 96


def _convolutional(block: Callable[[Architecture, int, int, int], nn.Module], **drawn: tuple[str, ...]) -> Family:
    def make(architecture: Architecture) -> nn.Module:
        return ConvolutionalNetwork(architecture, block)

    return Family(make=make, shape=IMAGE, depths=(2, 3, 4), widths=(6, 8, 12), batch=32, **drawn)  # type: ignore[arg-type]


def _transformer(place: str) -> Family:
    shape = IMAGE if place == "vit" else SEQUENCE
    return Family(make=Transformer, shape=shape, depths=(1, 1, 2, 3), widths=(16, 16, 24), variants=(place,), batch=32)


def _chain(block: Callable[[Architecture], nn.Module], **drawn: tuple[str, ...]) -> Family:
    def make(architecture: Architecture) -> nn.Module:
        return Chain(architecture, block, OUTPUTS)

    return Family(make=make, shape=FLAT, depths=(2, 4, 6, 10, 16), widths=(24, 32, 48), **drawn)  # type: ignore[arg-type]


def _recurrent(activations: tuple[str, ...]) -> Family:
    variants, widths = ("rows", "rows", "pixels"), (16, 24, 40)
    return Family(
        make=Recurrent, shape=SEQUENCE, depths=(1, 1, 2, 3), widths=widths, variants=variants, activations=activations,
        batch=32,
    )  # fmt: skip


def _layers(activations: tuple[str, ...] = ANY, variants: tuple[str, ...] = ("plain",)) -> Family:
    return Family(
        make=LayerChain, shape=FLAT, depths=(2, 4, 6, 10, 16), widths=(24, 32, 64), activations=activations,
        variants=variants,
    )  # fmt: skip


FAMILIES: dict[str, Family] = {
    "transformer_pre": _transformer("pre"),
    "resnet_batch_norm": _convolutional(ResidualConvolutions, variants=("batch_norm", "batch_norm", "pre_activation")),
    "lstm": _recurrent(("tanh",)),
    "mlp_batch_norm": _layers(variants=("batch_norm",)),
    "transformer_post": _transformer("post"),
    "cnn": _convolutional(PlainConvolution, activations=ANY),
    "gated": _chain(gated, activations=("sigmoid", "silu", "silu", "gelu"), variants=("plain", "free", "pre")),
    "gru": _recurrent(("tanh",)),
    "resnet_plain": _convolutional(ResidualConvolutions),
    "transformer_free": _transformer("free"),
    "sine": _layers(("sine",), ("1", "3", "10")),
    "cnn_batch_norm": _convolutional(PlainConvolution, variants=("batch_norm",), activations=ANY),
    "highway": _chain(Highway),
    "rnn": _recurrent(("tanh", "relu")),
    "vit": _transformer("vit"),
    "skip_init": _convolutional(ResidualConvolutions, variants=("skip_init",)),
    "autoencoder": Family(make=Autoencoder, shape=FLAT, depths=(1, 2, 3, 4), widths=(32, 48), task="reconstruct"),
    "mobilenet": _convolutional(InvertedResidual, variants=("plain", "excite"), activations=("relu6", "hardswish")),
    "mixer": Family(
        make=Mixer, shape=SEQUENCE, depths=(1, 2, 3), widths=(16, 24), variants=("pre", "pre", "free"), batch=32
    ),
    "gain": _chain(GainedLayer, variants=("plain", "residual"), activations=ANY),
    "unet": Family(
        make=UNet,
        shape=IMAGE,
        depths=(1, 2),
        widths=(6, 8),
        variants=("transposed", "nearest"),
        task="denoise",
        batch=32,
    ),
    "cell": Family(
        make=Cell,
        shape=SEQUENCE,
        depths=(1,),
        widths=(16, 24, 32),
        variants=("plain", "leaky", "gated", "norm"),
        activations=("tanh", "relu", "softsign", "silu"),
        batch=32,
    ),
    "rezero": _chain(rezero),
    "cnn_group_norm": _convolutional(PlainConvolution, variants=("group_norm",), activations=ANY),
    "regression": Family(
        make=lambda architecture: LayerChain(architecture, 1),
        shape=FLAT,
        depths=(2, 4, 6, 10),
        widths=(24, 32, 48),
        activations=ANY,
        task="regress",
    ),
    "dense": Family(
        make=DenseNetwork, shape=IMAGE, depths=(2, 3, 5), widths=(6, 8), variants=("batch_norm", "plain"), batch=32
    ),
    "fixup": _convolutional(ResidualConvolutions, variants=("fixup",)),
    "prelu": _layers(("prelu",)),
    "layer_scale": _convolutional(LayerScaled),
    "weight_norm": _layers(),
    "dilated": Family(make=DilatedConvolutions, shape=(1, INPUTS), depths=(2, 3), widths=(12, 16), batch=32),
}
"""In the order in which they take turns."""


def shape_of(architecture: Architecture) -> tuple[int, ...]:
    """Of one input, without the batch."""
    return (INPUTS, 1) if architecture.variant == "pixels" else FAMILIES[architecture.family].shape


def stretch(architecture: Architecture) -> float:
    """1 / sqrt(number of residual branches): what keeps the sum of branches without norms from growing with depth."""
    return 1 / math.sqrt(2 * architecture.depth)
