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
from itertools import pairwise

import torch
from networks import ACTIVATIONS, INPUTS, OUTPUTS, SIDE
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """What a network is made of, its weights aside."""

    family: str
    variant: str
    activation: str
    depth: int
    """Blocks, layers or cells on top of each other."""
    width: int
    """Units or channels of a layer."""


class Sine(nn.Module):
    """sin(frequency x)."""

    def __init__(self, frequency: float) -> None:
        super().__init__()
        self.frequency = frequency

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        return torch.sin(self.frequency * x)


class Gain(nn.Module):
    """A learned factor, one for all or one per channel of the last axis."""

    def __init__(self, channels: int = 1) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        return x * self.gain


class Offset(nn.Module):
    """A learned summand, one for all (the scalar biases of Fixup)."""

    def __init__(self) -> None:
        super().__init__()
        self.offset = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        return x + self.offset


MORE_ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {**ACTIVATIONS, "relu6": nn.ReLU6, "prelu": nn.PReLU}


def _activation(architecture: Architecture) -> nn.Module:
    return MORE_ACTIVATIONS[architecture.activation]()


class Attention(nn.Module):
    """Self-attention over [batch, tokens, width], its projections in one layer or in three."""

    def __init__(self, width: int, *, fused: bool) -> None:
        super().__init__()
        self.heads, self.fused = 4, fused
        if fused:
            self.query_key_value = nn.Linear(width, 3 * width)
        else:
            self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.close = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        parts = self.query_key_value(x).chunk(3, -1) if self.fused else (self.query(x), self.key(x), self.value(x))
        query, key, value = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in parts)
        weights = torch.softmax(query @ key.transpose(2, 3) * query.shape[-1] ** -0.5, -1)
        return self.close((weights @ value).transpose(1, 2).flatten(2))  # type: ignore[no-any-return]


class FeedForward(nn.Module):
    """Two layers on the last axis, `growth` times as wide between them."""

    def __init__(self, architecture: Architecture, width: int, growth: float = 2) -> None:
        super().__init__()
        self.open, self.close = nn.Linear(width, int(growth * width)), nn.Linear(int(growth * width), width)
        self.act = _activation(architecture)

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        return self.close(self.act(self.open(x)))  # type: ignore[no-any-return]


class GatedUnit(nn.Module):
    """close(act(gate(x)) * value(x)): GLU with a sigmoid, SwiGLU with SiLU."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        width = architecture.width
        self.gate, self.value, self.close = (nn.Linear(width, width) for _ in range(3))
        self.act = _activation(architecture)

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        return self.close(self.act(self.gate(x)) * self.value(x))  # type: ignore[no-any-return]


class AcrossTokens(nn.Module):
    """A module on the tokens of [batch, tokens, width] instead of the width."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        return self.module(x.transpose(1, 2)).transpose(1, 2)  # type: ignore[no-any-return]


class Sublayer(nn.Module):
    """A residual branch, the norm before it, after the sum or nowhere, with a learned gain at its end or without."""

    def __init__(self, branch: nn.Module, width: int, place: str, *, gain: bool = False) -> None:
        super().__init__()
        self.branch, self.place = branch, place
        self.norm = nn.LayerNorm(width) if place in ("pre", "post") else nn.Identity()
        self.scale = Gain() if gain else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        if self.place == "post":
            return self.norm(x + self.scale(self.branch(x)))  # type: ignore[no-any-return]
        return x + self.scale(self.branch(self.norm(x)))  # type: ignore[no-any-return]


