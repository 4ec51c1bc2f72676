"""Fit the constants of `initaudit.judgement.pace` to networks that were really trained, and say how well it predicts.

    python benchmarks/trainability/label_families.py OUT     trains
    python benchmarks/trainability/label_starts.py OUT2      trains more starts of the same networks
    python benchmarks/trainability/fit_slowness.py OUT OUT2  probes, fits, prints

What the probe finds out about `OUT/<id>.onnx` is kept in `OUT/dynamics.jsonl`, as by `fit.py`. The label of a network is its number of steps to
90 % over that of its group's reference, for each optimiser; where a network did not get there, its number is larger than that of
the run, and only a smaller prediction is wrong. How well it predicts is cross-validated: no network is judged by constants that saw its family.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from fit import dynamics_in
from lines import rows_in
from scipy.optimize import minimize
from scipy.stats import spearmanr

from initaudit.judgement import pace
from initaudit.judgement.optimisers import ADAM, SGD, Optimiser
from initaudit.judgement.score import TRAINABLE, learns, score_of

CONSTANTS = ("GROWTH", "CHAOS", "ANSWERS", "SIZE")
RUNS: dict[str, Optimiser] = {"sgd_0.01": SGD, "adam_0.001": ADAM}
STEPS = 250
"""Length of a run."""
RIGHT = np.log10(2.0)
"""A prediction within a factor of two is right."""
LAPSE = 0.4
"""Error, in decades, from which the cost grows in proportion instead of as its square: outliers do not rule the fit."""
STEPS_WEIGHT = 0.3
"""Weight of the error of the number of steps beside that of the factor: it tells the quantities apart that hardly differ between starts."""
PRIOR = 2e-3
"""Weight of the squares of the constants' logarithms, in units of what they weigh, against terms without a say."""
BINS = (0.0, 0.5, 0.7, 0.9, 1.1, 1.5, 2.0, 3.0, 5.0, np.inf)
"""Of the predicted factor, to compare with what it really was."""


@dataclass(frozen=True, slots=True)
class Rows:
    """One row per network and optimiser."""

    name: np.ndarray
    family: np.ndarray
    group: np.ndarray
    run: np.ndarray
    steps: np.ndarray
    """Decimal logarithm; that of the whole run where 90 % was not reached."""
    reached: np.ndarray
    usual: np.ndarray
    """Of the reference."""
    compared: np.ndarray
    """Whether the reference got there, and is another network."""
    own: np.ndarray
    """Quantities [rows, constants]."""
    recommended: np.ndarray

    @property
    def slower(self) -> np.ndarray:
        """Decimal logarithm of the factor."""
        return np.asarray(self.steps - self.usual)

    def where(self, chosen: np.ndarray) -> Rows:
        """The chosen ones."""
        return Rows(*(getattr(self, name)[chosen] for name in self.__slots__))


def load(outs: Sequence[Path]) -> Rows:
    """Networks that are expected to learn, and with an optimiser that does it or is expected to."""
    rows = []
    for out in outs:
        known = dynamics_in(out, None)
        labels = list(rows_in(out / "labels.jsonl").values())
        references = {label["group"]: label for label in labels if label["reference"]}
        for label in labels:
            reference = references[label["group"]]
            own, recommended = known.get(label["id"]), known.get(reference["id"])
            if (
                own is None
                or recommended is None
                or not (own.finite and recommended.finite)
                or score_of(own) < TRAINABLE
            ):
                continue
            for run, optimiser in RUNS.items():
                steps, usual = (one["runs"][run]["steps"] for one in (label, reference))
                if steps or learns(own, optimiser) > TRAINABLE:
                    logs = (
                        np.log10(steps or STEPS),
                        bool(steps),
                        np.log10(usual or STEPS),
                        bool(usual) and not label["reference"],
                    )
                    rows.append((label["id"], label["family"], label["group"], run, *logs, pace.quantities(own), pace.quantities(recommended)))  # fmt: skip
    return Rows(*map(np.array, zip(*rows, strict=True)))


def offsets(rows: Rows) -> np.ndarray:
    """Of each row's optimiser, the mean decimal logarithm of the steps: one optimiser is faster than the other, whatever the start."""
    means = {run: rows.steps[rows.reached & (rows.run == run)].mean() for run in RUNS}
    return np.array([means[run] for run in rows.run])


def late(error: np.ndarray, rows: Rows) -> np.ndarray:
    """The error; none where more steps than there were are foretold."""
    return np.where(rows.reached, error, np.minimum(error, 0.0))


def fit(rows: Rows) -> np.ndarray:
    """CONSTANTS."""
    units = np.median(rows.own, axis=0)
    steps = rows.steps - offsets(rows)

    def cost(parameters: np.ndarray) -> float:
        own, recommended = (decades(10.0 ** parameters[1:] / units, side) for side in (rows.own, rows.recommended))
        factor = late(own - recommended - rows.slower, rows)[rows.compared]
        both = _robust(factor).mean() + STEPS_WEIGHT * _robust(late(parameters[0] + own - steps, rows)).mean()
        return float(both + PRIOR * np.square(parameters[1:]).sum())

    start = np.array([-0.7, *[-0.5] * rows.own.shape[1]])
    found = minimize(cost, start, method="L-BFGS-B", bounds=[(-3.0, 1.0), *[(-4.0, 3.0)] * (len(start) - 1)])
    return np.asarray(10.0 ** found.x[1:] / units)


