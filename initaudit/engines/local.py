"""The engine of one machine: so many workers at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from initaudit.engine import Engine, Watcher
from initaudit.engines.process import discard, do
from initaudit.errors import InitauditError

if TYPE_CHECKING:
    from initaudit.task import Task

T = TypeVar("T")


class Local(Engine):
    """Worker processes of this machine, each watched by a thread."""

    name = "local"

    def __init__(self, workers: int = 1) -> None:
        """`workers` tasks are done at the same time; 1 or more."""
        self.workers = workers

    def run(
        self, tasks: Iterable[Task[T]], watch: Callable[[int], Watcher | None] = lambda _: None
    ) -> Iterator[tuple[int, T | InitauditError]]:
        """See `Engine.run`."""
        if self.workers == 1:
            for i, task in enumerate(tasks):
                result = _attempt(task, watch(i))
                yield i, result
            return
        numbered = enumerate(tasks)
        running: dict[Future[Any], int] = {}
        with ThreadPoolExecutor(self.workers) as pool:
            try:
                while True:
                    for i, task in islice(numbered, self.workers - len(running)):
                        running[pool.submit(_attempt, task, watch(i))] = i
                    if not running:
                        return
                    for future in wait(running, return_when=FIRST_COMPLETED).done:
                        yield running.pop(future), future.result()
            finally:
                pool.shutdown(wait=False, cancel_futures=True)
                if running:
                    discard(everything=True)  # a thread waits for its worker, and nobody for the thread

    def close(self) -> None:
        """See `Engine.close`."""
        discard()


def _attempt(task: Task[T], progress: Watcher | None) -> T | InitauditError:
    try:
        return do(task, progress)
    except InitauditError as error:
        return error
