"""A process of this package beside the one that was called: started, listened to, and ended with all that it started.

It reads frames on stdin and writes frames on stdout (see `initaudit.frames`).
"""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from initaudit.frames import Frame, GarbledFrameError, read_frame, write_frame

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

ONE_THREAD = dict.fromkeys(
    ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"), "1"
)
"""For numpy's own products in the process: their last bits depend on the number of threads, which would be that of the cores."""
STARTER = """
import sys
sys.path.insert(0, sys.argv.pop())
import importlib
main = importlib.import_module(sys.argv.pop()).main
del sys.path[0]
main()
"""
"""What a process runs: `main` of a module of this very package, wherever the parent imported it from. Nothing else is imported from
there, and (`-P`) nothing from the current directory: a model's folder may hold anything."""


def python(module: str, *arguments: str) -> list[str]:
    """The command that calls `main()` of a module of this package, which finds the arguments in `sys.argv[1:]`."""
    return [sys.executable, "-P", "-c", STARTER, *arguments, module, str(Path(__file__).resolve().parents[1])]


SIGNALLED = 128
"""Exit codes above are the number of a signal beyond it, as shells have it."""
PR_SET_PDEATHSIG = 1
"""prctl(2): the signal that the process gets when its parent ends."""


class Process:
    """As a context manager it is gone at the end, whatever happens."""

    def __init__(self, command: Sequence[str], *, stderr: int | None) -> None:
        """Start it in a session of its own: what it forks is ended with it, and Ctrl-C in a terminal is the parent's. Raises OSError, or RuntimeError where no thread can listen to it.

        `stderr` as for `subprocess.Popen`.
        """
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            start_new_session=True,
            env={**os.environ, **ONE_THREAD},
        )
        self._frames: queue.SimpleQueue[Frame | GarbledFrameError] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read_frames, daemon=True)
        try:
            self._reader.start()
        except RuntimeError:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def pid(self) -> int:
        """Process id, also its process group; until `close` no other process can have it."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the process still runs. One that has ended keeps its id, for it is only looked at, not waited for."""
        if self._process.returncode is not None:
            return False
        if not hasattr(os, "waitid"):
            return self._process.poll() is None
        try:
            return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None
        except ChildProcessError:  # this process has its children reaped by the system: the id is free
            return self._process.poll() is None

    def close(self) -> None:
        """Kill the process and everything it started; wait for it. Harmless when it is gone already."""
        self._end()
        heard = has_ended(self._reader)
        for stream in (self._process.stdin, self._process.stdout if heard else None, self._process.stderr):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()

    def _end(self) -> int:
        """Kill the process group; the exit code."""
        self._kill()
        return self._process.wait()

    def _kill(self) -> None:
        """Kill the process group, as long as its id is its own."""
        if self.alive or self._process.returncode is None:  # once waited for, the id may be that of another process
            with contextlib.suppress(ProcessLookupError, PermissionError):
                if os.name == "posix":
                    os.killpg(self.pid, signal.SIGKILL)
                else:
                    self._process.kill()

    def _sender(self, frame: Frame) -> threading.Thread:
        """A thread, not started yet, that hands over a frame: the pipe may be full for as long as the process pleases."""
        return threading.Thread(target=self._send, args=(frame,), daemon=True)

    def _send(self, frame: Frame) -> None:
        stream: Any = self._process.stdin
        with contextlib.suppress(OSError, ValueError):  # a process that is gone shows itself where it is listened to
            write_frame(stream, frame)
        frame.blobs.clear()

    def _next_frame(self, seconds: float) -> Frame | GarbledFrameError | None:
        """What it said, or None where that was nothing for so long."""
        try:
            return self._frames.get(timeout=seconds)
        except queue.Empty:
            return None

    def _pending(self) -> bool:
        """Whether an answer may still come: the process runs or left something unread."""
        if self.alive:
            return True
        self._kill()  # what it has forked may hold its end of the pipe
        return self._reader.is_alive() or not self._frames.empty()

    def _read_frames(self) -> None:
        stream: Any = self._process.stdout
        try:
            while (frame := read_frame(stream)) is not None:
                self._frames.put(frame)
        except (GarbledFrameError, OSError, ValueError):
            self._frames.put(GarbledFrameError())


def has_ended(thread: threading.Thread) -> bool:
    """Whether a thread has ended, or was never started; it is given a second."""
    if thread.ident is not None:
        thread.join(timeout=1.0)
    return not thread.is_alive()


def signal_name(code: int) -> str:
    """The name of the signal that a process with this (negative) exit code was ended by."""
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"


def size_in_words(size: int) -> str:
    """`1.5 GiB` or `20 MiB`."""
    return f"{size / 2**30:.1f} GiB" if size >= 2**30 else f"{size / 2**20:.0f} MiB"


def end_with(parent: int) -> None:
    """End this process, whatever it is doing, as soon as the parent with this process id ends, where the system can be told so (Linux)."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.name == "posix" and os.getppid() != parent:
        os._exit(1)
