"""A fix as a task for a worker."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from initaudit.engines.auditing import in_worker
from initaudit.report.outcome import Outcome, outcome

if TYPE_CHECKING:
    from initaudit.engines.auditing import Subject
    from initaudit.fixing.options import FixOptions
    from initaudit.fixing.undo import Undone
    from initaudit.task import Watch


@dataclass(frozen=True, slots=True, kw_only=True)
class Fixed:
    """What is kept of a fix."""

    part: Mapping[str, Any]
    """What the JSON document says of it under `fix`."""
    now: Outcome
    """Of the model as it is now."""
    exit_code: int


def fix_in_worker(subject: Subject, output: Path | None, options: FixOptions) -> Fixed:
    """As `initaudit.fixing.fixer.fix`, by a worker under the limits of the options. Raises what that raises, and LostWorker."""
    return in_worker(subject, _fix, output, options)


def undo_in_worker(subject: Subject, original: str, output: Path | None, *, force: bool) -> Undone:
    """As `initaudit.fixing.undo.undo`, by a worker. Raises what that raises, and LostWorker."""
    return in_worker(subject, _undo, original, output, force)


def _fix(subject: Subject, output: Path | None, options: FixOptions, watch: Watch) -> Fixed:
    from initaudit.fixing.document import fix_part
    from initaudit.fixing.fixer import exit_code, fix

    watch.doing("reading")
    model, config, _ = subject.load()
    watch.weighs(model.bytes_on_disk)

    def begins() -> None:
        watch.repeats(1)
        watch.weighs(2 * model.bytes_on_disk)  # copied or written, and weighed

    watch.doing("fixing")
    source = model if subject.content is not None else subject.name
    result = fix(source, output, config, options, begins)
    return Fixed(part=fix_part(result), now=outcome(result.now), exit_code=exit_code(result, config.fail_on))


def _undo(subject: Subject, original: str, output: Path | None, force: bool, watch: Watch) -> Undone:
    from initaudit.fixing.undo import undo

    watch.doing("restoring")
    source, _, _ = subject.load()
    watch.weighs(4 * source.bytes_on_disk)
    return undo(source if subject.content is not None else subject.name, original, output, force=force)