class Transformer(nn.Module):
    """Tokens are the rows of the image, or its patches beside a class token; variant: pre, post, free or vit."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        width, self.vit = architecture.width, architecture.variant == "vit"
        place = "pre" if self.vit else architecture.variant
        self.embed = nn.Conv2d(1, width, 2, 2) if self.vit else nn.Linear(SIDE, width)
        self.token = nn.Parameter(torch.randn(1, 1, width) * 0.02) if self.vit else None
        self.positions = nn.Parameter(torch.randn(1, 17 if self.vit else SIDE, width) * 0.02)
        self.blocks = nn.Sequential()
        for _ in range(architecture.depth):
            self.blocks.append(Sublayer(Attention(width, fused=self.vit), width, place))
            self.blocks.append(Sublayer(FeedForward(architecture, width), width, place))
        self.norm = nn.LayerNorm(width) if place == "pre" else nn.Identity()
        self.head = nn.Linear(width, OUTPUTS)

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        x = self.embed(x)
        if self.token is not None:
            x = x.flatten(2).transpose(1, 2)
            x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1)
        x = self.norm(self.blocks(x + self.positions))
        return self.head(x[:, 0] if self.vit else x.mean(1))  # type: ignore[no-any-return]


class Chain(nn.Module):
    """Residual or plain blocks between a layer that reads [batch, 64] and the head."""

    def __init__(self, architecture: Architecture, block: Callable[[Architecture], nn.Module], outputs: int) -> None:
        super().__init__()
        self.embed = nn.Linear(INPUTS, architecture.width)
        self.blocks = nn.Sequential(*(block(architecture) for _ in range(architecture.depth)))
        self.head = nn.Linear(architecture.width, outputs)

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        return self.head(self.blocks(self.embed(x)))  # type: ignore[no-any-return]


def _gated(architecture: Architecture) -> nn.Module:
    unit = GatedUnit(architecture)
    return unit if architecture.variant == "plain" else Sublayer(unit, architecture.width, architecture.variant)


def _rezero(architecture: Architecture) -> nn.Module:
    width = architecture.width
    return Sublayer(FeedForward(architecture, width, growth=1), width, "free", gain=True)


class Highway(nn.Module):
    """carry * act(layer(x)) + (1 - carry) * x."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        width = architecture.width
        self.layer, self.carry, self.act = nn.Linear(width, width), nn.Linear(width, width), _activation(architecture)

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        carry = torch.sigmoid(self.carry(x))
        return carry * self.act(self.layer(x)) + (1 - carry) * x  # type: ignore[no-any-return]


class GainedLayer(nn.Module):
    """gain * act(layer(x)), with a shortcut around it or without."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.layer, self.act = nn.Linear(architecture.width, architecture.width), _activation(architecture)
        self.scale, self.shortcut = Gain(), architecture.variant == "residual"

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        y = self.scale(self.act(self.layer(x)))
        return x + y if self.shortcut else y  # type: ignore[no-any-return]


class Mixer(nn.Module):
    """Layers across the rows of the image and across the channels, by turns."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        width, place = architecture.width, architecture.variant
        self.embed, self.blocks = nn.Linear(SIDE, width), nn.Sequential()
        for _ in range(architecture.depth):
            tokens = AcrossTokens(FeedForward(architecture, SIDE, growth=3))
            self.blocks.append(Sublayer(tokens, width, place))
            self.blocks.append(Sublayer(FeedForward(architecture, width), width, place))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, OUTPUTS)

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        return self.head(self.norm(self.blocks(self.embed(x))).mean(1))  # type: ignore[no-any-return]


class LayerChain(nn.Sequential):
    """Layers with their norm (variant batch_norm) and activation, one after the other, on [batch, 64]."""

    def __init__(self, architecture: Architecture, outputs: int = OUTPUTS) -> None:
        super().__init__()
        fan_in, width = INPUTS, architecture.width
        for number in range(architecture.depth):
            self.add_module(f"layer{number}", nn.Linear(fan_in, width))
            if architecture.variant == "batch_norm":
                self.add_module(f"norm{number}", nn.BatchNorm1d(width))
            sine = architecture.activation == "sine"
            act = Sine(float(architecture.variant)) if sine else _activation(architecture)
            self.add_module(f"act{number}", act)
            fan_in = width
        self.head = nn.Linear(fan_in, outputs)


