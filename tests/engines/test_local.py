"""The engine of one machine: every task has its result, whatever becomes of the others."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from initaudit.engine import find_engine, in_order
from initaudit.errors import InvalidModel, LostWorker, UsageError
from initaudit.task import Limits, Task
from tests.engines import deeds


def task(work: Callable[..., Any], *arguments: Any, seconds: float = 60.0) -> Task[Any]:
    return Task(work, arguments, Limits(seconds=seconds, memory=1 << 30))


@pytest.mark.parametrize("workers", [1, 2])
def test_one_task_costs_no_other_its_result(workers: int):
    """One crashes its process, one hangs, one raises; each of the others has its answer, in the order of the numbers."""
    tasks = [
        task(deeds.allocate, 1),
        task(deeds.die, 11),
        task(deeds.allocate, 2),
        task(deeds.hang, seconds=0.5),
        task(deeds.raise_error, "no such layer"),
        task(deeds.allocate, 3),
    ]

    first, crashed, second, hung, raised, third = in_order(find_engine("local", workers=workers).run(tasks))

    assert (first, second, third) == (1, 2, 3)
    assert isinstance(crashed, LostWorker)
    assert isinstance(hung, LostWorker)
    assert isinstance(raised, InvalidModel)


def test_tasks_are_made_as_there_is_room():
    """Their number bounds no memory: of many no more are taken than can be done."""
    taken = []

    def tasks() -> Iterator[Task[int]]:
        for i in range(1000):
            taken.append(i)
            yield task(deeds.allocate, i)

    results = find_engine("local", workers=2).run(tasks())
    for _ in range(3):
        next(results)
    results.close()  # type: ignore[attr-defined]

    assert len(taken) <= 6


def test_a_closed_engine_leaves_no_process():
    """Until then its workers wait for more."""
    engine = find_engine("local", workers=2)
    [pid] = in_order(engine.run([task(deeds.number)]))
    assert isinstance(pid, int)
    os.kill(pid, 0)

    engine.close()

    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_results_come_in_order_as_soon_as_they_can():
    """The second is not kept back for the third."""
    numbered = iter([(1, "b"), (0, "a"), (2, "c")])
    results = in_order(numbered)

    assert [next(results), next(results)] == ["a", "b"]
    assert next(numbered) == (2, "c")


def test_an_unknown_engine_is_a_usage_error():
    """With the nearest name."""
    with pytest.raises(UsageError, match="unknown engine 'locale'; did you mean local"):
        find_engine("locale")
