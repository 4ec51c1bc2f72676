"""How much work a call is, the same on every machine and under any load."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any


def lines_of(call: Callable[[], object]) -> int:
    """Lines of Python that run."""
    count = 0

    def trace(_: FrameType, event: str, __: Any) -> Any:
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        call()
    finally:
        sys.settrace(before)
    return count


def growth(make: Callable[[int], Callable[[], object]], size: int) -> float:
    """Times that the work becomes more for a thing of twice the size: 2 where it is linear, 4 where it is quadratic.

    `make` prepares the thing, which does not count, and gives what is to be done with it.
    """
    make(size)()  # what is imported or remembered for ever
    return lines_of(make(2 * size)) / lines_of(make(size))
