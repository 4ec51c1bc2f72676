"""Task: work on one file that a worker process does, and the limits that it does it under."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

T = TypeVar("T")

STARTING_SECONDS = 10.0
"""Beyond the probe's own time, for a file of no size. A judgement: imports and graph walks take less than one on a slow machine."""
SLOWEST_BYTES_PER_SECOND = 20e6
"""Slower than that no medium is read and weighed: weighing runs at some 500 MB/s (`benchmarks/speed.py`), a network file system at 50."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one task may take."""

    seconds: float
    """From the beginning of the work, for a file of no size; its bytes add to it."""
    memory: int
    """Bytes of private memory of the worker; those of the probe's process count for themselves."""
    seconds_option: str = "--timeout"
    memory_option: str = "--max-memory"
    """What the two are raised by."""

    @classmethod
    def of(cls, *, timeout: float, max_memory: int) -> Limits:
        """From the options of an audit: `timeout` holds for the probe, and as long again for everything else."""
        return cls(seconds=2 * timeout + STARTING_SECONDS, memory=max_memory)


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """What a task tells while it is done."""

    doing: Callable[[str], None]
    """Takes a phrase such as `measuring the forward signal`."""
    weighs: Callable[[int], None]
    """Takes a number of bytes that exist and must be read: the time limit grows with them."""
    repeats: Callable[[int], None]
    """Takes how many more times than once the work may take the time of the limits."""


def _here() -> str | None:
    try:
        return str(Path.cwd())
    except OSError:
        return None


@dataclass(frozen=True, slots=True)
class Task(Generic[T]):
    """A function at the top of a module, and what it is called with; both are pickled."""

    work: Callable[..., T]
    """Called with `watch` as a keyword beside the arguments."""
    arguments: tuple[Any, ...]
    limits: Limits
    folder: str | None = field(default_factory=_here)
    """Working directory, which relative paths are meant from; None where they mean the same everywhere, or there is none any more."""
    imports: str = ""
    """A module with what the work needs, imported before its time counts."""
