"""RaceOptions: how the network is trained, and for how long."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from initaudit.errors import UsageError, similar
from initaudit.fixing.options import FixOptions
from initaudit.starts.schemes import DEFAULT

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

RATES: Mapping[str, tuple[float, ...]] = {"sgd": (0.01, 0.1), "adam": (0.001, 0.01)}
"""Learning rates of each optimiser where none are given: its usual one and ten times or a tenth of it. A judgement."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """An optimiser at a learning rate."""

    optimizer: str
    """sgd (momentum 0.9) or adam."""
    rate: float

    def __str__(self) -> str:
        return f"{self.optimizer} {self.rate:g}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RaceOptions:
    """Who races, and what is the same for every start."""

    schemes: tuple[str, ...] = DEFAULT
    """The starts, as `initaudit.starts.schemes.read_starts` gives them."""
    drawn: FixOptions = field(default_factory=FixOptions)
    """Gain, biases and spared layers of those that are drawn."""
    output: str | None = None
    """The one that is trained; None for the first of real numbers."""
    settings: tuple[Setting, ...] = field(default_factory=lambda: read_settings((), ()))
    steps: int = 300
    """Of each run."""
    seeds: int = 3
    """Draws of the weights, and orders of the examples, for each start and setting."""
    batch_size: int = 32
    """Examples in a step, where the model does not fix it."""
    patience: int | None = None
    """Steps after which a run is ended that never was better than chance by `initaudit.racing.curve.LEARNED`; None for no such end."""
    target: float | None = None
    """Accuracy, or R2, to which steps are counted; None for 90 % of the way from chance to the best that any run reached."""
    seconds: float | None = None
    """For all training; None for as long as it takes."""
    device: str = "cpu"
    """As torch names it."""
    journal: Path | None = None
    """File in which finished runs are kept, and from which a race goes on."""

    def __post_init__(self) -> None:
        """Raises UsageError."""
        for name in ("steps", "seeds", "batch_size", "patience"):
            value = getattr(self, name)
            if value is None and name == "patience":
                continue
            if not (isinstance(value, int | np.integer) and value >= 1):
                raise UsageError(f"{name.replace('_', ' ')}: {value!r} is no whole number of 1 or more")
            object.__setattr__(self, name, int(value))  # as JSON has it
        for name, value in (("time", self.seconds), ("target", self.target)):
            if value is not None and not isinstance(value, int | float | np.number):
                raise UsageError(f"{name}: {value!r} is no number")
        if self.seconds is not None and not self.seconds > 0:
            raise UsageError(f"time: {self.seconds:g} is not more than 0 seconds")
        if self.target is not None and not (math.isfinite(self.target) and self.target <= 1):
            raise UsageError(f"target: {self.target:g} is no accuracy and no R2, which are 1 at most")


def read_settings(optimizers: Iterable[str], rates: Iterable[str | float]) -> tuple[Setting, ...]:
    """Every optimiser at every rate; both where none is named, at their usual rates where none is given.

    Args:
        optimizers: names; a text may hold several with commas between.
        rates: numbers, or texts of some with commas between.

    Raises:
        UsageError: an optimiser that there is not, what is no learning rate, or a text without any.
    """
    names = _words(optimizers, "optimiser") or list(RATES)
    for name in names:
        if name not in RATES:
            raise UsageError(f"no optimiser is called {name!r}{similar(name, RATES)}; there are {', '.join(RATES)}")
    given = [_rate(word) for word in _words(map(str, rates), "learning rate")]
    pairs = [(name, rate) for name in names for rate in given or RATES[name]]
    return tuple(Setting(optimizer=name, rate=rate) for name, rate in dict.fromkeys(pairs))


def _words(texts: Iterable[str], what: str) -> list[str]:
    found = [[word.strip() for word in text.split(",") if word.strip()] for text in texts]
    if not all(found):
        raise UsageError(f"an {what} is empty" if what[0] in "aeiou" else f"a {what} is empty")
    return [word for words in found for word in words]


def _rate(word: str) -> float:
    try:
        rate = float(word)
    except ValueError:
        rate = math.nan
    if not (math.isfinite(rate) and rate > 0):
        raise UsageError(f"{word!r} is no learning rate")
    return rate
