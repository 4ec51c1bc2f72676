"""Fit the constants of `initaudit.judgement.trainability` to networks that were really trained.

    python benchmarks/trainability/label.py OUT      trains, for an hour or two
    python benchmarks/trainability/fit.py OUT        probes, fits, prints constants and how well they predict

What the probe finds out about `OUT/<id>.onnx` is kept in `OUT/dynamics.jsonl`. Networks between learning and not learning
are left out. The likelihood of the score against the best of the three rates is maximised, with that of each single rate
beside it at RATE_WEIGHT, which tells the optimiser why a network failed. How well it predicts is cross-validated over
groups, so that no network is judged by constants that saw another one from the same walk to the edge.
"""

from __future__ import annotations

import argparse
import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from label import LEARNS, LEARNS_NOT
from scipy.optimize import minimize
from sklearn.metrics import roc_auc_score

from initaudit.auditor import audit
from initaudit.config import Config
from initaudit.judgement import trainability as model
from initaudit.judgement.dynamics import LARGEST_LOG, dynamics_of, log10

CONSTANTS = (
    "MOTION_NEEDED",
    "MOTION_STEEPNESS",
    "STEP_STOOD",
    "STEP_STEEPNESS",
    "ROUGHNESS_STOOD",
    "ROUGHNESS_STEEPNESS",
    "DIMENSION_STEEPNESS",
    "NARROWNESS_STEEPNESS",
)
RATE_WEIGHT = 0.3
"""Weight of the three single-rate likelihoods beside that of the best rate."""
LAPSE = 0.01
"""Share of networks that do the opposite of what any model says: keeps one outlier from ruling the fit."""
PRIOR = 5e-4
"""Weight of the squares of the constants, against steepness without end."""
FOLDS = 8

Rows = dict[str, np.ndarray]


def quantities(path: Path) -> dict[str, Any] | None:
    """What the score is made from, decimal logarithms; None where the probe did not measure the gradient."""
    report = audit(path, Config(context="fresh"))
    found = dynamics_of(report.audit.layers) if report.audit else None
    if found is None:
        return None
    return {
        "motion": log10(found.contrast_kernel) - log10(found.answer_scale) - 2 * log10(found.stretch)
        if found.finite
        else 0.0,
        "kernel": log10(found.kernel) if found.finite else 0.0,
        "step": log10(found.relative_step) if found.finite else 0.0,
        "dimension": log10(found.dimension) if found.dimension else 0.0,
        "narrowness": log10(found.narrowness),
        "roughness": log10(found.roughness) if found.finite else 0.0,
        "hopeless": not found.finite or found.tied >= model.TIED,
        "score": model.score_of(found),
    }


def load(out: Path, limit: int | None) -> tuple[list[dict[str, Any]], Rows]:
    """Labelled networks with their quantities, probing those that are not in the cache."""
    cache = out / "dynamics.jsonl"
    known = {row["id"]: row for row in map(json.loads, cache.read_text().splitlines())} if cache.exists() else {}
    labels = [json.loads(line) for line in (out / "labels.jsonl").read_text().splitlines()]
    labels = [row for row in labels if not LEARNS_NOT < row["best"] < LEARNS]
    new = [row for row in labels if row["id"] not in known][:limit]
    for row in new:
        found = quantities(out / f"{row['id']}.onnx")
        known[row["id"]] = {"id": row["id"], **(found or {"score": None})}
        with cache.open("a") as lines:
            lines.write(json.dumps(known[row["id"]]) + "\n")
    labels = [row for row in labels if known.get(row["id"], {"score": None})["score"] is not None]
    found_rows = [known[row["id"]] for row in labels]
    rates = [f"{rate:g}" for rate in model.LEARNING_RATES]
    accuracy = np.array([[row["accuracies"].get(rate, np.nan) for rate in rates] for row in labels])
    return labels, {
        "motion": np.array([row["motion"] for row in found_rows]),
        "kernel": np.array([row["kernel"] for row in found_rows]),
        "step": np.array([row["step"] for row in found_rows]),
        "dimension": np.array([row["dimension"] for row in found_rows]),
        "narrowness": np.array([row["narrowness"] for row in found_rows]),
        "roughness": np.array([row["roughness"] for row in found_rows]),
        "hopeless": np.array([row["hopeless"] for row in found_rows]),
        "learns": np.array([row["best"] >= LEARNS for row in labels]),
        "rate_learns": accuracy >= LEARNS,
        "rate_decided": (accuracy >= LEARNS) | (accuracy <= LEARNS_NOT),
    }


