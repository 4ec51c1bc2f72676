"""The comparison of a network's starts as a task for a worker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from initaudit.engines.auditing import in_worker

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from initaudit.engines.auditing import Subject
    from initaudit.fixing.options import FixOptions
    from initaudit.task import Watch


def starts_in_worker(
    subject: Subject,
    schemes: Sequence[str],
    drawn: FixOptions,
    command: Sequence[str] | None = None,
    progress: Callable[[str], None] | None = None,
) -> Mapping[str, Any]:
    """The document of `initaudit.starts.document`. Raises ModelError, UsageError, and LostWorker at a limit of the options."""
    document: Mapping[str, Any] = in_worker(subject, _compare, schemes, drawn, command, progress=progress)
    return document


def _compare(
    subject: Subject, schemes: Sequence[str], drawn: FixOptions, command: Sequence[str] | None, watch: Watch
) -> dict[str, Any]:
    from initaudit.starts.compare import compare

    watch.doing("reading")
    model, config, _ = subject.load()
    watch.weighs(model.bytes_on_disk)

    def begins(scheme: str) -> None:
        watch.repeats(1)
        watch.weighs(model.bytes_on_disk)
        watch.doing(f"measuring {scheme}")

    return dict(compare(model, schemes, config, drawn, begins, command=command).document)
