"""Networks of which each layer is known to be trained or not: really trained ones, with heads or blocks drawn anew, and fresh ones.

    python benchmarks/untrained/train.py DIR [--rounds N] [--seed S]      (torch; development only)

Writes DIR/*.onnx and DIR/truth.json. Each round trains every architecture from every start with every optimiser, once, at random
widths and rates, and stops at the steps of CHECKPOINTS: the first ones are short fine-tunings that hardly move a weight.
"""

from __future__ import annotations

import argparse
import copy
import io
import json
import math
import random
import warnings
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

CHECKPOINTS = (5, 30, 200, 1200)
INPUTS, CLASSES = 48, (2, 3, 5, 10)
STACKS = ("hidden", "convs", "depthwise", "pointwise", "blocks")
"""Modules of which one layer or block is drawn anew."""
FOCAL = -math.log(99.0)
"""Bias of a detection head whose prior is 1 % (Lin et al. 2017, section 3.3)."""


class Mlp(nn.Module):
    """Two or three hidden layers."""

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        widths = [INPUTS, width, width, *([width // 2] if width > 64 else [])]
        self.hidden = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(widths))
        self.head = nn.Linear(widths[-1], classes)

    def forward(self, x: Tensor) -> Tensor:
        """The answers."""
        for layer in self.hidden:
            x = torch.relu(layer(x))
        return self.head(x)


class Convolutional(nn.Module):
    """Convolutions over a 4 x 12 picture, with BatchNorms behind them or biases in them; behind the first in so many groups."""

    def __init__(self, width: int, classes: int, *, norm: bool, groups: int = 1) -> None:
        super().__init__()
        channels = [1, width // 4, width // 2, width // 2]
        self.convs = nn.ModuleList(
            nn.Conv2d(a, b, 3, padding=1, bias=not norm, groups=math.gcd(a, groups)) for a, b in pairwise(channels)
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(c) if norm else nn.Identity() for c in channels[1:])
        self.head = nn.Linear(channels[-1], classes)

    def forward(self, x: Tensor) -> Tensor:
        """The answers."""
        x = x.reshape(-1, 1, 4, 12)
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = torch.relu(norm(conv(x)))
        return self.head(x.mean((2, 3)))


class Separable(nn.Module):
    """Depthwise and pointwise convolutions by turns, as in MobileNet, with BatchNorms behind them or biases in them."""

    def __init__(self, width: int, classes: int, *, norm: bool) -> None:
        super().__init__()
        channels = [width // 4, width // 2, width // 2, width // 2]
        self.stem = nn.Conv2d(1, channels[0], 3, padding=1, bias=not norm)
        self.depthwise = nn.ModuleList(nn.Conv2d(c, c, 3, padding=1, groups=c, bias=not norm) for c in channels[:-1])
        self.pointwise = nn.ModuleList(nn.Conv2d(a, b, 1, bias=not norm) for a, b in pairwise(channels))
        normed = [channels[0], *(c for a, b in pairwise(channels) for c in (a, b))]
        self.norms = nn.ModuleList(nn.BatchNorm2d(c) if norm else nn.Identity() for c in normed)
        self.head = nn.Linear(channels[-1], classes)

    def forward(self, x: Tensor) -> Tensor:
        """The answers."""
        x = torch.relu(self.norms[0](self.stem(x.reshape(-1, 1, 4, 12))))
        for i, (depthwise, pointwise) in enumerate(zip(self.depthwise, self.pointwise, strict=True)):
            x = torch.relu(self.norms[2 * i + 1](depthwise(x)))
            x = torch.relu(self.norms[2 * i + 2](pointwise(x)))
        return self.head(x.mean((2, 3)))


class Inverted(nn.Module):
    """The block of ConvNeXt: a wide depthwise convolution, LayerNorm, and an MLP over the channels."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(width, width, 7, padding=3, groups=width)
        self.norm = nn.LayerNorm(width)
        self.up, self.down = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """The picture, changed."""
        y = self.norm(self.depthwise(x).permute(0, 2, 3, 1))
        return x + self.down(functional.gelu(self.up(y))).permute(0, 3, 1, 2)


class ConvNext(nn.Module):
    """Two of these blocks."""

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, width // 2, 2, stride=2)
        self.blocks = nn.ModuleList(Inverted(width // 2) for _ in range(2))
        self.norm, self.head = nn.LayerNorm(width // 2), nn.Linear(width // 2, classes)

    def forward(self, x: Tensor) -> Tensor:
        """The answers."""
        x = self.stem(x.reshape(-1, 1, 4, 12))
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x.mean((2, 3))))


class Block(nn.Module):
    """Attention and MLP, both behind a LayerNorm."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.ln1, self.ln2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.q, self.k, self.v, self.proj = (nn.Linear(width, width) for _ in range(4))
        self.fc, self.out = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """The answers."""
        y = self.ln1(x)
        scores = self.q(y) @ self.k(y).transpose(1, 2) / math.sqrt(x.shape[-1])
        x = x + self.proj(torch.softmax(scores, -1) @ self.v(y))
        return x + self.out(functional.gelu(self.fc(self.ln2(x))))


class Transformer(nn.Module):
    """Two blocks over twelve tokens of four values, with learned positions."""

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.embed = nn.Linear(4, width)
        self.positions = nn.Embedding(12, width)
        self.blocks = nn.ModuleList(Block(width) for _ in range(2))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        """The answers."""
        x = self.embed(x.reshape(-1, 12, 4)) + self.positions(torch.arange(12))
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x).mean(1))


class Recurrent(nn.Module):
    """An LSTM over twelve tokens of four values."""

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.cell = nn.LSTM(4, width // 2, batch_first=True)
        self.head = nn.Linear(width // 2, classes)

    def forward(self, x: Tensor) -> Tensor:
        """The answers."""
        return self.head(self.cell(x.reshape(-1, 12, 4))[0][:, -1])


ARCHITECTURES: dict[str, Callable[[int, int], nn.Module]] = {
    "mlp": Mlp,
    "conv": lambda width, classes: Convolutional(width, classes, norm=False),
    "conv_bn": lambda width, classes: Convolutional(width, classes, norm=True),
    "conv_groups": lambda width, classes: Convolutional(width, classes, norm=True, groups=4),
    "separable": lambda width, classes: Separable(width, classes, norm=False),
    "separable_bn": lambda width, classes: Separable(width, classes, norm=True),
    "convnext": ConvNext,
    "transformer": Transformer,
    "lstm": Recurrent,
}

Start = Callable[[Tensor], object]
STARTS: dict[str, tuple[Start | None, Start | None]] = {
    "torch": (None, None),
    "normal_0.02": (lambda w: nn.init.normal_(w, 0, 0.02), nn.init.zeros_),
    "he_normal": (nn.init.kaiming_normal_, nn.init.zeros_),
    "xavier_uniform": (nn.init.xavier_uniform_, nn.init.zeros_),
}
"""What is done to each weight and bias; None leaves torch's default."""

HEADS: dict[str, tuple[Start | None, Start | None]] = STARTS | {
    "normal_0.01": (lambda w: nn.init.normal_(w, 0, 0.01), nn.init.zeros_),
    "focal_prior": (lambda w: nn.init.normal_(w, 0, 0.01), lambda b: nn.init.constant_(b, FOCAL)),
    "truncated_0.02": (lambda w: nn.init.trunc_normal_(w, 0, 0.02, -0.04, 0.04), nn.init.zeros_),
}
OPTIMISERS: dict[str, Callable[[Any, float], torch.optim.Optimizer]] = {
    "sgd": lambda parameters, rate: torch.optim.SGD(parameters, 30 * rate, momentum=0.9),
    "adam": torch.optim.Adam,
    "adamw": lambda parameters, rate: torch.optim.AdamW(parameters, rate, weight_decay=0.05),
}


def draw(module: nn.Module, start: str) -> None:
    """Draw every linear, convolutional, embedding and recurrent layer below `module` anew."""
    weight_start, bias_start = HEADS[start]
    for part in module.modules():
        if isinstance(part, nn.Linear | nn.Conv2d | nn.Embedding | nn.LSTM):
            part.reset_parameters()
            for name, parameter in part.named_parameters():
                change = bias_start if "bias" in name else weight_start
                if change is not None:
                    change(parameter)
        elif isinstance(part, nn.LayerNorm | nn.BatchNorm2d):
            part.reset_parameters()


def task(classes: int) -> tuple[Tensor, Tensor]:
    """Inputs of low rank beside noise, and the answers of a random teacher."""
    hidden = torch.randn(1024, 8)
    inputs = hidden @ torch.randn(8, INPUTS) / 3 + 0.3 * torch.randn(1024, INPUTS) + 0.3
    return inputs, (torch.tanh(hidden @ torch.randn(8, 16)) @ torch.randn(16, classes)).argmax(1)


def checkpoints(model: nn.Module, optimiser: str, classes: int, rate: float) -> Iterator[int]:
    """Train, and stop at each checkpoint with the model as it is then."""
    inputs, answers = task(classes)
    chosen = OPTIMISERS[optimiser](model.parameters(), rate)
    for step in range(1, CHECKPOINTS[-1] + 1):
        rows = torch.randint(len(inputs), (32,))
        chosen.zero_grad()
        functional.cross_entropy(model(inputs[rows]), answers[rows]).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        chosen.step()
        if step in CHECKPOINTS:
            yield step


def exported(model: nn.Module) -> bytes:
    """The model as torch exports it."""
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model, (torch.randn(2, INPUTS),), buffer, dynamo=False, training=torch.onnx.TrainingMode.PRESERVE
        )
    return buffer.getvalue()


def variants(model: nn.Module, start: str, step: int) -> Iterator[tuple[str, str, nn.Module]]:
    """(what is untrained, drawn how, model): nothing; the head; one hidden layer or block."""
    yield "", "", model
    if step < CHECKPOINTS[2]:
        return
    for law in random.sample(sorted(HEADS), 3):
        other = copy.deepcopy(model)
        draw(other.head, law)
        yield "head", law, other
    inner = [name for name, _ in model.named_modules() if name.rpartition(".")[0] in STACKS]
    if inner:
        name = random.choice(inner)
        other = copy.deepcopy(model)
        draw(other.get_submodule(name), start)
        yield name, start, other


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--architectures", nargs="+", choices=list(ARCHITECTURES), default=list(ARCHITECTURES))
    options = parser.parse_args()
    options.directory.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    torch.manual_seed(options.seed)
    random.seed(options.seed)
    truth: dict[str, dict[str, Any]] = {}

    def keep(model: nn.Module, **about: Any) -> None:
        name = f"{len(truth):05}.onnx"
        (options.directory / name).write_bytes(exported(model.eval()))
        model.train()
        truth[name] = about

    runs = [(a, s, o) for a in options.architectures for s in STARTS for o in OPTIMISERS]
    for architecture, start, optimiser in runs * options.rounds:
        classes = random.choice(CLASSES)
        model = ARCHITECTURES[architecture](random.choice((32, 64, 96, 160)), classes)
        draw(model, start)
        about = {"architecture": architecture, "start": start, "optimiser": optimiser}
        keep(model, **about, steps=0, untrained="*", law=start, moved=0.0)
        first = [p.detach().clone() for p in model.parameters() if p.dim() > 1]
        for step in checkpoints(model, optimiser, classes, rate=10 ** random.uniform(-3.7, -2.5)):
            now = [p.detach() for p in model.parameters() if p.dim() > 1]
            moved = sorted(float((a - b).norm() / b.norm()) for a, b in zip(now, first, strict=True))[len(now) // 2]
            for untrained, law, variant in variants(model, start, step):
                keep(variant, **about, steps=step, untrained=untrained, law=law, moved=moved)
        print(architecture, start, optimiser, len(truth), flush=True)
        (options.directory / "truth.json").write_text(json.dumps(truth, indent=1))


if __name__ == "__main__":
    main()
