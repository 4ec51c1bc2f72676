"""Networks of many kinds, good and bad, from which the trainability model learns (torch; development only).

A `Recipe` fully determines a network: architecture, activation, depth, width, initialisation and seed. The networks read one
8x8 image as 64 numbers and answer with 10 logits.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

INPUTS, OUTPUTS, SIDE = 64, 10, 8

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": lambda: nn.LeakyReLU(0.2),
    "elu": nn.ELU,
    "selu": nn.SELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "mish": nn.Mish,
    "hardswish": nn.Hardswish,
    "tanh": nn.Tanh,
    "softsign": nn.Softsign,
    "sigmoid": nn.Sigmoid,
    "softplus": nn.Softplus,
}

GAINS = {
    "relu": 1.414, "leaky_relu": 1.387, "elu": 1.245, "selu": 1.0, "gelu": 1.534, "silu": 1.677, "mish": 1.487,
    "hardswish": 1.737, "tanh": 1.593, "softsign": 2.338, "sigmoid": 1.0, "softplus": 1.0,
}  # fmt: skip
"""Forward gain of each activation (1 for those whose mean is far from zero): what `scaled` multiplies 1/sqrt(fan_in) by."""

FAULTS = ("zero", "tiny", "huge", "dead_bias", "same_rows")
"""What may be wrong with the one bad layer of an otherwise well initialised network."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """All that is needed to build a network again."""

    id: str
    architecture: str
    activation: str
    depth: int
    """Number of weight layers before the head; two per residual or transformer block."""
    width: int
    """Units per layer; a quarter of it is the number of channels of the convolutional networks."""
    scheme: str
    scale: float = 1.0
    """Factor on the scheme's standard deviation; the standard deviation itself for `fixed`; the row sum for `constant`."""
    bad_layer: int = 0
    fault: str = ""
    seed: int = 0


class Residual(nn.Module):
    """x + branch(x)."""

    def __init__(self, *branch: nn.Module) -> None:
        super().__init__()
        self.branch = nn.Sequential(*branch)

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        return x + self.branch(x)  # type: ignore[no-any-return]


