"""One line on stderr that says what is being done, where a person watches; nothing elsewhere."""

from __future__ import annotations

import shutil
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from initaudit.formats.printing import visible

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CLEAR = "\r\x1b[K"
"""Back to the start of the line and erase it (ECMA-48, EL)."""


class Progress:
    """The line; several audits may write to it from their threads."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._lock = threading.Lock()

    def of(self, index: int, path: str) -> Callable[[str], None]:
        """What to call with a phrase such as `measuring the forward signal`."""
        counted = f"[{index}/{self._total}] " if self._total > 1 else ""

        def show(doing: str) -> None:
            text = f"{counted}{visible(doing)}: {visible(path)}"
            with self._lock:
                sys.stderr.write(CLEAR + text[: shutil.get_terminal_size().columns - 1])
                sys.stderr.flush()

        return show


@contextmanager
def progress(total: int, *, quiet: bool) -> Iterator[Progress | None]:
    """A line for `total` models, erased at the end; None where stderr is no terminal or nobody wants it."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    try:
        yield Progress(total)
    finally:
        sys.stderr.write(CLEAR)
        sys.stderr.flush()
