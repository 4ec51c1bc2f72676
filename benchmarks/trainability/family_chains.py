"""Networks on [batch, 64]: layers, gated units and small residual blocks one after the other (torch; development only)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from family_parts import Architecture, FeedForward, Gain, Sine, Sublayer, activation_of
from networks import INPUTS, OUTPUTS
from torch import Tensor, nn


class GatedUnit(nn.Module):
    """close(act(gate(x)) * value(x)): GLU with a sigmoid, SwiGLU with SiLU."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        width = architecture.width
        self.gate, self.value, self.close = (nn.Linear(width, width) for _ in range(3))
        self.act = activation_of(architecture)

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        return self.close(self.act(self.gate(x)) * self.value(x))  # type: ignore[no-any-return]


class Chain(nn.Module):
    """Residual or plain blocks between a layer that reads [batch, 64] and the head."""

    def __init__(self, architecture: Architecture, block: Callable[[Architecture], nn.Module], outputs: int) -> None:
        super().__init__()
        self.embed = nn.Linear(INPUTS, architecture.width)
        self.blocks = nn.Sequential(*(block(architecture) for _ in range(architecture.depth)))
        self.head = nn.Linear(architecture.width, outputs)

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        return self.head(self.blocks(self.embed(x)))  # type: ignore[no-any-return]


def gated(architecture: Architecture) -> nn.Module:
    unit = GatedUnit(architecture)
    return unit if architecture.variant == "plain" else Sublayer(unit, architecture.width, architecture.variant)


def rezero(architecture: Architecture) -> nn.Module:
    width = architecture.width
    return Sublayer(FeedForward(architecture, width, growth=1), width, "free", gain=True)


class Highway(nn.Module):
    """carry * act(layer(x)) + (1 - carry) * x."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        width = architecture.width
        self.layer, self.carry, self.act = nn.Linear(width, width), nn.Linear(width, width), activation_of(architecture)

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        carry = torch.sigmoid(self.carry(x))
        return carry * self.act(self.layer(x)) + (1 - carry) * x  # type: ignore[no-any-return]


class GainedLayer(nn.Module):
    """gain * act(layer(x)), with a shortcut around it or without."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.layer, self.act = nn.Linear(architecture.width, architecture.width), activation_of(architecture)
        self.scale, self.shortcut = Gain(), architecture.variant == "residual"

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        y = self.scale(self.act(self.layer(x)))
        return x + y if self.shortcut else y  # type: ignore[no-any-return]


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
            act = Sine(float(architecture.variant)) if sine else activation_of(architecture)
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
            self.add_module(f"act{number}", activation_of(architecture))
            fan_in = width
        self.head = nn.Linear(fan_in, INPUTS)