class SelfAttention(nn.Module):
    """Two-headed self-attention over [batch, tokens, width]."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.heads, self.size = 2, width // 2
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        def split(y: Tensor) -> Tensor:
            return y.reshape(-1, x.shape[1], self.heads, self.size).transpose(1, 2)

        query, key, value = split(self.query(x)), split(self.key(x)), split(self.value(x))
        weights = torch.softmax(query @ key.transpose(2, 3) / math.sqrt(self.size), dim=-1)
        return self.out((weights @ value).transpose(1, 2).reshape(x.shape))  # type: ignore[no-any-return]


class Reshape(nn.Module):
    """[batch, 64] to [batch, *shape]."""

    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.shape = shape

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        return x.reshape(-1, *self.shape)


class MeanOverTokens(nn.Module):
    """[batch, tokens, width] to [batch, width]."""

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        return x.mean(1)


def _mlp(recipe: Recipe, norm: Callable[[int], nn.Module] | None = None) -> list[nn.Module]:
    layers: list[nn.Module] = []
    fan_in = INPUTS
    for _ in range(recipe.depth):
        layers.append(nn.Linear(fan_in, recipe.width))
        if norm:
            layers.append(norm(recipe.width))
        layers.append(ACTIVATIONS[recipe.activation]())
        fan_in = recipe.width
    return [*layers, nn.Linear(fan_in, OUTPUTS)]


def _residual_mlp(recipe: Recipe, *, pre_norm: bool) -> list[nn.Module]:
    width = recipe.width
    blocks = [
        Residual(
            *([nn.LayerNorm(width)] if pre_norm else []),
            nn.Linear(width, width),
            ACTIVATIONS[recipe.activation](),
            nn.Linear(width, width),
        )
        for _ in range(max(1, recipe.depth // 2))
    ]
    return [nn.Linear(INPUTS, width), *blocks, nn.Linear(width, OUTPUTS)]


def _cnn(recipe: Recipe, *, batch_norm: bool) -> list[nn.Module]:
    channels = max(4, recipe.width // 4)
    layers: list[nn.Module] = [Reshape(1, SIDE, SIDE)]
    fan_in = 1
    for _ in range(recipe.depth + 1):
        layers.append(nn.Conv2d(fan_in, channels, 3, padding=1))
        if batch_norm:
            layers.append(nn.BatchNorm2d(channels))
        layers.append(ACTIVATIONS[recipe.activation]())
        fan_in = channels
    return [*layers, nn.Flatten(), nn.Linear(channels * SIDE * SIDE, OUTPUTS)]


def _resnet(recipe: Recipe) -> list[nn.Module]:
    channels = max(4, recipe.width // 4)
    layers: list[nn.Module] = [Reshape(1, SIDE, SIDE), nn.Conv2d(1, channels, 3, padding=1)]
    for _ in range(max(1, recipe.depth // 2)):
        branch: list[nn.Module] = []
        for last in (False, True):
            branch += [nn.Conv2d(channels, channels, 3, padding=1), nn.BatchNorm2d(channels)]
            branch += [] if last else [ACTIVATIONS[recipe.activation]()]
        layers += [Residual(*branch), ACTIVATIONS[recipe.activation]()]
    return [*layers, nn.Flatten(), nn.Linear(channels * SIDE * SIDE, OUTPUTS)]


def _transformer(recipe: Recipe, *, pre_norm: bool) -> list[nn.Module]:
    width = recipe.width

    def feed_forward() -> list[nn.Module]:
        return [nn.Linear(width, 2 * width), ACTIVATIONS[recipe.activation](), nn.Linear(2 * width, width)]

    blocks: list[nn.Module] = []
    for _ in range(max(1, recipe.depth // 4)):
        if pre_norm:
            blocks += [
                Residual(nn.LayerNorm(width), SelfAttention(width)),
                Residual(nn.LayerNorm(width), *feed_forward()),
            ]
        else:
            blocks += [
                Residual(SelfAttention(width)),
                nn.LayerNorm(width),
                Residual(*feed_forward()),
                nn.LayerNorm(width),
            ]
    end = [nn.LayerNorm(width)] if pre_norm else []
    return [Reshape(SIDE, SIDE), nn.Linear(SIDE, width), *blocks, *end, MeanOverTokens(), nn.Linear(width, OUTPUTS)]


ARCHITECTURES: dict[str, Callable[[Recipe], list[nn.Module]]] = {
    "mlp": _mlp,
    "mlp_layer_norm": lambda recipe: _mlp(recipe, nn.LayerNorm),
    "mlp_batch_norm": lambda recipe: _mlp(recipe, nn.BatchNorm1d),
    "residual": lambda recipe: _residual_mlp(recipe, pre_norm=False),
    "residual_pre_norm": lambda recipe: _residual_mlp(recipe, pre_norm=True),
    "cnn": lambda recipe: _cnn(recipe, batch_norm=False),
    "cnn_batch_norm": lambda recipe: _cnn(recipe, batch_norm=True),
    "resnet": _resnet,
    "transformer_pre_norm": lambda recipe: _transformer(recipe, pre_norm=True),
    "transformer_post_norm": lambda recipe: _transformer(recipe, pre_norm=False),
}


def _initialise(recipe: Recipe, layers: list[nn.Linear | nn.Conv2d]) -> None:
    """Draw the weights by the recipe's scheme; biases become zero, except under torch's own default."""
    if recipe.scheme == "torch_default":
        return
    gain = GAINS[recipe.activation]
    for layer in layers:
        weight, fan_in = layer.weight, layer.weight[0].numel()
        nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
        well_scaled = (1.0 if layer is layers[-1] else gain) / math.sqrt(fan_in)
        if recipe.scheme == "scaled":
            nn.init.normal_(weight, 0, recipe.scale * well_scaled)
        elif recipe.scheme == "xavier":
            nn.init.xavier_uniform_(weight, recipe.scale)
        elif recipe.scheme == "he":
            nn.init.kaiming_normal_(weight)
            weight.data.mul_(recipe.scale)
        elif recipe.scheme == "fixed":
            nn.init.normal_(weight, 0, recipe.scale)
        elif recipe.scheme == "orthogonal":
            nn.init.orthogonal_(weight, gain * recipe.scale)
        elif recipe.scheme == "constant":
            nn.init.constant_(weight, recipe.scale / fan_in)
        elif recipe.scheme == "one_bad_layer":
            nn.init.normal_(weight, 0, well_scaled)
        else:
            raise ValueError(f"unknown scheme {recipe.scheme}")
    if recipe.scheme == "one_bad_layer":
        _spoil(layers[recipe.bad_layer % len(layers)], recipe.fault)


@torch.no_grad()
def _spoil(layer: nn.Linear | nn.Conv2d, fault: str) -> None:
    weight, bias = layer.weight, layer.bias
    assert bias is not None
    if fault == "zero":
        weight.zero_()
    elif fault == "tiny":
        weight.mul_(1e-4)
    elif fault == "huge":
        weight.mul_(1e3)
    elif fault == "dead_bias":
        bias.fill_(-50.0)
    elif fault == "same_rows":
        weight.copy_(weight[:1].expand_as(weight).clone())
    else:
        raise ValueError(f"unknown fault {fault}")


def build(recipe: Recipe) -> nn.Sequential:
    """The network of a recipe: float32, reads [batch, 64], answers [batch, 10]. Sets torch's global seed."""
    torch.manual_seed(recipe.seed)
    network = nn.Sequential(*ARCHITECTURES[recipe.architecture](recipe))
    _initialise(recipe, [layer for layer in network.modules() if isinstance(layer, nn.Linear | nn.Conv2d)])
    return network


