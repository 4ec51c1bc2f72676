"""A race that nobody ran: curves of a known shape, so that what is made of them can be said beforehand."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

import initaudit
from initaudit.racing.curve import Curve, Run
from initaudit.racing.document import race_document
from initaudit.racing.options import read_settings
from initaudit.racing.summary import Racer, racers_of, target_of
from initaudit.racing.task import Task, task_of
from initaudit.starts.start import Start
from tests.networks import mlp

STEPS = 100
SETTINGS = read_settings(["adam"], [0.001, 0.01])
PREDICTED = {"quick": (1.0, 1.0), "slow": (0.9, 4.0), "as-is": (0.8, 3.0), "never": (0.1, None), "wild": (0.6, 2.0)}
"""Trainability and slowness of each start."""
PACES = {"quick": 10.0, "slow": 40.0, "as-is": 20.0, "never": None}
"""Steps in which the accuracy of each gets nearly to 1; None stays at chance."""


def curve(pace: float | None) -> Curve:
    """Straight from chance, 0.5, to 1."""
    steps = np.arange(1, STEPS + 1)
    metric = np.full(STEPS, 0.5) if pace is None else np.minimum(1.0, 0.5 + 0.5 * steps / pace)
    return Curve(
        loss=[float(v) for v in 1.05 - metric],
        metric=[float(v) for v in metric],
        end="steps",
        held_out=float(metric[-1]),
    )


def runs() -> list[Run]:
    """Two draws of each start; at the larger rate all are twice as slow, and `wild` always diverges."""
    found = []
    for draw in range(2):
        for setting in SETTINGS:
            slower = 1 if setting.rate == 0.001 else 2
            for name, pace in PACES.items():
                own = curve(None if pace is None else pace * slower)
                found.append(Run(scheme=name, optimizer=setting.optimizer, rate=setting.rate, seed=draw, curve=own))
            gone = Curve(loss=[9.0, 99.0], metric=[0.5, 0.5], end="diverged")
            found.append(Run(scheme="wild", optimizer=setting.optimizer, rate=setting.rate, seed=draw, curve=gone))
    return found


def task() -> Task:
    """Two classes, as many of each."""
    inputs = np.arange(40, dtype=np.float32).reshape(20, 2)
    return task_of("made up", {"x": inputs}, {"x": 0}, np.arange(20) % 2, (2,))


def racers() -> list[Racer]:
    """In the order of the race."""
    starts = [
        Start(scheme=name, verdict={"status": "pass", "trainability": score, "slowness": slowness})
        for name, (score, slowness) in PREDICTED.items()
    ]
    starts.append(Start(scheme="missing", why="it is computed"))
    return racers_of(starts, runs(), SETTINGS, target_of(runs(), task(), None))


@cache
def document() -> dict[str, Any]:
    """As `initaudit race` makes it."""
    conditions = {
        "output": "y", "held_out": 4, "batch": 8, "batch_from": "option", "patience": None, "seeds": 2, "settings": [{"optimizer": s.optimizer, "rate": s.rate} for s in SETTINGS],
        "target_given": False, "device": "cpu", "budget": None, "seconds": 1.0,
    }  # fmt: skip
    itself = initaudit.audit(mlp([2, 4, 2]), probe="none")
    target = target_of(runs(), task(), None)
    return race_document(racers(), itself, task(), conditions=conditions, steps=STEPS, target=target)
