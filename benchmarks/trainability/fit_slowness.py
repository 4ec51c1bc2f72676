"""Fit the constants of `initaudit.judgement.pace` to networks that were really trained, and say how well it predicts.

    python benchmarks/trainability/label_families.py OUT     trains
    python benchmarks/trainability/fit_slowness.py OUT       probes, fits, prints

What the probe finds out about `OUT/<id>.onnx` and its recommended start is kept in `OUT/paces.jsonl`. The label of a network is
its number of steps to 90 % over that of its group's reference, for each optimiser; where a network did not get there, its number is
larger than that of the run, and only a smaller prediction is wrong. How well it predicts is cross-validated: no network is judged by
constants that saw its family.
"""

from __future__ import annotations

import argparse
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from lines import rows_in, write_down
from scipy.optimize import minimize
from scipy.stats import spearmanr

from initaudit.auditor import audit
from initaudit.config import Config
from initaudit.judgement import pace
from initaudit.judgement.dynamics import Dynamics, dynamics_of

CONSTANTS = ("MOTION", "ANSWERS", "SIZE")
RUNS = ("sgd_0.01", "adam_0.001")
STEPS = 250
"""Length of a run."""
RIGHT = np.log10(2.0)
"""A prediction within a factor of two is right."""
PRIOR = 1e-3
"""Weight of the squares of the constants' logarithms, against terms without a say."""

Rows = list[dict[str, Any]]


def quantities(path: Path) -> dict[str, Any]:
    """What the factor is made from, of the network and of its recommended start."""
    report = audit(path, Config(context="fresh"))
    slow = report.verdict.slowness
    own = dynamics_of(report.audit.layers) if report.audit else None
    pair: tuple[Dynamics | None, Dynamics | None] = slow.compared or (own, own if slow.factor == 1.0 else None)
    known = [None if dynamics is None else pace.quantities(dynamics) for dynamics in pair]
    return {
        "own": known[0],
        "recommended": known[1],
        "factor": slow.factor,
        "trainability": report.verdict.trainability,
    }


def load(out: Path) -> Rows:
    """One row per network and optimiser whose reference learns, probing what is not in the cache."""
    cache = out / "paces.jsonl"
    known = rows_in(cache)
    labels = list(rows_in(out / "labels.jsonl").values())
    for label in labels:
        if label["id"] not in known:
            known[label["id"]] = {"id": label["id"], **quantities(out / f"{label['id']}.onnx")}
            write_down(cache, known[label["id"]])
    references = {label["group"]: label for label in labels if label["reference"]}
    rows = []
    for label in labels:
        found = known[label["id"]]
        for run in RUNS:
            usual, steps = (one["runs"][run]["steps"] for one in (references[label["group"]], label))
            if usual is None or found["factor"] is None:
                continue
            rows.append(
                {
                    **found,
                    "family": label["family"],
                    "reference": label["reference"],
                    "run": run,
                    "steps": steps,
                    "slower": np.log10((steps or STEPS) / usual),
                }
            )
    return rows


def predicted(constants: np.ndarray, rows: Rows) -> np.ndarray:
    """Decimal logarithm of the factor."""
    sides = [np.log10(1 + np.array([row[side] for row in rows]) @ 10.0**constants) for side in ("own", "recommended")]
    return np.asarray(sides[0] - sides[1])


def errors(found: np.ndarray, rows: Rows) -> np.ndarray:
    """Of the decimal logarithm; nothing where more steps than there were are foretold."""
    off = found - np.array([row["slower"] for row in rows])
    endless = np.array([row["steps"] is None for row in rows])
    return np.where(endless, np.minimum(off, 0.0), off)


def fit(rows: Rows) -> np.ndarray:
    """Decimal logarithms of CONSTANTS."""

    def cost(constants: np.ndarray) -> float:
        off = np.abs(errors(predicted(constants, rows), rows))
        return float(np.minimum(off, 3 * off**2).mean() + PRIOR * np.square(constants / 3).sum())

    start = np.log10([getattr(pace, name) for name in CONSTANTS])
    return np.asarray(minimize(cost, start, method="Nelder-Mead", options={"maxiter": 4000}).x)


def describe(name: str, found: np.ndarray, rows: Rows) -> None:
    """Rank correlation with the steps and with the factor, and the share that is right, without the references."""
    for run in RUNS:
        chosen = np.array([row["run"] == run for row in rows])
        reached = chosen & np.array([row["steps"] is not None for row in rows])
        started = chosen & ~np.array([row["reference"] for row in rows])
        steps = np.array([row["steps"] or 2 * STEPS for row in rows])
        slower = np.array([row["slower"] for row in rows])
        within = []
        for family in sorted({row["family"] for row in rows}):
            here = reached & np.array([row["family"] == family for row in rows])
            if here.sum() >= 4 and np.ptp(found[here]) > 0 and np.ptp(slower[here]) > 0:
                within.append(spearmanr(found[here], slower[here])[0])
        right = np.abs(errors(found, rows)) <= RIGHT
        print(
            f"{name:22} {run:10} {chosen.sum():3} networks, {reached.sum():3} learn: Spearman with steps {spearmanr(found[reached], steps[reached])[0]:.2f}, "
            f"with the factor {spearmanr(found[reached], slower[reached])[0]:.2f}, also where not reached {spearmanr(found[chosen], np.where(reached, slower, 1.0)[chosen])[0]:.2f}, "
            f"within families {np.mean(within) if within else np.nan:.2f}; right {right[reached & started].mean():.2f} of the learning, {right[started].mean():.2f} of all"
        )


def cross_validated(rows: Rows) -> np.ndarray:
    """The prediction for each network from constants fitted without its family."""
    family = np.array([row["family"] for row in rows])
    found = np.zeros(len(rows))
    for name in set(family):
        constants = fit([row for row in rows if row["family"] != name])
        found[family == name] = predicted(constants, [row for row in rows if row["family"] == name])
    return found


def alone(rows: Rows) -> None:
    """What each quantity, and each pair of them, is worth without the others."""
    for count in (1, 2):
        for chosen in combinations(range(len(CONSTANTS)), count):
            some = [
                {
                    **row,
                    **{
                        side: [row[side][i] if i in chosen else 0.0 for i in range(len(CONSTANTS))]
                        for side in ("own", "recommended")
                    },
                }
                for row in rows
            ]
            describe(", ".join(CONSTANTS[i] for i in chosen), cross_validated(some), some)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("-v", action="store_true", help="also each quantity alone, and the worst predictions")
    options = parser.parse_args()
    rows = load(options.out)
    for name, value in zip(CONSTANTS, 10 ** fit(rows), strict=True):
        print(f"{name} = {value:.2g}   (in use: {getattr(pace, name)})")
    found = cross_validated(rows)
    describe("cross-validated", found, rows)
    describe("constants in use", predicted(np.log10([getattr(pace, name) for name in CONSTANTS]), rows), rows)
    if options.v:
        alone(rows)
        for i in np.argsort(-np.abs(errors(found, rows)))[:20]:
            row = rows[i]
            print(
                f"{row['id']} {row['family']} {row['run']}: {10 ** found[i]:.2f} times, really {10 ** row['slower']:.2f} ({row['steps']} steps)"
            )


if __name__ == "__main__":
    main()