COMMON = {"mlp": 42, "mlp_layer_norm": 18, "residual": 18, "cnn": 9}
"""How often the architectures are drawn that differ most in how they fail."""

RARE = {"mlp_batch_norm": 3, "residual_pre_norm": 3, "cnn_batch_norm": 1, "resnet": 1, "transformer_pre_norm": 2,
        "transformer_post_norm": 3}  # fmt: skip
"""How often the remaining ones are drawn: fewer, because normalisation and shortcuts make almost any initialisation train."""

SCHEMES = {"torch_default": 12, "scaled": 26, "xavier": 11, "he": 11, "fixed": 11, "orthogonal": 11, "constant": 7,
           "one_bad_layer": 11}  # fmt: skip


def _pick(rng: random.Random, weights: dict[str, int]) -> str:
    return rng.choices(list(weights), list(weights.values()))[0]


def draw(rng: random.Random, name: str) -> Recipe:
    """A recipe from the whole range: most schemes at most depths."""
    scheme = _pick(rng, SCHEMES)
    scale = {
        "scaled": math.exp(rng.uniform(math.log(0.2), math.log(4.0))),
        "fixed": rng.choice([0.003, 0.01, 0.02, 0.05, 0.1, 0.3, 1.0]),
        "orthogonal": rng.choice([0.3, 0.5, 0.8, 0.9, 1.0, 1.1, 1.3, 2.0]),
        "constant": rng.choice([0.0, 0.5, 1.0, 2.0]),
    }.get(scheme, 1.0)
    architecture = _pick(rng, {**COMMON, **RARE})
    convolutional = "cnn" in architecture or architecture == "resnet"
    return Recipe(
        id=name,
        architecture=architecture,
        activation=rng.choice(list(ACTIVATIONS)),
        depth=rng.choice([2, 3, 4, 6, 8, 10, 16] if convolutional else [2, 3, 4, 6, 8, 10, 12, 16, 20, 24, 32, 48]),
        width=rng.choice([16, 32, 32, 48, 64, 64, 128] if architecture == "mlp" else [16, 32, 32, 48, 64, 64]),
        scheme=scheme,
        scale=scale,
        bad_layer=rng.randrange(40),
        fault=rng.choice(FAULTS) if scheme == "one_bad_layer" else "",
        seed=rng.randrange(2**31),
    )
