"""The JSON document of a race, and the sentence that says who won and who had been expected to."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from initaudit.judgement.score import TRAINABLE
from initaudit.racing.curve import LEARNED
from initaudit.racing.summary import fastest, rank_correlation
from initaudit.report.document import head
from initaudit.starts.document import told_of_training
from initaudit.starts.schemes import AS_IS
from initaudit.starts.ties import best_starts, together

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from initaudit.racing.curve import Run
    from initaudit.racing.summary import Outcome, Racer
    from initaudit.racing.task import Task
    from initaudit.report.report import Report

POINTS = 200
"""Of a curve in the document, at most. A judgement: a chart is some hundred pixels wide."""
DIGITS = 5
"""Significant digits of the points of a curve."""


def race_document(
    racers: Sequence[Racer],
    itself: Report,
    task: Task,
    *,
    conditions: Mapping[str, Any],
    steps: int,
    target: float | None,
    started: datetime | None = None,
    command: Sequence[str] | None = None,
) -> dict[str, Any]:
    """The document: `schema_version`, `tool`, `run`, `model`, `options`, what was trained (`race`), `agreement` and the `starts`, the fastest first.

    Args:
        racers: in order.
        itself: audit of the model as it is.
        task: what was learned.
        conditions: further facts for `race`.
        steps: of each run.
        target: what steps are counted to.
        started: when the command began.
        command: the command line.
    """
    entry = itself.entry()
    every = max(1, -(-steps // POINTS))
    winners = [racer.start.scheme for racer in fastest(racers)]
    return {
        **head(started=started, command=command),
        "model": entry["model"],
        "options": entry["options"],
        "race": {
            "task": task.name,
            "targets": task.array,
            "kind": task.kind,
            "metric": task.metric,
            "examples": task.examples,
            "chance": task.chance,
            "steps": steps,
            "every": every,
            "target": target,
            **conditions,
        },
        "winner": winners[0] if winners else None,
        "winners": winners,
        "sentence": sentence(racers, task, target) + told_of_training([racer.start for racer in racers]),
        "agreement": agreement(racers),
        "starts": [_start(racer, every) for racer in racers],
    }


def agreement(racers: Sequence[Racer]) -> dict[str, Any]:
    """How well the steps had been foretold; what is not expected to learn, and what does not, comes last."""
    both = sorted((r for r in racers if r.best is not None and r.place is not None), key=lambda racer: racer.place or 0)
    favourite = both[0] if both else None
    fewest = min((racer.steps for racer in both), default=math.inf)
    times = favourite.steps / fewest if favourite is not None and math.isfinite(fewest) else math.inf
    return {
        "starts": len(both),
        "rank_correlation": rank_correlation([r.foretold for r in both], [r.steps for r in both]),
        "favourite": None if favourite is None or favourite.foretold == math.inf else favourite.start.scheme,
        "favourites": [start.scheme for start in best_starts([racer.start for racer in both])],
        "favourite_times": times if math.isfinite(times) else None,
    }


def sentence(racers: Sequence[Racer], task: Task, target: float | None) -> str:
    """Who was the fastest, how far behind the network as it is was, and how the favourite of the audit did."""
    best = racers[0] if racers else None
    if best is None or best.best is None:
        return "Nothing was trained."
    if target is None:
        return _nothing(racers, task)
    goal = f"{task.metric} {target:.2f}"
    if not math.isfinite(best.steps):
        return f"No start reached {goal}; {best.start.scheme} came nearest ({best.best.metric or 0.0:.2f} with {best.best.setting})."
    winners = fastest(racers)
    told = f"{_who(winners)}: {_count(winners)} to {goal}{_with(winners)}"
    itself = next((racer for racer in racers if racer.start.scheme == AS_IS), None)
    if itself is not None and itself not in winners:
        told += f"; as it is: {_behind([itself], best)}"
    found = agreement(racers)
    favourites = [racer for racer in racers if racer.start.scheme in found["favourites"]]
    if not found["starts"]:
        return f"{told}. Nothing had been predicted."
    if not favourites:
        return f"{told}. None had been expected to learn."
    if favourites == winners:
        names = best.start.scheme if len(winners) == 1 else "These"
        return f"{told}. {names} had been expected to be the fastest."
    expected = f"{told}. {_names(favourites)} had been expected to be the fastest"
    return (
        f"{expected}." if all(racer in winners for racer in favourites) else f"{expected}: {_behind(favourites, best)}."
    )


def _nothing(racers: Sequence[Racer], task: Task) -> str:
    """Why there is no target."""
    if task.chance > 1 - LEARNED:
        return f"Always the same answer has {task.metric} {task.chance:.2f}, above which nothing is seen to be learned: --target names what is to be reached."
    gone = [run.curve.end == "diverged" for racer in racers for outcome in racer.outcomes for run in outcome.runs]
    if all(gone):
        return "No start learned anything: all runs diverged."
    which = "all runs that did not diverge" if any(gone) else "all runs"
    return f"No start learned anything: {task.metric} stayed near chance ({task.chance:.2f}) in {which}."


def _names(racers: Sequence[Racer]) -> str:
    return together([racer.start.scheme for racer in racers])


def _who(winners: Sequence[Racer]) -> str:
    return f"{_names(winners)} learned {'fastest' if len(winners) == 1 else 'equally fast'}"


def _with(racers: Sequence[Racer]) -> str:
    """The setting that suits all of them best."""
    settings = {str(racer.best.setting) for racer in racers if racer.best is not None}
    return f" with {settings.pop()}" if len(settings) == 1 else ", each with what suits it best"


def _behind(racers: Sequence[Racer], best: Racer) -> str:
    """Steps of those that got there, and who did not."""
    there = [racer for racer in racers if math.isfinite(racer.steps)]
    if not there:
        return "did not get there"
    told = f"{_count(there)}, {_range([f'{racer.steps / best.steps:.1f}' for racer in there])} times as many"
    missing = [racer for racer in racers if racer not in there]
    return f"{told}; {_names(missing)} did not get there" if missing else told


def _count(racers: Sequence[Racer]) -> str:
    """`33 to 47 steps`; of racers in order."""
    return f"{_range([f'{racer.steps:.0f}' for racer in racers])} steps"


def _range(numbers: Sequence[str]) -> str:
    return numbers[0] if numbers[0] == numbers[-1] else f"{numbers[0]} to {numbers[-1]}"


def _start(racer: Racer, every: int) -> dict[str, Any]:
    start = racer.start
    score = start.trainability
    return {
        "scheme": start.scheme,
        "why": start.why,
        "predicted": {
            "place": racer.place,
            "status": start.verdict.get("status"),
            "trainability": score,
            "slowness": start.slowness,
            "learns": None if score is None else score >= TRAINABLE,
        },
        "steps": _number(racer.steps),
        "outcomes": [_outcome(outcome, every) for outcome in racer.outcomes],
    }


def _outcome(outcome: Outcome, every: int) -> dict[str, Any]:
    steps = [s for s in outcome.steps if math.isfinite(s)]
    return {
        "optimizer": outcome.setting.optimizer,
        "rate": outcome.setting.rate,
        "steps": _number(outcome.middle),
        "least": min(steps, default=None),
        "most": max(steps, default=None) if len(steps) == len(outcome.steps) else None,
        "reached": len(steps),
        "diverged": outcome.diverged,
        "metric": outcome.metric,
        "held_out": outcome.held_out,
        "runs": [_run(run, steps, every) for run, steps in zip(outcome.runs, outcome.steps, strict=True)],
    }


def _run(run: Run, steps: float, every: int) -> dict[str, Any]:
    curve = run.curve
    return {
        "seed": run.seed,
        "end": curve.end,
        "done": len(curve.loss),
        "steps": _number(steps),
        "held_out": curve.held_out,
        "loss": [_rounded(v) for v in curve.loss[every - 1 :: every]],
        "metric": [_rounded(v) for v in curve.metric[every - 1 :: every]],
    }


def _rounded(value: float) -> float | None:
    return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
