"""The process that cases run in: with a limit of memory and one of processor time, and replaced when it dies."""

from __future__ import annotations

import faulthandler
import multiprocessing
import resource
import signal
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from tests.fuzz.case import Case, make_case

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

MEMORY = 2 << 30
"""Bytes of data that the process may hold: half of what the probe of a command may by default."""
SECONDS = 20.0
"""Processor time of a case, files of some kilobytes; the load of the machine does not count."""
ASLEEP = 900.0
"""Seconds of the clock after which a case counts as asleep: on a busy machine the processor's come slowly."""
TIRED = 1000
"""Cases after which the process is replaced."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a case ended, and what it took of the process that stands for the command's own."""

    what: str
    """As `outcome` says it; `!time`, `!asleep` or `!died` with the place or the signal where the process did not survive."""
    seconds: float
    """Of the processor."""
    memory: int
    """Most bytes resident."""
    origin: str
    kinds: str


class Worker:
    """One process for cases, one at a time. Use as a context manager."""

    def __init__(self, memory: int = MEMORY, seconds: float = SECONDS) -> None:
        self.memory, self.seconds = memory, seconds
        self.replaced = 0
        """How often the process died."""
        self._process: Any = None
        self._served = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def run(self, case: Case | tuple[int, int]) -> Ended:
        """How the case ended, or that of a number and a seed."""
        if self._process is None or self._served >= TIRED:
            self._start()
        self._served += 1
        self._pipe.send(case)
        if self._pipe.poll(ASLEEP):
            try:
                return self._pipe.recv()
            except (EOFError, ConnectionError):
                what = self._obituary()
        else:
            what = "!asleep"
        seconds = self.seconds
        self._end()
        self.replaced += 1
        made = case if isinstance(case, Case) else make_case(*case)
        return Ended(what=what, seconds=seconds, memory=0, origin=made.origin, kinds=made.kinds)

    def _start(self) -> None:
        self._end()
        self._errors = tempfile.NamedTemporaryFile(prefix="fuzz-errors-")  # noqa: SIM115  as long as the process
        self._pipe, theirs = multiprocessing.Pipe()
        arguments = (theirs, self._errors.name, self.memory, self.seconds)
        self._process = multiprocessing.get_context("spawn").Process(target=_serve, args=arguments, daemon=False)
        self._process.start()
        theirs.close()
        self._pipe.recv()  # EOFError where it cannot start
        self._served = 0

    def _obituary(self) -> str:
        self._process.join(10.0)
        code = self._process.exitcode
        if code == -signal.SIGPROF:
            lines = [line.strip() for line in Path(self._errors.name).read_text(errors="replace").splitlines()]
            ours = next((line for line in lines if "/initaudit/" in line and line.startswith("File")), "somewhere")
            place = ours.replace('"', "").split(" in ")[-1]
            return f"!time, in {place}"
        return f"!died of {signal.Signals(-code).name if code and code < 0 else code}"

    def _end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._pipe.close()
            self._errors.close()
            self._process = None


def _serve(pipe: Connection, errors: str, memory: int, seconds: float) -> None:
    """Run what comes through the pipe until it closes."""
    from tests.fuzz.outcome import outcome

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the one who asks ends it
    with Path(errors).open("w") as stream:
        faulthandler.enable(stream)
        faulthandler.register(signal.SIGPROF, stream, all_threads=False, chain=True)  # says where, and dies
        pipe.send(None)
        while True:
            try:
                case = pipe.recv()
            except EOFError:
                return
            made = make_case(*case) if isinstance(case, tuple) else case
            Path("/proc/self/clear_refs").write_text("5")  # the peak counts from now
            begun = time.process_time()
            signal.setitimer(signal.ITIMER_PROF, seconds)
            what = outcome(made)
            signal.setitimer(signal.ITIMER_PROF, 0)
            taken = time.process_time() - begun
            try:
                pipe.send(Ended(what=what, seconds=taken, memory=_peak(), origin=made.origin, kinds=made.kinds))
            except BrokenPipeError:  # who asked is gone
                return


def _peak() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) * 1024
