"""The exit code of a run: the gates of its models together, and what went wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

from initaudit.report.gate import EXIT_ERROR, EXIT_FINDINGS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from initaudit.report.outcome import Outcome

__all__ = ["EXIT_ERROR", "EXIT_FINDINGS", "exit_code"]


def exit_code(reports: Sequence[Outcome], *, failed: bool = False) -> int:
    """2 where a model could not be audited, a rule failed or a part of another package could not be used; else 1 where a gate is closed; else 0.

    Args:
        reports: of the run, each judged by the options that it was made under.
        failed: something else went wrong.
    """
    from initaudit.registry import faults

    return max((EXIT_ERROR if failed or faults() else 0, *(report.exit_code for report in reports)))
