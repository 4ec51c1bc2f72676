"""Which process probes what: one process serves many models, as long as none of them leaves a trace in it.

Starting a process and importing onnxruntime takes longer than probing a small network. A process that has answered is kept for the
next job of the process that started it. It is not kept when a job was its last (it crashed, was aborted, or something of our own failed
in it), when it has served MOST_JOBS, or when it holds more memory than before it had work: then the next job has a fresh one.
"""

from __future__ import annotations

import atexit
import os
from typing import TYPE_CHECKING, Any

from initaudit.errors import ProbeError
from initaudit.memory import private_memory
from initaudit.probe.process import Aborted, Child

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

__all__ = ["Aborted", "Child", "discard_spare", "prestart", "run_child"]

MOST_JOBS = 64
"""Jobs of one process. A judgement: its start is then below one part in fifty of the work, and a leak has no time to grow."""
MOST_KEPT_BYTES = 128 << 20
"""Private memory with which a process is kept: three times the 43 MiB that it holds once it has imported everything and cleared up."""

_idle: list[tuple[int, Child]] = []
"""Children without work, each with the id of the process that started it: a fork must not share it."""
_busy: list[tuple[int, Child]] = []
"""Children at work, likewise."""


def prestart() -> None:
    """Start a process for the next probe now, so that its imports run beside the parent's own work; nothing where there is one.

    `run_child` takes it; without one it ends with the parent. Where no process can be started now, `run_child` tries again, and tells.
    """
    if any(owner == os.getpid() for owner, _ in (*_idle, *_busy)):
        return
    try:
        _keep(Child())
    except ProbeError:
        return


def discard_spare() -> None:
    """End the children of this process that have no work."""
    while _idle:
        owner, child = _idle.pop()
        if owner == os.getpid():
            child.close()


def run_child(
    job: dict[str, Any],
    blobs: list[bytes] | None = None,
    *,
    timeout: float,
    max_memory: int,
    progress: Callable[[str], None] | None = None,
    stop: threading.Event | None = None,
) -> dict[str, Any]:
    """Give the job to a child, return its result; arguments and errors as for `Child.submit`."""
    entry = (os.getpid(), _take())
    _, child = entry
    _busy.append(entry)
    try:
        return child.submit(job, blobs, timeout=timeout, max_memory=max_memory, progress=progress, stop=stop)
    finally:
        _busy.remove(entry)
        _keep(child)


def _take() -> Child:
    """An idle child that can be trusted with another job, or a new one. Raises ProbeError."""
    while _idle:
        owner, child = _idle.pop()
        if owner != os.getpid():
            continue
        if child.is_ready and private_memory(child.pid) <= MOST_KEPT_BYTES:
            return child
        child.close()
    return Child()


def _keep(child: Child) -> None:
    """Have the child at hand for the next job, unless there is one, or it is at its end."""
    if child.alive and child.served < MOST_JOBS and not any(owner == os.getpid() for owner, _ in _idle):
        _idle.append((os.getpid(), child))
        atexit.unregister(discard_spare)
        atexit.register(discard_spare)
    else:
        child.close()
