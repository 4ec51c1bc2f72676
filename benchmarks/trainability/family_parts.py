"""What the networks of `families.py` share (torch; development only)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from networks import ACTIVATIONS
from torch import Tensor, nn


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


def activation_of(architecture: Architecture) -> nn.Module:
    """A new one."""
    return MORE_ACTIVATIONS[architecture.activation]()


class FeedForward(nn.Module):
    """Two layers on the last axis, `growth` times as wide between them."""

    def __init__(self, architecture: Architecture, width: int, growth: float = 2) -> None:
        super().__init__()
        self.open, self.close = nn.Linear(width, int(growth * width)), nn.Linear(int(growth * width), width)
        self.act = activation_of(architecture)

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        return self.close(self.act(self.open(x)))  # type: ignore[no-any-return]


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