def scores(constants: np.ndarray, rows: Rows) -> np.ndarray:
    """`score_of` for each network and rate [networks, rates], before the best rate is taken."""
    needed, motion_steepness, stood, step_steepness, rough, rough_steepness, dimension, narrowness = constants
    rates = np.log10(model.LEARNING_RATES)[None]
    slowness = np.log10(10.0**-rates + 10.0 ** np.minimum(rows["kernel"], LARGEST_LOG)[:, None])
    moves = _logistic(motion_steepness * (rows["motion"][:, None] - slowness - needed))
    stands = _logistic(step_steepness * (stood - rates - rows["step"][:, None]))
    separates = _logistic(dimension * rows["dimension"] - narrowness * rows["narrowness"])
    smooth = _logistic(rough_steepness * (rough - rows["roughness"]))
    return np.asarray(moves * stands * (separates * smooth * ~rows["hopeless"])[:, None])


def fit(rows: Rows) -> np.ndarray:
    """Constants of greatest likelihood, in the order of CONSTANTS."""

    def cost(constants: np.ndarray) -> float:
        by_rate = LAPSE + (1 - 2 * LAPSE) * scores(constants, rows)
        best = by_rate.max(axis=1)
        likelihood = np.where(rows["learns"], np.log(best), np.log(1 - best)).mean()
        single = np.where(rows["rate_learns"], np.log(by_rate), np.log(1 - by_rate))
        likelihood += RATE_WEIGHT * np.where(rows["rate_decided"], single, 0.0).sum(axis=1).mean() / single.shape[1]
        return float(-likelihood + PRIOR * np.square(constants).sum())

    start = np.array([getattr(model, name) for name in CONSTANTS])
    return np.asarray(minimize(cost, start, method="L-BFGS-B").x)


def part(rows: Rows, chosen: np.ndarray) -> Rows:
    return {name: values[chosen] for name, values in rows.items()}


def cross_validated(labels: list[dict[str, Any]], rows: Rows) -> np.ndarray:
    """Score of each network from constants fitted without its group."""
    group = np.array([zlib.crc32(row["id"].split("-")[0].encode()) % FOLDS for row in labels])
    predicted = np.zeros(len(labels))
    for fold in range(FOLDS):
        constants = fit(part(rows, group != fold))
        predicted[group == fold] = scores(constants, part(rows, group == fold)).max(axis=1)
    return predicted


def describe(name: str, learns: np.ndarray, predicted: np.ndarray) -> None:
    right = predicted >= model.TRAINABLE
    balanced = (right[learns].mean() + (~right[~learns]).mean()) / 2
    print(
        f"{name:24} {len(learns):4} networks, {learns.sum():3} learn: AUROC {roc_auc_score(learns, predicted):.4f}, balanced accuracy {balanced:.4f}"
    )


def _logistic(x: np.ndarray) -> np.ndarray:
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(x, -700.0, 700.0))))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--limit", type=int, help="probe at most so many networks that were not probed yet")
    parser.add_argument("-v", action="store_true", help="name the networks that are judged wrongly")
    options = parser.parse_args()
    labels, rows = load(options.out, options.limit)
    for name, value in zip(CONSTANTS, fit(rows), strict=True):
        print(f"{name} = {value:.2f}   (in use: {getattr(model, name)})")
    predicted, learns = cross_validated(labels, rows), rows["learns"]
    drawn = np.array([row["id"].startswith("r") for row in labels])
    describe("all", learns, predicted)
    describe("drawn from the range", learns[drawn], predicted[drawn])
    describe("walked to the edge", learns[~drawn], predicted[~drawn])
    used = scores(np.array([getattr(model, name) for name in CONSTANTS]), rows).max(axis=1)
    describe("constants in use", learns, used)
    if options.v:
        for i in np.argsort(-np.abs(predicted - learns)):
            if (predicted[i] >= model.TRAINABLE) != learns[i]:
                row = labels[i]
                numbers = " ".join(
                    f"{name} {rows[name][i]:.1f}"
                    for name in ("motion", "kernel", "step", "roughness", "dimension", "narrowness")
                )
                print(
                    f"{predicted[i]:.3f} best {row['best']:.3f} {row['id']:8} {row['architecture']} {row['activation']} depth {row['depth']} "
                    f"width {row['width']} {row['scheme']} {row['scale']:.2f} {row['fault']} {numbers}"
                )


if __name__ == "__main__":
    main()
