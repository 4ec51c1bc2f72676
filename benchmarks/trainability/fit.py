"""Fit the constants of `initaudit.judgement.score` and `.optimisers` to networks that were really trained.

    python benchmarks/trainability/label_families.py OUT     trains, for an hour or two
    python benchmarks/trainability/published.py OUT2         exports what is trained every day
    python benchmarks/trainability/fit.py OUT [OUT ...]      probes, fits, prints constants and how well they predict

What the probe finds out about `OUT/<id>.onnx` is kept in `OUT/dynamics.jsonl`; lines of `label.py` are read too. For each optimiser
the likelihood of the score against the best of its rates is maximised, with that of each single rate beside it at RATE_WEIGHT,
which tells why a network failed. Runs that end between learning and not learning are left out. A prior holds the constants near those
in use, which were found on the networks of `label.py` first. How well they predict is cross-validated by family: no network is judged
by constants that saw another one of its family.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np
from label import LEARNS, LEARNS_NOT
from lines import rows_in, write_down
from scipy.optimize import minimize
from sklearn.metrics import roc_auc_score

from initaudit.auditor import audit
from initaudit.config import Config
from initaudit.judgement import score as model
from initaudit.judgement.dynamics import Dynamics, MeasuredLayer, dynamics_of, log10
from initaudit.judgement.optimisers import ADAM, SGD, Optimiser, Tolerance

OPTIMISERS: tuple[Optimiser, ...] = (SGD, ADAM)
SHARED = ("ROUGHNESS_STOOD", "ROUGHNESS_STEEPNESS", "DIMENSION_STEEPNESS", "NARROWNESS_STEEPNESS")
"""Constants of `score` that hold for every optimiser."""
EACH = tuple(field.name for field in fields(Tolerance))
HELD = (*SHARED, *(f"SGD {name}" for name in EACH), "Adam motion_steepness", "Adam kick_steepness")
"""Constants that are not fitted unless all are free. Those of SGD were found on the networks of `label.py`, where they part networks more sharply; fitted
to all families they become soft, and one in five of the networks that learn, published ones among them, would be warned of."""
RATE_WEIGHT = 0.3
"""Weight of the single-rate likelihoods beside that of the best rate."""
LAPSE = 0.01
"""Share of networks that do the opposite of what any model says: keeps one outlier from ruling the fit."""
PRIOR = 0.02
"""Weight of the mean square distance from the constants in use, in units of PRIOR_WIDTH of them."""
PRIOR_WIDTH = 0.3
SMALLEST_WIDTH = 0.5

Rows = dict[str, np.ndarray]


def dynamics_in(out: Path, limit: int | None) -> dict[str, Dynamics | None]:
    """Of each labelled network, probing those that are not in the cache; None where the probe did not measure the gradient."""
    cache = out / "dynamics.jsonl"
    known = {name: row["dynamics"] for name, row in rows_in(cache).items()}
    labels = rows_in(out / "labels.jsonl")
    new = [name for name in labels if name not in known][:limit]
    for name in new:
        report = audit(out / f"{name}.onnx", Config(context="fresh"))
        found = dynamics_of(report.audit.layers) if report.audit else None
        known[name] = asdict(found) if found is not None else None
        write_down(cache, {"id": name, "dynamics": known[name]})
    return {name: None if values is None else _dynamics(values) for name, values in known.items()}


def _dynamics(values: dict[str, Any]) -> Dynamics:
    layers = tuple(MeasuredLayer(**layer) for layer in values["layers"])
    return Dynamics(**{**values, "layers": layers})


def reached(row: dict[str, Any], optimiser: Optimiser, rate: float) -> float:
    """Accuracy (or the share of the best R2) that a run reached; NaN where there was none."""
    if "runs" not in row and "accuracies" not in row:
        return np.nan
    if "accuracies" in row:
        return float(row["accuracies"].get(f"{rate:g}", np.nan)) if optimiser is SGD else np.nan
    run = row["runs"].get(f"{optimiser.name.lower()}_{rate:g}")
    return np.nan if run is None else run["final"] / row["whole"]


def load(outs: Sequence[Path], limit: int | None) -> tuple[list[dict[str, Any]], Rows]:
    """Labelled networks, and what their scores are made from."""
    labels: list[dict[str, Any]] = []
    measured: list[Dynamics] = []
    for out in outs:
        known = dynamics_in(out, limit)
        for name, row in rows_in(out / "labels.jsonl").items():
            found = known.get(name)
            if found is not None:
                labels.append({"family": row.get("family") or row["architecture"], **row})
                measured.append(found)
    rows = {
        "dimension": np.array([log10(d.dimension) if d.dimension else 0.0 for d in measured]),
        "narrowness": np.array([log10(d.narrowness) for d in measured]),
        "roughness": np.array([log10(d.roughness) if d.finite else 0.0 for d in measured]),
        "by_batch": np.array([d.by_batch for d in measured]),
        "bypassed": np.array([d.bypassed for d in measured]),
        "hopeless": np.array([not d.finite or d.tied >= model.TIED for d in measured]),
        "need": np.array([log10(d.answer_scale) + 2 * log10(d.stretch) if d.finite else 0.0 for d in measured]),
    }
    for optimiser in OPTIMISERS:
        for what in ("motion", "change", "kick"):
            rows[f"{optimiser.name} {what}"] = np.array(
                [[getattr(optimiser, what)(d, rate) if d.finite else 0.0 for rate in optimiser.rates] for d in measured]
            )
        final = np.array([[reached(row, optimiser, rate) for rate in optimiser.rates] for row in labels])
        rows[f"{optimiser.name} final"] = final
        complete = ~np.isnan(final).any(axis=1)
        known = np.array([row["best"].get(optimiser.name, -1.0) if isinstance(row.get("best"), dict) else -1.0 for row in labels])  # fmt: skip
        best = np.maximum(known, np.max(np.nan_to_num(final, nan=-1.0), axis=1))
        rows[f"{optimiser.name} best"] = np.where(complete | (best >= LEARNS), best, np.nan)
    return labels, rows


def constants_in_use() -> np.ndarray:
    each = [getattr(optimiser.tolerance, name) for optimiser in OPTIMISERS for name in EACH]
    return np.array([*(getattr(model, name) for name in SHARED), *each])


def scores(constants: np.ndarray, rows: Rows) -> dict[str, np.ndarray]:
    """By optimiser the score for each network and rate [networks, rates], before the best rate is taken."""
    rough, rough_steepness, dimension, narrowness = constants[: len(SHARED)]
    separates = _logistic(dimension * rows["dimension"] - narrowness * rows["narrowness"])
    by_batch = np.where(rows["bypassed"], model.RESIDUAL_ROUGHNESS_STOOD, model.BATCH_NORM_ROUGHNESS_STOOD)
    stood = np.where(rows["by_batch"], by_batch, rough)
    smooth = _logistic(rough_steepness * (stood - rows["roughness"]))
    shared = (separates * smooth * ~rows["hopeless"])[:, None]
    found = {}
    for index, optimiser in enumerate(OPTIMISERS):
        start = len(SHARED) + index * len(EACH)
        needed, motion, change_stood, change, kick_stood, kick = constants[start : start + len(EACH)]
        moves = _logistic(motion * (rows[f"{optimiser.name} motion"] - rows["need"][:, None] - needed))
        stands = _logistic(change * (change_stood - rows[f"{optimiser.name} change"]))
        stands = stands * _logistic(kick * (kick_stood - rows[f"{optimiser.name} kick"]))
        found[optimiser.name] = shared * moves * stands
    return found


def names() -> list[str]:
    """Of all constants, in the order of `constants_in_use`."""
    return [*SHARED, *(f"{optimiser.name} {name}" for optimiser in OPTIMISERS for name in EACH)]


def fit(rows: Rows, *, free: bool) -> np.ndarray:
    """Constants of greatest likelihood, all of them or those that are not held."""
    start = constants_in_use()
    width = np.maximum(SMALLEST_WIDTH, PRIOR_WIDTH * np.abs(start))
    fitted = np.array([free or name not in HELD for name in names()])

    def complete(chosen: np.ndarray) -> np.ndarray:
        constants = start.copy()
        constants[fitted] = chosen
        return constants

    def cost(chosen: np.ndarray) -> float:
        constants = complete(chosen)
        total = PRIOR * float(np.mean(np.square((constants - start) / width)))
        for name, by_rate in scores(constants, rows).items():
            total -= likelihood(by_rate.max(axis=1), rows[f"{name} best"])
            total -= RATE_WEIGHT * likelihood(by_rate, rows[f"{name} final"])
        return total

    return complete(minimize(cost, start[fitted], method="L-BFGS-B").x)


def likelihood(score: np.ndarray, reached: np.ndarray) -> float:
    """Mean logarithm, over the decided ones."""
    score = LAPSE + (1 - 2 * LAPSE) * score
    learns, decided = reached >= LEARNS, (reached >= LEARNS) | (reached <= LEARNS_NOT)
    return float(np.where(learns, np.log(score), np.log(1 - score))[decided].mean()) if decided.any() else 0.0


def part(rows: Rows, chosen: np.ndarray) -> Rows:
    return {name: values[chosen] for name, values in rows.items()}


def cross_validated(labels: list[dict[str, Any]], rows: Rows, *, free: bool) -> dict[str, np.ndarray]:
    """Best score of each network by optimiser, from constants fitted without its family."""
    family = np.array([row["family"] for row in labels])
    predicted = {optimiser.name: np.zeros(len(labels)) for optimiser in OPTIMISERS}
    for name in np.unique(family):
        constants = fit(part(rows, family != name), free=free)
        for optimiser, by_rate in scores(constants, part(rows, family == name)).items():
            predicted[optimiser][family == name] = by_rate.max(axis=1)
    return predicted


def describe(name: str, reached: np.ndarray, predicted: np.ndarray) -> None:
    learns, fails = reached >= LEARNS, reached <= LEARNS_NOT
    if not learns.any() or not fails.any():
        kept = f"not failed {np.mean(predicted[learns] >= model.TRAINABLE):.2f}" if learns.any() else ""
        print(f"| {name} | {learns.sum()} | {fails.sum()} | | {kept} |")
        return
    decided = learns | fails
    kept, caught = np.mean(predicted[learns] >= model.TRAINABLE), np.mean(predicted[fails] < model.TRAINABLE)
    area = roc_auc_score(learns[decided], predicted[decided])
    print(f"| {name} | {learns.sum()} | {fails.sum()} | {area:.3f} | {(kept + caught) / 2:.3f} |")


def _logistic(x: np.ndarray) -> np.ndarray:
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(x, -700.0, 700.0))))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("out", type=Path, nargs="+")
    parser.add_argument("--limit", type=int, help="probe at most so many networks that were not probed yet")
    parser.add_argument("--free", action="store_true", help="fit all constants, also those that are held")
    parser.add_argument("-v", action="store_true", help="name the networks that are judged wrongly")
    options = parser.parse_args()
    labels, rows = load(options.out, options.limit)
    for name, value, used in zip(names(), fit(rows, free=options.free), constants_in_use(), strict=True):
        print(f"{name} = {value:.2f}   (in use: {used})")
    predicted = cross_validated(labels, rows, free=options.free)
    used = {name: by_rate.max(axis=1) for name, by_rate in scores(constants_in_use(), rows).items()}
    family = np.array([row["family"] for row in labels])
    for optimiser in OPTIMISERS:
        best = rows[f"{optimiser.name} best"]
        print(f"\n| {optimiser.name} | learn | do not | AUROC | balanced accuracy |\n| --- | --- | --- | --- | --- |")
        describe("all, constants in use", best, used[optimiser.name])
        describe("all, family left out", best, predicted[optimiser.name])
        for name in np.unique(family):
            describe(str(name), best[family == name], predicted[optimiser.name][family == name])
    either = np.fmax(rows["SGD best"], rows["Adam best"])
    both = np.maximum(predicted["SGD"], model.TRAINABLE / model.ADAM_SURE * predicted["Adam"])
    print("\n| either | learn | do not | AUROC | balanced accuracy |\n| --- | --- | --- | --- | --- |")
    describe("all, family left out", either, both)
    if options.v:
        wrong = [i for i in range(len(labels)) if (both[i] >= model.TRAINABLE) != (either[i] >= LEARNS) and not LEARNS_NOT < either[i] < LEARNS]  # fmt: skip
        for i in sorted(wrong, key=lambda i: both[i]):
            row = {k: v for k, v in labels[i].items() if k not in ("runs", "curve")}
            print(
                f"SGD {predicted['SGD'][i]:.2f}/{rows['SGD best'][i]:.2f} Adam {predicted['Adam'][i]:.2f}/{rows['Adam best'][i]:.2f} {row}"
            )


if __name__ == "__main__":
    main()