class Autoencoder(nn.Sequential):
    """[batch, 64] through ever fewer units to 12 and back."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        steps = architecture.depth
        narrow = [round(architecture.width * (12 / architecture.width) ** (k / steps)) for k in range(steps + 1)]
        fan_in = INPUTS
        for number, width in enumerate([*narrow, *narrow[-2::-1]]):
            self.add_module(f"layer{number}", nn.Linear(fan_in, width))
            self.add_module(f"act{number}", _activation(architecture))
            fan_in = width
        self.head = nn.Linear(fan_in, INPUTS)


class Recurrent(nn.Module):
    """torch's LSTM, GRU or RNN over the rows or the pixels of the image; the last step is read out."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        kind = {"lstm": nn.LSTM, "gru": nn.GRU}.get(architecture.family)
        pixels = architecture.variant == "pixels"
        sizes = {"input_size": 1 if pixels else SIDE, "hidden_size": architecture.width}
        options = {**sizes, "num_layers": architecture.depth, "batch_first": True}
        self.cells = kind(**options) if kind else nn.RNN(**options, nonlinearity=architecture.activation)
        self.head = nn.Linear(architecture.width, OUTPUTS)

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        return self.head(self.cells(x)[0][:, -1])  # type: ignore[no-any-return]


class Cell(nn.Module):
    """A hand-written recurrent cell, unrolled over the rows; variant: plain, leaky, gated or norm."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        width, self.variant = architecture.width, architecture.variant
        self.read, self.recur, self.act = nn.Linear(SIDE, width), nn.Linear(width, width), _activation(architecture)
        self.norm = nn.LayerNorm(width) if self.variant == "norm" else nn.Identity()
        if self.variant == "gated":
            self.carry = nn.Linear(SIDE + width, width)
        self.head, self.width = nn.Linear(width, OUTPUTS), width

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        state = x.new_zeros(1, self.width)
        for step in range(SIDE):
            row = x[:, step]
            new = self.act(self.norm(self.read(row) + self.recur(state)))
            if self.variant == "leaky":
                new = 0.7 * state + 0.3 * new
            elif self.variant == "gated":
                carry = torch.sigmoid(self.carry(torch.cat([row, state.expand(row.shape[0], -1)], 1)))
                new = carry * new + (1 - carry) * state
            state = new
        return self.head(state)  # type: ignore[no-any-return]


def _norm(kind: str, channels: int) -> nn.Module:
    if kind in ("batch_norm", "pre_activation"):
        return nn.BatchNorm2d(channels)
    return nn.GroupNorm(2, channels) if kind == "group_norm" else nn.Identity()


class ResidualConvolutions(nn.Module):
    """A block of a ResNet; variant: batch_norm, pre_activation, plain, skip_init or fixup."""

    def __init__(self, architecture: Architecture, fan_in: int, channels: int, stride: int) -> None:
        super().__init__()
        kind = architecture.variant
        bias = kind in ("plain", "skip_init")
        self.before = kind == "pre_activation"
        self.first = nn.Conv2d(fan_in, channels, 3, stride, 1, bias=bias)
        self.close = nn.Conv2d(channels, channels, 3, 1, 1, bias=bias)
        self.norm1, self.norm2 = _norm(kind, fan_in if self.before else channels), _norm(kind, channels)
        self.act1, self.act2 = _activation(architecture), _activation(architecture)
        self.offsets = nn.ModuleList(Offset() if kind == "fixup" else nn.Identity() for _ in range(4))
        self.scale = Gain() if kind in ("skip_init", "fixup") else nn.Identity()
        change = stride > 1 or fan_in != channels
        self.embed = nn.Conv2d(fan_in, channels, 1, stride, bias=False) if change else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        if self.before:
            return self.embed(x) + self.close(self.act2(self.norm2(self.first(self.act1(self.norm1(x))))))  # type: ignore[no-any-return]
        y = self.offsets[1](self.act1(self.norm1(self.first(self.offsets[0](x)))))
        y = self.offsets[3](self.scale(self.norm2(self.close(self.offsets[2](y)))))
        return self.act2(self.embed(x) + y)  # type: ignore[no-any-return]


class InvertedResidual(nn.Module):
    """A block of a MobileNet: wider, depthwise, narrower; variant excite weighs the channels between."""

    def __init__(self, architecture: Architecture, fan_in: int, channels: int, stride: int) -> None:
        super().__init__()
        wide, self.shortcut = 2 * fan_in, stride == 1 and fan_in == channels
        self.open, self.norm1 = nn.Conv2d(fan_in, wide, 1, bias=False), nn.BatchNorm2d(wide)
        self.depthwise = nn.Conv2d(wide, wide, 3, stride, 1, groups=wide, bias=False)
        self.norm2, self.norm3 = nn.BatchNorm2d(wide), nn.BatchNorm2d(channels)
        self.close, self.act = nn.Conv2d(wide, channels, 1, bias=False), _activation(architecture)
        excite = architecture.variant == "excite"
        self.squeeze = nn.Conv2d(wide, max(4, wide // 4), 1) if excite else None
        self.gate = nn.Conv2d(max(4, wide // 4), wide, 1) if excite else None

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        y = self.act(self.norm2(self.depthwise(self.act(self.norm1(self.open(x))))))
        if self.squeeze is not None and self.gate is not None:
            y = y * torch.sigmoid(self.gate(torch.relu(self.squeeze(y.mean((2, 3), keepdim=True)))))
        y = self.norm3(self.close(y))
        return x + y if self.shortcut else y


class PlainConvolution(nn.Sequential):
    """Convolution, norm (variant) and activation."""

    def __init__(self, architecture: Architecture, fan_in: int, channels: int, stride: int) -> None:
        super().__init__()
        bias = architecture.variant != "batch_norm"
        self.layer = nn.Conv2d(fan_in, channels, 3, stride, 1, bias=bias)
        self.norm, self.act = _norm(architecture.variant, channels), _activation(architecture)


class LayerScaled(nn.Module):
    """A block of a ConvNeXt: depthwise convolution, LayerNorm, two layers, a gain per channel; strides by averaging."""

    def __init__(self, architecture: Architecture, fan_in: int, channels: int, stride: int) -> None:
        super().__init__()
        self.stride, change = stride, fan_in != channels
        self.embed = nn.Conv2d(fan_in, channels, 1) if change else nn.Identity()
        self.depthwise = nn.Conv2d(channels, channels, 3, 1, 1, groups=channels)
        self.norm, self.scale = nn.LayerNorm(channels), Gain(channels)
        self.layers = FeedForward(architecture, channels)

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        x = self.embed(avg_pool2d(x, 2) if self.stride == 2 else x)
        y = self.norm(self.depthwise(x).permute(0, 2, 3, 1))
        return x + self.scale(self.layers(y)).permute(0, 3, 1, 2)  # type: ignore[no-any-return]


class ConvolutionalNetwork(nn.Module):
    """A stem that halves the image, `depth` blocks whose middle one halves the image again and doubles the channels, the mean over the image, the head."""

    def __init__(self, architecture: Architecture, block: Callable[[Architecture, int, int, int], nn.Module]) -> None:
        super().__init__()
        width, depth = architecture.width, architecture.depth
        normed = architecture.family == "mobilenet" or architecture.variant == "batch_norm"
        self.stem, self.act = nn.Conv2d(1, width, 3, 2, 1), _activation(architecture)
        self.norm = nn.BatchNorm2d(width) if normed else nn.Identity()
        self.blocks = nn.Sequential()
        for number in range(depth):
            halve = number == depth // 2
            self.blocks.append(block(architecture, width, 2 * width if halve else width, 2 if halve else 1))
            width = 2 * width if halve else width
        self.head = nn.Linear(width, OUTPUTS)

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        return self.head(self.blocks(self.act(self.norm(self.stem(x)))).mean((2, 3)))  # type: ignore[no-any-return]


class DenseNetwork(nn.Module):
    """Each convolution reads all that went before it; variant: batch_norm or plain."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        growth = channels = architecture.width
        self.embed, self.act = nn.Conv2d(1, growth, 3, 2, 1), _activation(architecture)
        self.norms, self.layers = nn.ModuleList(), nn.ModuleList()
        for _ in range(architecture.depth):
            self.norms.append(_norm(architecture.variant, channels))
            self.layers.append(nn.Conv2d(channels, growth, 3, 1, 1))
            channels += growth
        self.head = nn.Linear(channels, OUTPUTS)

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        x = self.embed(x)
        for norm, layer in zip(self.norms, self.layers, strict=True):
            x = torch.cat([x, layer(self.act(norm(x)))], 1)
        return self.head(self.act(x).mean((2, 3)))  # type: ignore[no-any-return]


