"""Engine: the interface of what does tasks on many files: on this machine, or on others. One engine is one file in `engines/`."""

from __future__ import annotations

import abc
import importlib
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias, TypeVar

from initaudit.errors import InitauditError, UsageError, similar
from initaudit.registry import contributed

if TYPE_CHECKING:
    from initaudit.task import Task

T = TypeVar("T")

Watcher: TypeAlias = Callable[[str], None]
"""Takes a phrase for what is being done, such as `measuring the forward signal`."""

BUILT_IN = {"local": "initaudit.engines.local:Local", "dask": "initaudit.engines.dask:Dask"}
"""Module and class of each engine; an engine's module is imported when it is asked for."""


class Engine(abc.ABC):
    """Does tasks. Nothing of it knows what they are about."""

    name: ClassVar[str]
    """As given to `--engine`."""

    @abc.abstractmethod
    def run(
        self, tasks: Iterable[Task[T]], watch: Callable[[int], Watcher | None] = lambda _: None
    ) -> Iterator[tuple[int, T | InitauditError]]:
        """Number and result of each task, as they are finished.

        What a task raises is its result; so is `LostWorker`, where a process was lost or killed at a limit, and costs no other task its own.
        Tasks are taken from their source as there is room, so that their number bounds no memory. Closing the iterator ends what is being done.

        Args:
            tasks: may be made while others are done.
            watch: gives what to call with the progress of the task with this number; None where nobody looks.
        """

    def close(self) -> None:  # noqa: B027  not every engine keeps something
        """Let go of what is kept for further tasks."""


def find_engine(name: str, **options: Any) -> Engine:
    """The engine called `name`, made with its own options. Raises UsageError."""
    others = contributed("initaudit.engines")
    if name in BUILT_IN:
        module, _, kind = BUILT_IN[name].partition(":")
        made: Engine = getattr(importlib.import_module(module), kind)(**options)
    elif name in others:
        made = others[name](**options)
    else:
        known = sorted({*BUILT_IN, *others})
        raise UsageError(f"unknown engine {name!r}{similar(name, known)}; there are {', '.join(known)}")
    return made


def in_order(results: Iterable[tuple[int, T]]) -> Iterator[T]:
    """Results by their numbers 0, 1, ...: each as soon as those before it are there too."""
    waiting: dict[int, T] = {}
    turn = 0
    for number, result in results:
        waiting[number] = result
        while turn in waiting:
            yield waiting.pop(turn)
            turn += 1
