"""Convolutional networks on [batch, 1, 8, 8] (torch; development only)."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
from family_parts import Architecture, FeedForward, Gain, Offset, activation_of
from networks import OUTPUTS
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate


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
        self.act1, self.act2 = activation_of(architecture), activation_of(architecture)
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
        self.close, self.act = nn.Conv2d(wide, channels, 1, bias=False), activation_of(architecture)
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
        self.norm, self.act = _norm(architecture.variant, channels), activation_of(architecture)


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
        self.stem, self.act = nn.Conv2d(1, width, 3, 2, 1), activation_of(architecture)
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
        self.embed, self.act = nn.Conv2d(1, growth, 3, 2, 1), activation_of(architecture)
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
        self.stem, self.act = nn.Conv2d(1, widths[0], 3, 1, 1), activation_of(architecture)
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
