"""Probing beside other work, without anything of it left behind."""

from __future__ import annotations

import threading
from contextvars import copy_context
from typing import TYPE_CHECKING, Generic, Self, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

Result = TypeVar("Result")


class Probing(Generic[Result]):
    """A probe under way: call it to wait for its result, or for the error that it raises.

    Use as a context manager: at its end nothing of it is left, whether the result was asked for or not.
    """

    def __init__(self, work: Callable[[threading.Event], Result]) -> None:
        """`work` measures until it is done or the event is set."""
        self._work = work
        self._stop = threading.Event()
        self._done: list[Result | BaseException] = []
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def start(self) -> Self:
        """Begin in the background; where no thread can be had, the work waits until its result is asked for."""
        thread = threading.Thread(target=copy_context().run, args=(self._run,), daemon=True)
        try:
            thread.start()
        except RuntimeError:
            return self
        self._thread = thread
        return self

    def __call__(self) -> Result:
        """The result."""
        if self._thread is not None:
            self._thread.join()
        elif not self._done:
            self._run()
        if isinstance(self._done[0], BaseException):
            raise self._done[0]
        return self._done[0]

    def _run(self) -> None:
        try:
            self._done.append(self._work(self._stop))
        except BaseException as error:  # noqa: BLE001  raised again where the result is asked for
            self._done.append(error)