class UNet(nn.Module):
    """Down `depth` halvings and up again, each height joined to its own; upsampling by variant: transposed or nearest."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        widths = [architecture.width * 2**level for level in range(architecture.depth + 1)]
        pairs = list(pairwise(widths))
        self.stem, self.act = nn.Conv2d(1, widths[0], 3, 1, 1), _activation(architecture)
        self.down = nn.ModuleList(nn.Conv2d(low, high, 3, 2, 1) for low, high in pairs)
        transposed = architecture.variant == "transposed"
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(high, low, 2, 2) if transposed else nn.Conv2d(high, low, 3, 1, 1) for low, high in pairs
        )
        self.join = nn.ModuleList(nn.Conv2d(2 * low, low, 3, 1, 1) for low in widths[:-1])
        self.head, self.transposed = nn.Conv2d(widths[0], 1, 1), transposed

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        x = self.act(self.stem(x))
        passed = []
        for down in self.down:
            passed.append(x)
            x = self.act(down(x))
        for up, join, across in zip(reversed(self.up), reversed(self.join), reversed(passed), strict=True):
            x = x if self.transposed else interpolate(x, scale_factor=2.0)
            x = self.act(join(torch.cat([self.act(up(x)), across], 1)))
        return self.head(x)  # type: ignore[no-any-return]


class DilatedConvolutions(nn.Module):
    """Causal residual convolutions over the 64 pixels, each reaching twice as far back; the last step is read out."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        width, self.act = architecture.width, _activation(architecture)
        self.embed = nn.Conv1d(1, width, 8, 4)
        self.first = nn.ModuleList(nn.Conv1d(width, width, 2, dilation=2**k) for k in range(architecture.depth))
        self.close = nn.ModuleList(nn.Conv1d(width, width, 1) for _ in range(architecture.depth))
        self.head = nn.Linear(width, OUTPUTS)

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        x = self.embed(x)
        for layer, close in zip(self.first, self.close, strict=True):
            reach = layer.dilation[0]
            x = x + close(self.act(layer(nn.functional.pad(x, (reach, 0)))))  # type: ignore[arg-type]
        return self.head(x[:, :, -1])  # type: ignore[no-any-return]


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
    return Family(make=Transformer, shape=shape, depths=(1, 1, 2, 3), widths=(16, 24, 32), variants=(place,), batch=32)


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
    "gated": _chain(_gated, activations=("sigmoid", "silu", "silu", "gelu"), variants=("plain", "free", "pre")),
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
        make=Mixer, shape=SEQUENCE, depths=(1, 2, 4), widths=(16, 24, 32), variants=("pre", "pre", "free"), batch=32
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
    "rezero": _chain(_rezero),
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
