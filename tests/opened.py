"""Whether a file is opened, by whatever process and library: Linux tells whoever asks (inotify)."""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path
from typing import Self

import pytest

IN_OPEN = 0x20
"""The event, from `sys/inotify.h`; several in a row may come as one."""


class Watch:
    """Whether `file` was `opened` inside the `with`; known at its end."""

    def __init__(self, file: Path) -> None:
        if not sys.platform.startswith("linux"):
            pytest.skip("only Linux tells")
        self.file, self.opened = file, False

    def __enter__(self) -> Self:
        libc = ctypes.CDLL(None, use_errno=True)
        self._events = libc.inotify_init1(os.O_NONBLOCK)
        assert libc.inotify_add_watch(self._events, os.fsencode(self.file), IN_OPEN) >= 0
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.opened = bool(os.read(self._events, 1 << 16))
        except BlockingIOError:
            self.opened = False
        finally:
            os.close(self._events)
