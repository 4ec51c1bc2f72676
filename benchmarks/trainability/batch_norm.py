"""How rough a network with BatchNorm may be and still learn: BATCH_NORM_ROUGHNESS_STOOD and RESIDUAL_ROUGHNESS_STOOD. Needs torch.

    python benchmarks/trainability/batch_norm.py
    python benchmarks/trainability/batch_norm.py residual

Trains MLPs of BatchNorm and ReLU, deeper and deeper, on ten noisy clusters, as the networks behind the fit were trained: 250
steps of SGD with momentum 0.9, the best of three rates. Prints the decimal logarithm of the roughness at the start and the training accuracy.

The residual ones have the blocks of a ResNet, relu(x + norm(W relu(norm(W x)))), with all gammas at 1; where a stage begins, the skip is
projected and normalised too, which gives the branches half of the variance again. Fresh torchvision networks have, as `initaudit`
measures it: ResNet-18 10^2.2, ResNet-50 10^4.9, Wide ResNet-50-2 10^4.9, ResNet-101 10^6.3, ResNet-152 10^7.5.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Sequence

import torch
from torch import nn

DEPTHS = (10, 20, 26, 29, 32, 35, 40, 50, 60)
WIDTHS = (64, 128)
RESIDUAL = (
    ((16,), 3),
    ((50,), 3),
    ((4,) * 4, 3),
    ((3, 4, 23, 3), 3),
    ((3, 8, 36, 3), 3),
    ((6, 16, 72, 6), 3),
    ((4,) * 8, 3),
    ((2,) * 12, 3),
    ((1,) * 20, 3),
)
"""Blocks of each stage, and layers in each branch: two are a basic block, three a bottleneck. The fourth and fifth are those of ResNet-101 and ResNet-152."""
FEATURES, CLASSES, EXAMPLES, BATCH, STEPS = 64, 10, 1797, 128, 250
RATES = (1e-3, 1e-2, 1e-1)


class Block(nn.Module):
    """A residual block without a gamma of zero."""

    def __init__(self, width: int, layers: int, *, projected: bool) -> None:
        super().__init__()
        self.branch = nn.Sequential(*[part for _ in range(layers) for part in normalised(width)][:-1])
        self.skip = nn.Sequential(*normalised(width)[:-1]) if projected else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:  # noqa: D102
        return torch.relu(self.skip(x) + self.branch(x))


def main() -> None:
    torch.manual_seed(0)
    centres = torch.randn(CLASSES, FEATURES)
    labels = torch.arange(EXAMPLES) % CLASSES
    inputs = 0.9 * centres[labels] + torch.randn(EXAMPLES, FEATURES)
    inputs = (inputs - inputs.mean(0)) / inputs.std(0)
    for name, width, blocks in residual() if "residual" in sys.argv[1:] else plain():
        best = max(accuracy(width, blocks, rate, inputs, labels) for rate in RATES)
        print(f"{name} width {width} log10 roughness {roughness(width, blocks):.2f} accuracy {best:.2f}", flush=True)


Plan = Sequence[tuple[int, bool | None]]
"""Of each block the layers in its branch, and whether its skip is projected; None where it has none."""


def plain() -> Iterator[tuple[str, int, Plan]]:
    """Name, width and blocks."""
    for depth in DEPTHS:
        for width in WIDTHS:
            yield f"depth {depth}", width, [(1, None)] * depth


def residual() -> Iterator[tuple[str, int, Plan]]:
    """Name, width and blocks."""
    for stages, layers in RESIDUAL:
        blocks = [(layers, first) for count in stages for first in [True] + [False] * (count - 1)]
        yield f"stages of {stages} blocks of {layers} layers", WIDTHS[0], blocks


def normalised(width: int) -> list[nn.Module]:
    """A layer, its BatchNorm and ReLU."""
    return [nn.Linear(width, width, bias=False), nn.BatchNorm1d(width), nn.ReLU()]


def network(width: int, blocks: Plan) -> nn.Sequential:
    """The same one each time."""
    torch.manual_seed(1)
    layers: list[nn.Module] = [nn.Linear(FEATURES, width)]
    if any(projected is not None for _, projected in blocks):
        layers += [nn.BatchNorm1d(width), nn.ReLU()]
    for depth, projected in blocks:
        layers += normalised(width) if projected is None else [Block(width, depth, projected=projected)]
    layers.append(nn.Linear(width, CLASSES))
    for layer in nn.Sequential(*layers).modules():
        if isinstance(layer, nn.Linear):
            nn.init.kaiming_normal_(layer.weight)
    return nn.Sequential(*layers)


def roughness(width: int, blocks: Plan) -> float:
    """log10 of E|grad f|^2 / Var f for N(0, 1) inputs, per answer."""
    inputs = torch.randn(512, FEATURES, requires_grad=True)
    answers = network(width, blocks)(inputs)
    (answers * torch.randn_like(answers)).sum().backward()
    assert inputs.grad is not None
    squares = float(inputs.grad.square().sum(1).mean()) / CLASSES
    return math.log10(squares / float(answers.detach().var(0).mean()))


def accuracy(width: int, blocks: Plan, rate: float, inputs: torch.Tensor, labels: torch.Tensor) -> float:
    """On the training data, after training."""
    model = network(width, blocks)
    optimiser = torch.optim.SGD(model.parameters(), rate, momentum=0.9)
    for _ in range(STEPS):
        chosen = torch.randint(0, EXAMPLES, (BATCH,))
        loss = nn.functional.cross_entropy(model(inputs[chosen]), labels[chosen])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return float((model(inputs).argmax(1) == labels).float().mean())


if __name__ == "__main__":
    main()
