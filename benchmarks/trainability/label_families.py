"""Train networks of many families with two optimisers, and write down what each reaches and how fast.

    python benchmarks/trainability/label_families.py OUT [--count 450] [--start 0]

Data: scikit-learn's digits, standardised per pixel. Every network is trained with SGD (momentum 0.9) at 1e-3, 1e-2, 1e-1 and with
Adam at 1e-3, 1e-2, 250 steps each. A group of five shares its architecture: the *reference*, which starts as is recommended for
it, so that steps / steps of the reference says how much slower a start is; two other starts; two that bisect a scale towards
the edge between learning and not learning. Families take turns, so that a part of the corpus is balanced too.

`OUT/labels.jsonl` gets one line per network, `OUT/<id>.onnx` the untrained network. Interrupted, it goes on where it stopped; the
same number of a group gives the same networks. A line holds the recipe and, per run (`sgd_0.01`), `final` (accuracy on the
training set, or R2, 0 where it diverged), `steps` (to 90 % of accuracy in the running mean over batches, or to 90 % of the best R2
that the reference reached; null where not reached), `end` (why it stopped) and `curve` (running mean every 10 steps).
`best_sgd` and `best_adam` are the best `final`, R2 as a share of the best that the reference reached.
"""

from __future__ import annotations

import argparse
import random
import time
import warnings
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from families import FAMILIES, shape_of
from family_draws import NORMED_REACH, WALKS, draw_architecture, draw_start, has_norm, schemes_for
from family_starts import Start, initialise
from family_training import Task, train
from label import LEARNS, digits
from lines import rows_in, write_down
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

if TYPE_CHECKING:
    from family_parts import Architecture

RUNS = (("sgd", 1e-2), ("sgd", 1e-1), ("sgd", 1e-3), ("adam", 1e-3), ("adam", 1e-2))
REACHED = 0.9
"""Accuracy, or share of the reference's R2, to which the steps are counted."""
NOISE = 1.0
"""Standard deviation of what a denoiser is to remove, in standard deviations of a pixel."""
VARIED, WALK = 2, 2
"""Networks per group that start in some other way, and on the way to the edge."""
EXPORTERS = {"legacy": 12, "folded": 3, "dynamo": 1, "training": 3}
"""How often each way of exporting is drawn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """All that is needed to build and export a network again."""

    id: str
    group: str
    reference: bool
    architecture: Architecture
    start: Start
    exporter: str
    """legacy, folded (evaluation mode, constants folded), dynamo, or training (BatchNorm in training mode)."""
    seed: int

    def row(self) -> dict[str, Any]:
        """Flat, for JSON."""
        own = {"id": self.id, "group": self.group, "reference": self.reference}
        task = FAMILIES[self.architecture.family].task
        parts = {**asdict(self.architecture), "task": task, **asdict(self.start)}
        return {**own, **parts, "exporter": self.exporter, "seed": self.seed}


def build(recipe: Recipe) -> nn.Module:
    """The network of a recipe, float32. Sets torch's global seed."""
    torch.manual_seed(recipe.seed)
    network = FAMILIES[recipe.architecture.family].make(recipe.architecture)
    initialise(network, recipe.architecture, recipe.start)
    if recipe.architecture.family == "weight_norm":
        for layer in [module for module in network.modules() if isinstance(module, nn.Linear)]:
            weight_norm(layer)
    return network


def has_batch_norm(network: nn.Module) -> bool:
    return any(isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d) for module in network.modules())


def task_of(architecture: Architecture, images: Tensor, classes: Tensor) -> Task:
    family = FAMILIES[architecture.family]
    inputs = images.reshape(-1, *shape_of(architecture))
    targets: Tensor = {
        "classify": classes,
        "reconstruct": images,
        "denoise": inputs,
        "regress": ((classes - classes.float().mean()) / classes.float().std())[:, None],
    }[family.task]
    if family.task == "denoise":
        inputs = inputs + NOISE * torch.randn(inputs.shape, generator=torch.Generator().manual_seed(2))
    return Task(inputs, targets, family.batch)


def label(recipe: Recipe, task: Task, reference: dict[str, Any] | None) -> dict[str, Any]:
    """The row of a network; `reference` is the row of its group's reference, None for the reference itself."""
    begin = time.perf_counter()
    network = build(recipe)
    runs = train(network, task, RUNS)
    finals = {name: run["final"] for name, run in runs.items()}
    whole = 1.0
    if not task.classifies:
        whole = reference["whole"] if reference else max(0.05, *finals.values())
    count_steps(runs, REACHED * whole)
    best = {
        f"best_{kind}": round(min(1.0, max(v for k, v in finals.items() if k.startswith(kind)) / whole), 4)
        for kind in ("sgd", "adam")
    }
    return {**recipe.row(), **best, "whole": whole, "runs": runs, "seconds": round(time.perf_counter() - begin, 1)}


