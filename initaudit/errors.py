"""The tree of exceptions. Each becomes one line on stderr and exit code 2; none shows a traceback to a user.

InitauditError
├── ModelError            the file cannot be audited at all
│   ├── UnreadableModel   missing, not ONNX, truncated, a Git LFS pointer, ...
│   ├── InvalidModel      parses, but contradicts itself (cycle, undeclared value, wrong byte count, ...)
│   └── ExternalDataError external data missing, too short or outside the model's folder
├── UnsupportedWeight     one weight cannot be read or seen through; it is listed as skipped, the audit goes on
├── ProbeError            the signal cannot be measured; the static audit stands
├── LostWorker            the process that worked on the file ended, or was killed at a limit
├── LostEngine            what hands out the work is gone; what is finished stands
├── NotTrainable          `race` cannot train it: an operator has no way to torch, or a weight is no float
├── FixRefused            `fix` would do harm or cannot do what was asked; nothing is written
└── UsageError            options or configuration that contradict themselves
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class InitauditError(Exception):
    """Base of every error that initaudit raises on purpose; its text is one line for the user."""

    def __str__(self) -> str:
        return " ".join(super().__str__().split())


class ModelError(InitauditError):
    """The model cannot be audited."""


class UnreadableModel(ModelError):
    """The bytes are not an ONNX model, or cannot be read."""


class InvalidModel(ModelError):
    """The model parses but contradicts itself."""


class ExternalDataError(ModelError):
    """External tensor data is missing, too short, or outside the folder of the model."""


class UnsupportedWeight(InitauditError):
    """One stored weight cannot be read or followed to its operator; the reason goes into the coverage list."""


class ProbeError(InitauditError):
    """The signal could not be measured; the static audit stands."""


class LostWorker(InitauditError):
    """The process that worked on a file ended without an answer, or was killed at a limit; other files are not concerned."""

    CRASHED, TIMEOUT, MEMORY, BUG = "crashed", "timeout", "memory", "internal-error"

    def __init__(self, *arguments: object, cause: str = CRASHED) -> None:
        """`cause` is one of CRASHED, TIMEOUT, MEMORY (limits), and BUG (it raised what it should not)."""
        super().__init__(*arguments)
        self.cause = cause


class LostEngine(InitauditError):
    """What hands out the work is gone, so that nothing more is done; what is finished stands."""


class NotTrainable(InitauditError):
    """The network cannot be trained here, and why."""


class FixRefused(InitauditError):
    """Nothing was written, because it would do harm or cannot be done."""


class UsageError(InitauditError):
    """Options or configuration that cannot be followed."""


def internal_error(error: Exception) -> str:
    """A bug in one line: where and what."""
    import os
    import traceback
    from pathlib import Path

    if os.environ.get("INITAUDIT_DEBUG"):
        traceback.print_exception(error)
    frame = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{Path(frame.filename).name}:{frame.lineno}"
    detail = " ".join(f"{type(error).__name__}: {error}".split())
    return f"internal error at {where}: {detail} (a bug; INITAUDIT_DEBUG=1 shows the traceback)"


def similar(word: str, known: Iterable[str]) -> str:
    """`; did you mean batch?` where one of `known` is nearly `word`; nothing where none is."""
    by_lower = {name.lower(): name for name in known}
    close = get_close_matches(word.lower(), by_lower, n=1)
    return f"; did you mean {by_lower[close[0]]}?" if close else ""
