"""Train the networks and write down which of them learn: the labels that the trainability model is fitted on.

    python benchmarks/trainability/label.py OUT [--count 600] [--start 0] [--activation softplus]

A label is the best accuracy on the training set over three learning rates, each 250 steps of SGD with momentum 0.9 on batches of
128 of scikit-learn's digits, standardised per pixel. `OUT/labels.jsonl` gets one line per network, `OUT/<id>.onnx` the untrained
network. Interrupted, it goes on where it stopped; the same start gives the same networks. Every other group of four networks is a
*walk*: a bisection of one scale, or of the depth, towards the edge between networks that learn and networks that do not,
because that is where a model of trainability has something to learn.
"""

from __future__ import annotations

import argparse
import copy
import math
import random
import time
import warnings
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from lines import rows_in, write_down
from networks import ACTIVATIONS, INPUTS, Recipe, build, draw
from sklearn.datasets import load_digits
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Iterator

LEARNING_RATES = (1e-2, 1e-1, 1e-3)
STEPS, BATCH, MOMENTUM = 250, 128, 0.9
LEARNS, LEARNS_NOT = 0.9, 0.5
"""Best accuracy from which a network counts as trainable, and up to which as not trainable; between them it is undecided."""
WALK = 4
"""Networks per walk towards the edge."""


def digits() -> tuple[Tensor, Tensor]:
    """Images [1797, 64] float32, standardised per pixel (pixels that never change stay 0), and their classes [1797] int64."""
    images, classes = load_digits(return_X_y=True)
    spread = images.std(0)
    standardised = (images - images.mean(0)) / (spread + 1e-2)
    return torch.tensor(standardised, dtype=torch.float32), torch.tensor(classes)


def accuracy_after_training(network: nn.Module, images: Tensor, classes: Tensor, learning_rate: float) -> float:
    """Accuracy on the training set, 0..1, after training a copy of `network`; 0 where the loss left the finite numbers."""
    network = copy.deepcopy(network).train()
    batches = torch.Generator().manual_seed(1)
    optimizer = torch.optim.SGD(network.parameters(), lr=learning_rate, momentum=MOMENTUM)
    for _ in range(STEPS):
        rows = torch.randint(len(images), (BATCH,), generator=batches)
        loss = nn.functional.cross_entropy(network(images[rows]), classes[rows])
        if not torch.isfinite(loss):
            return 0.0
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    with torch.no_grad():
        return float((network(images).argmax(1) == classes).float().mean())


def label(recipe: Recipe, images: Tensor, classes: Tensor) -> dict[str, object]:
    """The recipe, the accuracy at each learning rate and the best one. Slow networks stop at the first rate that succeeds."""
    network = build(recipe)
    slow = any(isinstance(layer, nn.Conv2d) for layer in network.modules())
    start = time.perf_counter()
    accuracies: dict[str, float] = {}
    for rate in LEARNING_RATES:
        accuracies[f"{rate:g}"] = round(accuracy_after_training(network, images, classes, rate), 4)
        if slow and accuracies[f"{rate:g}"] >= LEARNS:
            break
    seconds = round(time.perf_counter() - start, 1)
    return {**asdict(recipe), "accuracies": accuracies, "best": max(accuracies.values()), "seconds": seconds}


def export(recipe: Recipe, path: Path) -> None:
    """Write the untrained network as ONNX, batch size free, normalisations kept as they are."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            build(recipe).eval(),
            (torch.randn(2, INPUTS),),
            str(path),
            dynamo=False,
            opset_version=17,
            training=torch.onnx.TrainingMode.PRESERVE,
            do_constant_folding=False,
            input_names=["x"],
            output_names=["logits"],
            dynamic_axes={"x": {0: "N"}, "logits": {0: "N"}},
        )


def walk_to_the_edge(rng: random.Random, name: str) -> Iterator[Recipe]:
    """Recipes that bisect a scale (or the depth) between one that should learn and one that should not.

    A generator that is sent, after each recipe, whether that network learnt.
    """
    recipe = draw(rng, name)
    kind = rng.choice(["shrink", "shrink", "grow", "depth"])
    good, bad = {"shrink": (1.0, 0.05), "grow": (1.0, 12.0), "depth": (2.0, 64.0)}[kind]
    if kind == "depth":
        schemes = ["torch_default", "xavier", "he", "scaled", "orthogonal"]
        recipe = replace(recipe, scheme=rng.choice(schemes), scale=1.0, fault="")
        recipe = replace(recipe, scale=rng.choice([0.7, 0.85, 1.0, 1.2]) if recipe.scheme in schemes[3:] else 1.0)
        if "cnn" in recipe.architecture or recipe.architecture == "resnet":
            bad = 20.0
    else:
        recipe = replace(recipe, scheme=rng.choice(["scaled", "scaled", "orthogonal"]), fault="")
    for step in range(WALK):
        middle = math.exp(math.log(good) + (math.log(bad) - math.log(good)) * rng.uniform(0.35, 0.65))
        changed = {"depth": max(2, round(middle))} if kind == "depth" else {"scale": middle}
        learns = yield replace(recipe, id=f"{name}-{step}", seed=rng.randrange(2**31), **changed)  # type: ignore[arg-type]
        good, bad = (middle, bad) if learns else (good, middle)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--count", type=int, default=600, help="number of networks")
    parser.add_argument("--start", type=int, default=0, help="first group: another start gives other networks")
    parser.add_argument("--activation", choices=ACTIVATIONS, help="draw only networks with this activation")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    images, classes = digits()
    file = options.out / "labels.jsonl"
    done = rows_in(file)

    def learns(recipe: Recipe) -> bool:
        if options.activation:
            recipe = replace(recipe, activation=options.activation, id=f"{options.activation}-{recipe.id}")
        if recipe.id not in done:
            export(recipe, options.out / f"{recipe.id}.onnx")
            done[recipe.id] = label(recipe, images, classes)
            write_down(file, done[recipe.id])
        return bool(done[recipe.id]["best"] >= LEARNS)

    for group in range(options.start, options.start + math.ceil(options.count / WALK)):
        rng = random.Random(group)
        if group % 2:
            walk = walk_to_the_edge(rng, f"w{group:04d}")
            answer = None
            while True:
                try:
                    answer = learns(walk.send(answer))  # type: ignore[attr-defined]
                except StopIteration:
                    break
        else:
            for number in range(WALK):
                learns(draw(rng, f"r{group:04d}-{number}"))


if __name__ == "__main__":
    main()
