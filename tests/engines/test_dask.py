"""The engine of many machines, with its workers in this process: small tasks are given to them in bundles, and one costs no other its result."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from initaudit.engine import in_order
from initaudit.engines import dask
from initaudit.engines.dask import Dask
from initaudit.errors import InvalidModel, LostWorker
from initaudit.version import __version__
from tests.engines import deeds
from tests.engines.test_local import task

if TYPE_CHECKING:
    from distributed import Client

    from initaudit.task import Task


@pytest.fixture
def bundles(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many tasks each bundle had, as they are submitted."""
    from distributed import Client

    sizes: list[int] = []

    def noting(client: Client, work: Any, tasks: list[Task[Any]], *arguments: Any, **options: Any) -> Any:
        sizes.append(len(tasks))
        return submit(client, work, tasks, *arguments, **options)

    submit = Client.submit
    monkeypatch.setattr(Client, "submit", noting)
    return sizes


def test_one_task_of_a_bundle_costs_no_other_its_result(bundles: list[int], monkeypatch: pytest.MonkeyPatch):
    """One crashes its process, one hangs, one raises; those before and after them in a bundle have their answers."""
    monkeypatch.setattr(dask, "BUNDLE_SECONDS", 60.0)
    tasks = [task(deeds.allocate, i) for i in range(60)]
    tasks[20], tasks[30], tasks[40] = (
        task(deeds.die, 11),
        task(deeds.hang, seconds=0.3),
        task(deeds.raise_error, "no such layer"),
    )

    results = list(in_order(Dask(1).run(tasks)))

    assert [r for r in results if isinstance(r, int)] == [i for i in range(60) if i not in (20, 30, 40)]
    assert [type(results[i]) for i in (20, 30, 40)] == [LostWorker, LostWorker, InvalidModel]
    assert sum(bundles) == 60
    assert len(bundles) < 20


def test_what_a_bundle_has_no_time_for_is_given_back(bundles: list[int], monkeypatch: pytest.MonkeyPatch):
    """Tasks that take long are not kept waiting for each other while another worker has nothing to do."""
    monkeypatch.setattr(dask, "BUNDLE_SECONDS", 0.0)

    results = list(in_order(Dask(2).run(task(deeds.allocate, i) for i in range(20))))

    assert results == list(range(20))
    assert max(bundles) == 2


def test_a_bundle_goes_no_further_once_the_engine_is_left(monkeypatch: pytest.MonkeyPatch):
    """What is begun then would have a process that nobody ends."""
    closing, begun = threading.Event(), []

    def leave(task: Task[Any]) -> None:
        begun.append(task)
        closing.set()

    monkeypatch.setattr(dask, "_closing", closing)
    monkeypatch.setattr(dask, "do", leave)
    bundle = [task(deeds.number) for _ in range(3)]

    assert dask._attempt(bundle, __version__) == [None]
    assert dask._attempt(bundle, __version__) == []
    assert begun == bundle[:1]


def test_leaving_in_the_middle_waits_for_no_task():
    """What is being done is ended."""
    before = threading.active_count()

    def tasks() -> Iterator[Task[int]]:
        yield task(deeds.allocate, 1)
        yield from (task(deeds.hang) for _ in range(9))

    results = Dask(1).run(tasks())
    assert next(results) == (0, 1)
    time.sleep(0.1)
    begun = time.monotonic()
    results.close()  # type: ignore[attr-defined]

    assert time.monotonic() - begun < 5
    assert threading.active_count() <= before + 2
