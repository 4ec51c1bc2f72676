"""Contest: every run of a race, one after the other, and the document of what they come to."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from initaudit.errors import NotTrainable
from initaudit.racing.curve import Run
from initaudit.racing.document import race_document
from initaudit.racing.drawing import draw
from initaudit.racing.journal import Journal, digest, digest_of
from initaudit.racing.summary import racers_of, target_of
from initaudit.report.run import interruption

if TYPE_CHECKING:
    from datetime import datetime

    from initaudit.config import Config
    from initaudit.racing.curve import Curve
    from initaudit.racing.drawing import Draw
    from initaudit.racing.interface import Interface
    from initaudit.racing.options import RaceOptions, Setting
    from initaudit.racing.task import Task
    from initaudit.racing.trainee import Trainee
    from initaudit.racing.training import Course
    from initaudit.report.report import Report

Until: TypeAlias = Callable[[Iterable[Run]], Iterator[Run]]
"""Ends the runs early."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contest:
    """Who trains what, and how."""

    itself: Report
    """Audit of the network as it is."""
    draws: Sequence[Draw]
    """One a scheme, the first of its draws, with what is predicted."""
    base: Draw
    """The one that the module's tensors are named after."""
    trainee: Trainee
    """Which starts from each of them."""
    config: Config
    """Of the audits."""
    options: RaceOptions
    task: Task
    interface: Interface
    progress: Callable[[str], None]
    """Called with what is being done."""

    def hold(self, until: Until | None, started: datetime, command: Sequence[str] | None) -> dict[str, Any]:
        """The document. Raises NotTrainable, UsageError of the journal, and KeyboardInterrupt where no run was finished."""
        from initaudit.racing.training import course_of, deterministic

        options = self.options
        batch, batch_from = self._batch()
        course = course_of(
            self.trainee, self.task, options, batch=batch, fixed=batch_from == "model",
            answer_axis=self.interface.axis, seed=self.config.seed,
        )  # fmt: skip
        kept = Journal(options.journal, self._digest(batch))
        begun = time.monotonic()
        with deterministic(course, options.device):
            runs = list((until or _until_interrupted)(self._runs(course, kept)))
        if not runs:
            raise KeyboardInterrupt
        target = target_of(runs, self.task, options.target)
        racers = racers_of([d.start for d in self.draws], runs, options.settings, target)
        document = race_document(
            racers, self.itself, self.task, steps=options.steps, target=target, started=started, command=command,
            conditions={
                "output": self.interface.answer,
                "held_out": len(course.held_out),
                "batch": batch,
                "batch_from": batch_from,
                "patience": options.patience,
                "seeds": options.seeds,
                "settings": [{"optimizer": s.optimizer, "rate": s.rate} for s in options.settings],
                "target_given": options.target is not None,
                "device": options.device,
                "budget": options.seconds,
                "seconds": round(time.monotonic() - begun, 3),
            },
        )  # fmt: skip
        planned = len(self._plan())
        if len(runs) < planned:
            document["run"]["interrupted"] = interruption(audited=len(runs), of=planned, exit_code=130)
        return document

    def _batch(self) -> tuple[int, str]:
        """Examples in a step, and who says so: the model, the option, or the examples, where they are fewer."""
        if self.interface.fixed is not None:
            return self.interface.fixed, "model"
        asked, there = self.options.batch_size, len(self.task.parts(self.config.seed)[0])
        return (asked, "option") if asked <= there else (there, "examples")

    def _plan(self) -> list[tuple[int, str, Setting]]:
        """Every run: draw, scheme, setting. All starts of a draw before the next, so that what ends early has seen all of them."""
        schemes = [d.start.scheme for d in self.draws if d.start.why is None]
        settings = self.options.settings
        return [
            (seed, scheme, setting) for seed in range(self.options.seeds) for scheme in schemes for setting in settings
        ]

    def _runs(self, course: Course, journal: Journal) -> Iterator[Run]:
        plan = self._plan()
        begun, values, of = time.monotonic(), dict[str, np.ndarray](), None
        same: dict[tuple[str, Setting, int], Curve] = {}
        for number, (seed, scheme, setting) in enumerate(plan):
            known = journal.known.get((scheme, setting.optimizer, setting.rate, seed))
            if known is not None:
                yield known
                continue
            if of != (seed, scheme):
                values, of = self._values(scheme, seed), (seed, scheme)
            weights = digest_of(values)
            self.progress(f"training {scheme}, {setting}, run {number + 1} of {len(plan)}")
            deadline = None
            if self.options.seconds is not None:  # every run that is left gets an equal part of the time
                now = time.monotonic()
                deadline = now + max(0.0, begun + self.options.seconds - now) / (len(plan) - number)
            curve = same.get((weights, setting, seed))
            if curve is None:
                course.trainee.begin(values)
                curve = same[weights, setting, seed] = self._curve(course, setting, scheme, seed, deadline)
            run = Run(scheme=scheme, optimizer=setting.optimizer, rate=setting.rate, seed=seed, curve=curve)
            if curve.end != "time":
                journal.note(run)
            yield run

    def _curve(self, course: Course, setting: Setting, scheme: str, seed: int, deadline: float | None) -> Curve:
        from initaudit.racing.training import train

        try:
            return train(course, setting, self.config.seed + seed, deadline)
        except RuntimeError as error:  # of torch: a shape or a number of examples that an operator refuses, no memory
            why = str(error).strip().split("\n")[0]
            raise NotTrainable(f"{self.itself.path}: training from {scheme} fails: {why:.300}") from error

    def _values(self, scheme: str, seed: int) -> dict[str, np.ndarray]:
        own = next(d for d in self.draws if d.start.scheme == scheme)
        if seed or own.model is None:
            config = replace(self.config, seed=self.config.seed + seed)
            own = draw(self.itself, scheme, config, self.options.drawn, predict=False)
        if own.model is None:
            raise NotTrainable(f"{self.itself.path}: {scheme}, draw {seed + 1}: {own.start.why}")
        return own.values(self.trainee.places, self.base.split)

    def _digest(self, batch: int) -> str:
        """Of all that decides about a run beside its scheme, setting and draw."""
        assert self.itself.audit is not None
        return digest(
            self.task,
            {
                "model": self.itself.audit.model.sha256,
                "output": self.interface.answer,
                "batch": batch,
                "steps": self.options.steps,
                "patience": self.options.patience,
                "seed": self.config.seed,
                "device": self.options.device,
                "drawn": [self.options.drawn.gain, self.options.drawn.bias, list(self.options.drawn.exclude)],
            },
        )


def _until_interrupted(runs: Iterable[Run]) -> Iterator[Run]:
    iterator = iter(runs)
    while True:
        try:
            run = next(iterator)
        except (StopIteration, KeyboardInterrupt):
            return
        yield run
