"""main(): the entry point. The worker that a command will need is started before the command line is imported; both take their time."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from types import FrameType
from typing import NoReturn

from initaudit.process import SIGNALLED

WORKED = {
    "check": "initaudit.auditor",
    "fix": "initaudit.fixing.fixer",
    "compare": "initaudit.starts.compare",
    "inspect": "initaudit.extraction.extract",
    "diff": "initaudit.auditor",
    "baseline": "initaudit.auditor",
}
"""Commands that read models, and the module with the work of each."""
WITHOUT_PROBE = ("none", "--probe=none")
"""Words of a command line that is likely to want no probe."""
ENDINGS = (signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else []))
"""Signals that end a process which does not handle them. SIGINT Python handles itself."""


def main() -> NoReturn:
    """Entry point: every failure is one line on stderr and exit code 2; 1 is kept for findings."""
    # The matrices of a statistics pass fit into a cache: a second BLAS thread costs more than it gives. Before numpy is imported.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    for number in ENDINGS:
        if signal.getsignal(number) is signal.SIG_DFL:  # nohup ignores the second one
            signal.signal(number, _end)
    occupy()
    _prestart(sys.argv[1:])
    try:
        from initaudit.cli import run
        from initaudit.cli.gate import EXIT_ERROR
        from initaudit.cli.streams import flushed
    except KeyboardInterrupt:
        sys.exit(SIGNALLED + signal.SIGINT)
    code = run(sys.argv[1:])
    for number in (signal.SIGINT, *ENDINGS):
        signal.signal(number, signal.SIG_IGN)  # what is left takes milliseconds, and an exception in it would be shown
    sys.exit(flushed(code, EXIT_ERROR))


def occupy() -> None:
    """Give the descriptors that the caller closed something to stand for, or the next file opened would be standard output.

    Writing to a closed standard output fails, as it would; what goes to a closed standard error is wanted by nobody.
    """
    for number, mode in ((0, os.O_RDONLY), (1, os.O_RDONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, mode), True)
    if sys.stdout is None:
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115  open as long as the process
    if sys.stderr is None:
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115


def _prestart(arguments: list[str]) -> None:
    """Start the worker that the command will need: another core is free."""
    module = WORKED.get(arguments[0]) if arguments else None
    if module is None or not {"-h", "--help"}.isdisjoint(arguments):
        return
    from initaudit.engines.process import prestart

    words = [*arguments, os.environ.get("INITAUDIT_PROBE", "")]
    with contextlib.suppress(OSError, RuntimeError):  # told where it is needed
        prestart(module, probes=module != WORKED["inspect"] and not any(word in WITHOUT_PROBE for word in words))


def _end(number: int, frame: FrameType | None) -> NoReturn:
    """Leave by an exception, so that temporary files and child processes go too."""
    del frame
    for again in ENDINGS:
        signal.signal(again, signal.SIG_IGN)  # the way out is short, and a second signal must not cut it
    raise SystemExit(SIGNALLED + number)
