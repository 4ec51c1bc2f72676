"""One line on stderr that says what is being done, where a person watches; elsewhere a line now and then."""

from __future__ import annotations

import shutil
import sys
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from initaudit.formats.printing import visible

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CLEAR = "\r\x1b[K"
"""Back to the start of the line and erase it (ECMA-48, EL)."""


SECONDS_BETWEEN = 20.0
"""Between two lines of a log: seldom enough to be read, often enough that no CI system takes the run for dead (after minutes)."""


class Progress:
    """The line; several audits may write to it from their threads."""

    def __init__(self, total: int, *, terminal: bool) -> None:
        self._total = total
        self._terminal = terminal
        self._lock = threading.Lock()
        self._told = time.monotonic()

    def of(self, index: int, path: str) -> Callable[[str], None]:
        """What to call with a phrase such as `measuring the forward signal`."""
        counted = f"[{index}/{self._total}] " if self._total > 1 else ""

        def show(doing: str) -> None:
            text = f"{counted}{visible(doing)}: {visible(path)}"
            with self._lock:
                if self._terminal:
                    sys.stderr.write(CLEAR + text[: shutil.get_terminal_size().columns - 1])
                elif time.monotonic() - self._told >= SECONDS_BETWEEN:
                    self._told = time.monotonic()
                    sys.stderr.write(f"initaudit: {text}\n")
                sys.stderr.flush()

        return show


@contextmanager
def progress(total: int, *, quiet: bool) -> Iterator[Progress | None]:
    """A line for `total` models, erased at the end; None where nobody wants it."""
    if quiet:
        yield None
        return
    terminal = sys.stderr.isatty()
    try:
        yield Progress(total, terminal=terminal)
    finally:
        if terminal:
            sys.stderr.write(CLEAR)
            sys.stderr.flush()
