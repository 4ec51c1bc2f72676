"""Networks that read the rows, the patches or the pixels of an image as a sequence (torch; development only)."""

from __future__ import annotations

import torch
from family_parts import Architecture, FeedForward, Sublayer, activation_of
from networks import OUTPUTS, SIDE
from torch import Tensor, nn


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


class AcrossTokens(nn.Module):
    """A module on the tokens of [batch, tokens, width] instead of the width."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        return self.module(x.transpose(1, 2)).transpose(1, 2)  # type: ignore[no-any-return]


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
        self.read, self.recur, self.act = nn.Linear(SIDE, width), nn.Linear(width, width), activation_of(architecture)
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


class DilatedConvolutions(nn.Module):
    """Causal residual convolutions over the 64 pixels, each reaching twice as far back; the last step is read out."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        width, self.act = architecture.width, activation_of(architecture)
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
