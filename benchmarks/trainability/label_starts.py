"""Train many starts of each of a few networks, to see which of them is faster.

    python benchmarks/trainability/label_starts.py OUT [--count 27] [--start 0]

Eight starts per architecture of `families.py`: the recommended one (the *reference*), that of torch, one of a named scheme, four scales, and one that is drawn
from the schemes that mean something for the network. Each is trained with SGD at 0.01 and with Adam at 0.001. Where the
recommended start learns with neither, the others are left out. `OUT/labels.jsonl` is as by `label_families.py`.
"""

from __future__ import annotations

import argparse
import random
import time
from pathlib import Path

import torch
from families import FAMILIES
from family_draws import draw_architecture, draw_start, has_norm, schemes_for
from family_starts import Start
from family_training import train
from label import digits
from label_families import REACHED, Recipe, build, count_steps, export, task_of
from lines import rows_in, write_down

RUNS = (("sgd", 1e-2), ("adam", 1e-3))
QUICK = (
    "mlp_batch_norm", "cnn", "gated", "resnet_plain", "sine", "cnn_batch_norm", "highway", "skip_init", "gain", "rezero", "cnn_group_norm",
    "fixup", "prelu", "layer_scale", "weight_norm", "mixer",
)  # fmt: skip
"""Families that take turns: classifiers that take seconds, not minutes."""
SEED = 91_000
"""Of the first group: no other script of this directory draws from it."""


def group_of(number: int) -> list[Recipe]:
    """The recipes of a group, the reference first."""
    rng = random.Random(SEED + number)
    family = QUICK[number % len(QUICK)]
    architecture = draw_architecture(rng, family)
    network = FAMILIES[family].make(architecture)
    normed = has_norm(network)
    schemes = {
        name: often
        for name, often in schemes_for(network, architecture).items()
        if name not in ("one_bad_layer", "scaled")
    }
    starts = [
        Start(),
        Start(scheme="torch_default"),
        Start(scheme=rng.choice(["xavier", "he", "keras"])),
        Start(scheme="scaled", scale=rng.choice([0.2, 0.3, 0.4]) ** (2 if normed else 1)),
        Start(scheme="scaled", scale=rng.choice([0.5, 0.6, 0.7])),
        Start(scheme="scaled", scale=rng.choice([1.5, 2, 2.5])),
        Start(scheme="scaled", scale=rng.choice([3, 4]) ** (1.5 if normed else 1)),
        draw_start(rng, schemes, normed=normed),
    ]
    group = f"m{number:04d}"
    return [
        Recipe(id=f"{group}-{k}", group=group, reference=k == 0, architecture=architecture, start=start, exporter="legacy", seed=rng.randrange(2**31))
        for k, start in enumerate(starts)
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--count", type=int, default=27, help="groups of eight")
    parser.add_argument("--start", type=int, default=0, help="first group")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    images, classes = digits()
    file = options.out / "labels.jsonl"
    done = rows_in(file)
    for number in range(options.start, options.start + options.count):
        for recipe in group_of(number):
            if recipe.id not in done:
                begin = time.perf_counter()
                export(recipe, options.out / f"{recipe.id}.onnx")
                runs = train(build(recipe), task_of(recipe.architecture, images, classes), RUNS)
                count_steps(runs, REACHED)
                done[recipe.id] = {**recipe.row(), "whole": 1.0, "runs": runs, "seconds": round(time.perf_counter() - begin, 1)}  # fmt: skip
                write_down(file, done[recipe.id])
            if recipe.reference and all(run["steps"] is None for run in done[recipe.id]["runs"].values()):
                break


if __name__ == "__main__":
    main()
