"""What is finished when Ctrl-C or a scheduler ends a run is kept."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TypeVar

from initaudit.report.run import interruption

T = TypeVar("T")

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interruption:
    """Whether the run was ended, and by which signal."""

    def __init__(self) -> None:
        self.signal: int | None = None
        self._waiting = False

    def until(self, items: Iterable[T]) -> Iterator[T]:
        """The items up to the signal; the one under way then is given up."""
        iterator = iter(items)
        try:
            while self.signal is None:
                self._waiting = True
                item = next(iterator)
                self._waiting = False
                yield item
        except StopIteration:
            pass
        except KeyboardInterrupt:
            self.signal = self.signal or int(signal.SIGINT)
        finally:
            self._waiting = False

    def told(self, audited: int, *, of: int) -> dict[str, int] | None:
        """What the document says of it, with how many models were audited of how many; None where the run was not ended."""
        return None if self.signal is None else interruption(audited=audited, of=of, exit_code=128 + self.signal)

    def end(self, number: int, frame: FrameType | None) -> None:
        """The handler: at once where an item is waited for or nobody heeded the signal before, else before the next item."""
        del frame
        again, self.signal = self.signal is not None, number
        if self._waiting or again:
            raise KeyboardInterrupt


@contextmanager
def interruptible() -> Iterator[Interruption]:
    """Both signals end the items inside the block, and nothing else of it."""
    run = Interruption()
    if threading.current_thread() is not threading.main_thread():  # no signal arrives here
        yield run
        return
    before = [signal.signal(number, run.end) for number in SIGNALS]
    try:
        yield run
    finally:
        for number, handler in zip(SIGNALS, before, strict=True):
            signal.signal(number, handler)
