"""A package with a rule that does to its process what the name of the model says."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from initaudit.findings import Finding, Severity
from initaudit.rule import Rule

if TYPE_CHECKING:
    from initaudit.judgement.model_audit import ModelAudit

PIECE = 16 << 20
"""Bytes that the bomb takes at once, slowly enough to be seen."""


class Fault(Rule):
    """The process that audits the model comes to harm."""

    code = "FLT001"
    name = "fault"
    severity = Severity.ERROR

    def check(self, audit: ModelAudit) -> Iterator[Finding]:
        """None is ever made."""
        path = audit.model.path
        assert path is not None
        match path.stem.partition("-")[0]:
            case "poison":
                os.kill(os.getpid(), signal.SIGKILL)
            case "hang":
                path.with_suffix(".seen").touch()
                time.sleep(600)
            case "bomb":
                held = []
                while True:
                    held.append(bytearray(b"1") * PIECE)
                    time.sleep(0.01)
            case "glut":
                bytearray(1 << 40)
            case "bug":
                raise ZeroDivisionError("by zero")
            case "once" if _first_time(path):
                os.kill(os.getpid(), signal.SIGKILL)
            case "unlucky" if _first_time(path):
                os.kill(os.getppid(), signal.SIGKILL)
                time.sleep(600)  # it ends with its parent
            case "slow":
                time.sleep(0.3)
        yield from ()


def _first_time(path: Path) -> bool:
    try:
        path.with_suffix(".seen").touch(exist_ok=False)
    except FileExistsError:
        return False
    return True