def count_steps(runs: dict[str, dict[str, Any]], level: float) -> None:
    """Write into each run its `steps` to a level of the running mean, None where it is not reached; of the `curve` every tenth step stays."""
    for run in runs.values():
        curve = run["curve"]
        run["steps"] = next((step for step, mean in enumerate(curve, 1) if mean >= level), None)
        run["curve"] = [round(mean, 3) for mean in curve[9::10]]


def export(recipe: Recipe, path: Path) -> None:
    """Write the untrained network as ONNX, batch size free."""
    network = build(recipe).eval()
    example = (torch.randn(2, *shape_of(recipe.architecture)),)
    names: dict[str, Any] = {"input_names": ["x"], "output_names": ["y"]}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if recipe.exporter == "dynamo":
            batch = ({0: torch.export.Dim("N", min=1, max=4096)},)
            torch.onnx.export(
                network, example, str(path), dynamo=True, dynamic_shapes=batch, external_data=False, verbose=False,
                **names,
            )  # fmt: skip
            return
        mode = {"folded": torch.onnx.TrainingMode.EVAL, "training": torch.onnx.TrainingMode.TRAINING}
        torch.onnx.export(
            network,
            example,
            str(path),
            dynamo=False,
            opset_version=17,
            training=mode.get(recipe.exporter, torch.onnx.TrainingMode.PRESERVE),
            do_constant_folding=recipe.exporter == "folded",
            dynamic_axes={"x": {0: "N"}, "y": {0: "N"}},
            **names,
        )


def group_of(number: int) -> Iterator[Recipe]:
    """The recipes of a group. A generator that is sent, after each, the row of that network."""
    family = list(FAMILIES)[number % len(FAMILIES)]
    turn = number // len(FAMILIES)
    rng = random.Random(number)
    architecture = draw_architecture(rng, family)
    network = FAMILIES[family].make(architecture)
    schemes = schemes_for(network, architecture)
    normed = has_norm(network)
    name = f"g{number:04d}"
    exporters = {**EXPORTERS, "training": EXPORTERS["training"] if has_batch_norm(network) else 0}
    if family in ("lstm", "gru", "rnn"):
        exporters["dynamo"] = 0  # it unrolls what torch would export as one node

    def recipe(place: int, start: Start) -> Recipe:
        return Recipe(
            id=f"{name}-{place}", group=name, reference=place == 0, architecture=architecture, start=start,
            exporter=rng.choices(list(exporters), list(exporters.values()))[0], seed=rng.randrange(2**31),
        )  # fmt: skip

    yield recipe(0, Start())
    for place in range(1, 1 + VARIED):
        yield recipe(place, draw_start(rng, schemes, normed=normed))
    usual = [scheme for scheme in WALKS if schemes.get(scheme)]
    scheme = rng.choice([*usual, "scaled", "scaled"])
    good, bad = 1.0, rng.choice(WALKS[scheme])
    if normed and scheme == "scaled":
        bad **= NORMED_REACH
    for place in range(1 + VARIED, 1 + VARIED + WALK):
        middle = good * (bad / good) ** rng.uniform(0.35, 0.65)
        row = yield recipe(place, Start(scheme=scheme, scale=middle))
        # By turns it is the edge for SGD and for Adam that is sought.
        learns = row["best_adam" if turn % 2 else "best_sgd"] >= LEARNS
        good, bad = (middle, bad) if learns else (good, middle)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--count", type=int, default=450, help="number of networks")
    parser.add_argument("--start", type=int, default=0, help="first group: another start gives other networks")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    images, classes = digits()
    file = options.out / "labels.jsonl"
    done = rows_in(file)
    per_group = 1 + VARIED + WALK
    for number in range(options.start, options.start + -(-options.count // per_group)):
        group = group_of(number)
        recipe, reference = next(group, None), None
        while recipe:
            if recipe.id not in done:
                export(recipe, options.out / f"{recipe.id}.onnx")
                done[recipe.id] = label(recipe, task_of(recipe.architecture, images, classes), reference)
                write_down(file, done[recipe.id])
            row = done[recipe.id]
            reference = reference or row
            try:
                recipe = group.send(row)  # type: ignore[attr-defined]
            except StopIteration:
                break


if __name__ == "__main__":
    main()
