"""What the runs of a race come to: steps of each start, and how well they had been foretold."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

import numpy as np

from initaudit.judgement.score import TRAINABLE
from initaudit.racing.curve import LEARNED
from initaudit.starts.ties import ALIKE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from initaudit.racing.curve import Run
    from initaudit.racing.options import Setting
    from initaudit.racing.task import Task
    from initaudit.starts.start import Start

WAY = 0.9
"""Share of the way from chance to the best that any run reached, at which a start has learned. The share that `benchmarks/trainability` counts to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A start under one setting, over its draws."""

    setting: Setting
    runs: Sequence[Run]
    target: float | None

    @property
    def steps(self) -> list[float]:
        """To the target, infinite where it was not reached."""
        if self.target is None:
            return [math.inf] * len(self.runs)
        found = [run.curve.steps_to(self.target) for run in self.runs]
        return [math.inf if steps is None else float(steps) for steps in found]

    @property
    def middle(self) -> float:
        """Their median; infinite where half of the draws or more do not get there."""
        return _median(self.steps)

    @property
    def metric(self) -> float | None:
        """At the end, the median over the draws; that of one that diverged does not count as anything, but as nothing learned."""
        return _finite(_median([_last(run) for run in self.runs]))

    @property
    def held_out(self) -> float | None:
        """The same of examples that were not trained on."""
        known = [run.curve.held_out for run in self.runs if run.curve.held_out is not None]
        return median(known) if known else None

    @property
    def diverged(self) -> int:
        """How many of the draws did."""
        return sum(run.curve.end == "diverged" for run in self.runs)

    @property
    def rank(self) -> tuple[float, float, float]:
        """Best first: the fewest steps, then the most draws that got there, then the best end."""
        reached = sum(math.isfinite(steps) for steps in self.steps)
        return self.middle, -reached, -(self.metric if self.metric is not None else -math.inf)


@dataclass(frozen=True, slots=True, kw_only=True)
class Racer:
    """A start, what was predicted of it, and what became of it."""

    start: Start
    place: int | None
    """Among the starts by what was predicted, from 1; None where nothing was."""
    outcomes: Sequence[Outcome]
    """One a setting, the best first; none where it was not trained."""

    @property
    def best(self) -> Outcome | None:
        """Under the setting that suits it best."""
        return self.outcomes[0] if self.outcomes else None

    @property
    def steps(self) -> float:
        """Under that; infinite where it does not get there."""
        return self.best.middle if self.best is not None else math.inf

    @property
    def foretold(self) -> float:
        """Steps as a multiple of those of the recommended start, as predicted; infinite where it was not expected to learn."""
        score = self.start.trainability
        if score is None or score < TRAINABLE:
            return math.inf
        return 1.0 if self.start.slowness is None else self.start.slowness


def target_of(runs: Sequence[Run], task: Task, given: float | None) -> float | None:
    """What steps are counted to; None where no run learned anything."""
    if given is not None:
        return given
    ends = [run.curve.best for run in runs if run.curve.best is not None and run.curve.end != "diverged"]
    best = max(ends, default=-math.inf)
    return task.chance + WAY * (best - task.chance) if best - task.chance >= LEARNED else None


def racers_of(
    starts: Sequence[Start], runs: Sequence[Run], settings: Sequence[Setting], target: float | None
) -> list[Racer]:
    """All starts, the fastest first, then those that do not get there, by how far they come.

    Their places by prediction are those that `compare` has: what is taken for equal stays in the order of `starts`.
    """
    found = []
    expected = sorted((start for start in starts if start.trainability is not None), key=lambda start: start.rank)
    places = {start.scheme: place for place, start in enumerate(expected, 1)}
    for start in starts:
        outcomes = []
        for setting in settings:
            own = [
                r for r in runs if (r.scheme, r.optimizer, r.rate) == (start.scheme, setting.optimizer, setting.rate)
            ]
            if own:
                outcomes.append(Outcome(setting=setting, runs=own, target=target))
        outcomes.sort(key=lambda outcome: outcome.rank)
        found.append(Racer(start=start, place=places.get(start.scheme), outcomes=outcomes))
    return sorted(found, key=lambda racer: racer.best.rank if racer.best else (math.inf, math.inf, math.inf))


def fastest(racers: Sequence[Racer]) -> list[Racer]:
    """The first, and those whose steps differ from its own by no more than its own draws do, or than two draws may (`ALIKE`); none where it does not get there."""
    best = racers[0].best if racers else None
    if best is None or not math.isfinite(best.middle):
        return []
    slowest = max(steps for steps in best.steps if math.isfinite(steps))
    return [racer for racer in racers if racer.steps < ALIKE * best.middle or racer.steps <= slowest]


def rank_correlation(one: Sequence[float], other: Sequence[float]) -> float | None:
    """Spearman's; equal values, infinite ones among them, share the mean of their ranks. None where one of the sides has no order, or fewer than three values."""
    if len(one) < 3 or len(set(one)) < 2 or len(set(other)) < 2:
        return None
    ranks = [_ranks(values) for values in (one, other)]
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])


def _ranks(values: Sequence[float]) -> np.ndarray:
    array = np.asarray(values)
    return np.array([(array < value).sum() + ((array == value).sum() - 1) / 2 for value in array])


def _last(run: Run) -> float:
    if run.curve.end == "diverged" or not run.curve.metric:
        return -math.inf
    return run.curve.metric[-1]


def _median(values: Sequence[float]) -> float:
    """The lower of the two in the middle is not enough: of two draws both must get there."""
    ordered = sorted(values)
    middle = len(ordered) // 2
    if len(ordered) % 2:
        return ordered[middle]
    low, high = ordered[middle - 1], ordered[middle]
    return (low + high) / 2 if math.isfinite(low) and math.isfinite(high) else math.inf if high > 0 else -math.inf


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