def _robust(error: np.ndarray) -> np.ndarray:
    return np.where(np.abs(error) < LAPSE, error**2, LAPSE * (2 * np.abs(error) - LAPSE))


def decades(constants: np.ndarray, side: np.ndarray) -> np.ndarray:
    """Decimal logarithm of what `pace.steps_of` gives."""
    return np.asarray(np.log10(1 + side @ constants))


def cross_validated(rows: Rows, used: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Decimal logarithms of `steps_of` for each network and its reference, by constants fitted without its family."""
    some = replace(rows, own=rows.own[:, used], recommended=rows.recommended[:, used])
    own, recommended = np.zeros(len(rows.name)), np.zeros(len(rows.name))
    for family in np.unique(rows.family):
        left_out = rows.family == family
        constants = fit(some.where(~left_out))
        own[left_out] = decades(constants, some.own[left_out])
        recommended[left_out] = decades(constants, some.recommended[left_out])
    return own, recommended


def within(parts: np.ndarray, found: np.ndarray, true: np.ndarray, least: int) -> float:
    """Mean rank correlation in each part of at least `least` rows that differ."""
    each = [spearmanr(found[parts == part], true[parts == part])[0] for part in np.unique(parts) if (parts == part).sum() >= least and np.ptp(true[parts == part]) > 0.15 and np.ptp(found[parts == part]) > 0]  # fmt: skip
    return float(np.mean(each)) if each else np.nan


def describe(name: str, own: np.ndarray, recommended: np.ndarray, rows: Rows) -> None:
    """Rank correlations, and the share that is right."""
    for run in RUNS:
        chosen = rows.run == run
        here = rows.where(chosen)
        steps, factor = own[chosen], (own - recommended)[chosen]
        right = np.abs(late(factor - here.slower, here)) <= RIGHT
        last = np.where(here.reached, 0.0, 0.2)
        both, all_of = here.compared & here.reached, here.compared
        print(
            f"{name:20} {run:10} {all_of.sum():3} compared, {both.sum():3} of them learn: Spearman with the factor {spearmanr(factor[both], here.slower[both])[0]:.2f}, "
            f"not reached as slowest {spearmanr(factor[all_of], (here.slower + last)[all_of])[0]:.2f}, within families {within(here.family[all_of], factor[all_of], (here.slower + last)[all_of], 6):.2f}, "
            f"between starts of a network {within(here.group, steps, here.steps + last, 5):.2f}; right {right[both].mean():.2f}, with those not reached {right[all_of].mean():.2f}; "
            f"with the steps {spearmanr(factor[both], here.steps[both])[0]:.2f} (the true factor {spearmanr(here.slower[both], here.steps[both])[0]:.2f}, "
            f"the numerator alone {spearmanr(steps[here.reached], here.steps[here.reached])[0]:.2f})"
        )


def calibration(found: np.ndarray, rows: Rows) -> None:
    """What the factor really was, by what was foretold."""
    found, rows = found[rows.compared], rows.where(rows.compared)
    for low, high in pairwise(BINS):
        chosen = (10**found >= low) & (10**found < high)
        here = rows.where(chosen)
        slower = np.where(here.reached, here.slower, np.inf)
        print(
            f"foretold {low:.1f} to {high:.1f}: {chosen.sum():3}, really {10 ** np.median(slower):.2f} (median), twice and more or not reached {(slower >= RIGHT).mean():.2f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("outs", type=Path, nargs="+")
    parser.add_argument("-v", action="store_true", help="also without each quantity, and the worst predictions")
    options = parser.parse_args()
    rows = load(options.outs)
    print(f"{len(np.unique(rows.name))} networks of {len(np.unique(rows.family))} families")
    for name, value in zip(CONSTANTS, fit(rows), strict=True):
        print(f"{name} = {value:.3g}   (in use: {getattr(pace, name)})")
    every = range(len(CONSTANTS))
    own, recommended = cross_validated(rows, every)
    describe("cross-validated", own, recommended, rows)
    in_use = np.array([getattr(pace, name) for name in CONSTANTS])
    describe("constants in use", decades(in_use, rows.own), decades(in_use, rows.recommended), rows)
    calibration(own - recommended, rows)
    if options.v:
        for left_out, name in enumerate(CONSTANTS):
            describe(f"without {name}", *cross_validated(rows, [i for i in every if i != left_out]), rows)
        error = np.where(rows.compared, late(own - recommended - rows.slower, rows), 0.0)
        for i in np.argsort(-np.abs(error))[:20]:
            print(
                f"{rows.name[i]} {rows.family[i]} {rows.run[i]}: {10 ** (own - recommended)[i]:.2f} times, really {10 ** rows.slower[i]:.2f} ({10 ** rows.steps[i]:.0f} steps)"
            )


if __name__ == "__main__":
    main()
