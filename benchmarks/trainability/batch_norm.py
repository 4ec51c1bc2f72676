"""How rough a network with BatchNorm may be and still learn: BATCH_NORM_ROUGHNESS_STOOD. Needs torch.

    python benchmarks/trainability/batch_norm.py

Trains MLPs of BatchNorm and ReLU, deeper and deeper, on ten noisy clusters, as the networks behind the fit were trained: 250
steps of SGD with momentum 0.9, the best of three rates. Prints the decimal logarithm of the roughness at the start and the training accuracy.
"""

from __future__ import annotations

import math

import torch
from torch import nn

DEPTHS = (10, 20, 26, 29, 32, 35, 40, 50, 60)
WIDTHS = (64, 128)
FEATURES, CLASSES, EXAMPLES, BATCH, STEPS = 64, 10, 1797, 128, 250
RATES = (1e-3, 1e-2, 1e-1)


def main() -> None:
    torch.manual_seed(0)
    centres = torch.randn(CLASSES, FEATURES)
    labels = torch.arange(EXAMPLES) % CLASSES
    inputs = 0.9 * centres[labels] + torch.randn(EXAMPLES, FEATURES)
    inputs = (inputs - inputs.mean(0)) / inputs.std(0)
    for depth in DEPTHS:
        for width in WIDTHS:
            best = max(accuracy(depth, width, rate, inputs, labels) for rate in RATES)
            print(
                f"depth {depth} width {width} log10 roughness {roughness(depth, width):.2f} accuracy {best:.2f}",
                flush=True,
            )


def network(depth: int, width: int) -> nn.Sequential:
    """The same one each time."""
    torch.manual_seed(1)
    layers: list[nn.Module] = [nn.Linear(FEATURES, width)]
    for _ in range(depth):
        layers += [nn.Linear(width, width, bias=False), nn.BatchNorm1d(width), nn.ReLU()]
    layers.append(nn.Linear(width, CLASSES))
    for layer in layers:
        if isinstance(layer, nn.Linear):
            nn.init.kaiming_normal_(layer.weight)
    return nn.Sequential(*layers)


def roughness(depth: int, width: int) -> float:
    """log10 of E|grad f|^2 / Var f for N(0, 1) inputs, per answer."""
    inputs = torch.randn(512, FEATURES, requires_grad=True)
    answers = network(depth, width)(inputs)
    (answers * torch.randn_like(answers)).sum().backward()
    assert inputs.grad is not None
    squares = float(inputs.grad.square().sum(1).mean()) / CLASSES
    return math.log10(squares / float(answers.detach().var(0).mean()))


def accuracy(depth: int, width: int, rate: float, inputs: torch.Tensor, labels: torch.Tensor) -> float:
    """On the training data, after training."""
    model = network(depth, width)
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
