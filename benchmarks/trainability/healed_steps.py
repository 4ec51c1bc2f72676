"""How many steps a network takes that `fix` has healed, beside its healthy twin.

    python benchmarks/trainability/healed_steps.py [WORD ...]      only networks and faults whose names contain one of the words

MLPs, a CNN and a transformer, each with one fault in one layer, drawn at random; the twin is the same network, of the same seed, without it. The module is
fixed in place (`initaudit.torch.fix_`), and all three are trained on scikit-learn's digits with SGD (momentum 0.9) at 0.01 and with Adam at 0.001 and 0.01. Printed
are the steps to an accuracy of 90 % in the running mean over batches (- where 250 are not enough), and at the end the median of healed over healthy and
the share that takes at most BAR times as many, over the runs in which the twin gets there.
"""

from __future__ import annotations

import random
import statistics
import sys
import warnings
from typing import TYPE_CHECKING

import torch
from families import FAMILIES, shape_of
from family_parts import Architecture
from family_starts import Start, initialise
from family_training import train
from label import digits
from label_families import REACHED, count_steps, task_of

import initaudit.torch
from initaudit.errors import FixRefused

if TYPE_CHECKING:
    from family_training import Task
    from torch import nn

BAR = 1.25
RUNS = (("sgd", 1e-2), ("adam", 1e-3), ("adam", 1e-2))
FAULTS = ("zero", "tiny", "huge", "same_rows", "dead_bias")
NETWORKS = [
    Architecture(family=family, variant=variant, activation=activation, depth=depth, width=width)
    for family, variant, activation, depth, width in (
        ("weight_norm", "plain", "relu", 4, 32),  # the plain chain; the norm itself is not put on here
        ("weight_norm", "plain", "tanh", 6, 32),
        ("weight_norm", "plain", "gelu", 10, 48),
        ("cnn", "plain", "relu", 3, 8),
        ("transformer_pre", "pre", "gelu", 2, 16),
    )
]


def network_of(architecture: Architecture, start: Start, seed: int) -> nn.Module:
    torch.manual_seed(seed)
    network = FAMILIES[architecture.family].make(architecture)
    initialise(network, architecture, start)
    return network


def steps_of(network: nn.Module, task: Task) -> list[int | None]:
    """Of each run; None where it does not get there."""
    runs = train(network, task, RUNS)
    count_steps(runs, REACHED)
    return [run["steps"] for run in runs.values()]


def main() -> None:
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    images, classes = digits()
    config = initaudit.Config(context="fresh")
    ratios: list[float] = []
    for number, architecture in enumerate(NETWORKS):
        task, rng, healthy = task_of(architecture, images, classes), random.Random(number), None
        for fault in FAULTS:
            name = f"{architecture.family} {architecture.activation} {architecture.depth} {fault}"
            layer = rng.randrange(30)
            if sys.argv[1:] and not any(word in name for word in sys.argv[1:]):
                continue
            healthy = healthy or steps_of(network_of(architecture, Start(), number), task)
            start = Start(scheme="one_bad_layer", fault=fault, layer=layer)
            network = network_of(architecture, start, number)
            ill = steps_of(network, task)
            try:
                result = initaudit.torch.fix_(network, torch.randn(4, *shape_of(architecture)), config=config)
                done = f"{len(result.changes)} layers, {'held back' if result.held_back else result.now.verdict.status}"
            except FixRefused as error:
                done = str(error)
            healed = steps_of(network, task)
            for well, now in zip(healthy, healed, strict=True):
                if well is not None:
                    ratios.append(float("inf") if now is None else now / well)
            shown = " ".join(
                "/".join("-" if s is None else str(s) for s in (b, h, w))
                for b, h, w in zip(ill, healed, healthy, strict=True)
            )
            print(f"{name:34} ill/healed/healthy: {shown:24} {done}", flush=True)
    within = sum(ratio <= BAR for ratio in ratios)
    print(f"healed over healthy: median {statistics.median(ratios):.2f}; at most {BAR}: {within} of {len(ratios)} runs")


if __name__ == "__main__":
    main()
