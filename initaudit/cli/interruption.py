"""What is finished when Ctrl-C or a scheduler ends a run is kept."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TypeVar

T = TypeVar("T")


class Interruption:
    """Whether the run was ended, and by which signal."""

    def __init__(self) -> None:
        self.signal: int | None = None

    def until(self, items: Iterable[T]) -> Iterator[T]:
        """The items up to the signal; what was under way then is given up."""
        try:
            yield from items
        except KeyboardInterrupt:
            self.signal = self.signal or int(signal.SIGINT)


@contextmanager
def interruptible() -> Iterator[Interruption]:
    """SIGTERM is taken as Ctrl-C is, inside the block."""
    interruption = Interruption()

    def end(number: int, frame: FrameType | None) -> None:
        del frame
        interruption.signal = number
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():  # no signal arrives here
        yield interruption
        return
    before = signal.signal(signal.SIGTERM, end)
    try:
        yield interruption
    finally:
        signal.signal(signal.SIGTERM, before)
