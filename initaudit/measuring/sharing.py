"""Large weights are read by several workers at once, each of them some ranges; what they find is added up here."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Final, TypeAlias

from initaudit.engine import Engine, find_engine
from initaudit.errors import InitauditError, UnsupportedWeight
from initaudit.model.located import Located, located
from initaudit.stats.layout import lay_out
from initaudit.stats.plan import Plan, merged, plan
from initaudit.stats.stream import Scan, Stretch, scan_all
from initaudit.task import Limits, Task

if TYPE_CHECKING:
    from initaudit.model.external import ExternalRange
    from initaudit.task import Watch
    from initaudit.views.weight import WeightView

MOST_WORKERS: Final = 4
"""Processes that are started unasked, at most: more would wait for memory, and the bound on resident memory holds for each of them."""

VALUE_COST: Final = 3e-9
"""Seconds to read a value of a large tensor, as `benchmarks/static.py` gives it; it need only tell a second from a tenth."""

WORTH_SHARING: Final = 2.0
"""Seconds of work from which processes are started for it. A judgement: ten times the processor time that starting one costs."""

SHARED_SIZE: Final = 1 << 22
"""Values from which a weight is handed over. A judgement: a hundredth of a second, some times what handing it over costs."""

LONG_ROW: Final = 64
"""Values in a row, at least, of what is handed over: a scan has some numbers for each row and must be small beside what was read."""

LIMITS: Final = Limits(seconds=120.0, memory=1 << 30)
"""Of the reading of a range: a scan takes some 20 MiB beside mapped pages; the bytes add to the time. Judgements, far off."""


Readers: TypeAlias = Engine | int | None
"""Who reads large weights: the workers of an engine; or so many processes, this one alone where that is 1, that are started where it is
worth while; None for as many as there are cores, MOST_WORKERS at most."""


@dataclass(slots=True, kw_only=True)
class Shared:
    """A weight that workers read."""

    number: int
    """Its place among the weights."""
    plan: Plan
    held: ExternalRange
    """The stored bytes that it is a view of."""
    ranges: int = 0
    """How many were handed over."""
    scans: dict[int, Scan] = field(default_factory=dict)
    """Of the ranges, as they come."""

    def tasks(self) -> Iterator[tuple[int, Task[Scan]]]:
        """One for each range, numbered."""
        parts = list(self.plan.ranges())
        self.ranges = len(parts)
        for i, part in enumerate(parts):
            places = [located(stretch.of(self.plan.layout.view), self.held) for stretch in part]
            yield i, Task(scan_stored, (tuple(zip(part, places, strict=True)),), LIMITS)


def may_be_shared(view: WeightView) -> bool:
    """Whether it is worth while that another process reads the weight; it can where its values stand in a file as they are."""
    plain = view.computed is None and len(view.tensors) == 1
    return plain and math.prod(view.shape) >= SHARED_SIZE and view.tensors[0].external() is not None


def shared(number: int, view: WeightView, groups: int, seed: int) -> Shared | None:
    """A weight whose ranges other processes can read; None of another, and of one that cannot be read."""
    held = view.tensors[0].external()
    try:
        array = view.array()
    except UnsupportedWeight:
        return None
    reading = plan(lay_out(array, view.unit_axes, view.input_axes, groups), seed)
    stored = reading.layout.view
    if held is None or math.prod(stored.shape[1:]) < LONG_ROW or located(stored, held) is None:
        return None
    return Shared(number=number, plan=reading, held=held)


def scan_stored(parts: Sequence[tuple[Stretch, Located]], watch: Watch) -> Scan:
    """The work of a worker: read the stretches of a range where they stand in a file."""
    watch.doing("weighing")
    watch.weighs(sum(place.held.length for _, place in parts))
    return scan_all((place.array(), stretch) for stretch, place in parts)


@contextmanager
def engine_for(readers: Readers, values: int) -> Iterator[Engine | None]:
    """What reads so many values; None where this process should."""
    if isinstance(readers, Engine):
        yield readers
        return
    workers = min(MOST_WORKERS, cores()) if readers is None else readers
    if workers < 2 or values * VALUE_COST < WORTH_SHARING:
        yield None
        return
    engine = find_engine("local", workers=workers)
    try:
        yield engine
    finally:
        engine.close()


def shared_scans(weights: Iterable[Shared], engine: Engine) -> Iterator[tuple[Shared, Scan]]:
    """Each weight with its scan, as they are finished; one that a worker was lost over, or could not read, is left out."""
    doing: dict[int, tuple[Shared, int]] = {}
    """By the task: the weight, and which of its ranges."""
    numbers = count()

    def tasks() -> Iterator[Task[Scan]]:
        for weight in weights:
            for i, task in weight.tasks():
                doing[next(numbers)] = weight, i
                yield task

    for number, result in engine.run(tasks()):
        weight, i = doing.pop(number)
        if isinstance(result, InitauditError):
            continue
        weight.scans[i] = result
        if len(weight.scans) == weight.ranges:
            yield weight, merged([weight.scans.pop(i) for i in range(weight.ranges)])


def cores() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
