"""Models audited one after another, or several at once, each by a worker and under the options that hold for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from initaudit.cli.models import STDIN, label, read_stdin
from initaudit.engines.auditing import Subject, audit_in_worker, refused
from initaudit.errors import UsageError
from initaudit.settings.given import COMMAND_LINE

if TYPE_CHECKING:
    from initaudit.report.outcome import Outcome
    from initaudit.settings.settings import Settings


def inputs_with_shapes(settings: Settings) -> frozenset[str]:
    """Inputs that the command line gives a shape."""
    given = [g.value for g in settings.given if g.name == "input_shapes" and g.source.kind == COMMAND_LINE]
    return frozenset(name for shapes in given for name in shapes)


def audit_all(paths: Sequence[str], settings: Settings, *, jobs: int, quiet: bool) -> Iterator[Outcome]:
    """Reports in the order of the paths, each as soon as those before it are there too."""
    from initaudit.cli.progress import progress

    alone = len(paths) == 1

    def one(path: str, watch: Callable[[str], None] | None) -> Outcome:
        return audit_one(path, settings, watch, alone=alone)

    with progress(len(paths), quiet=quiet) as line:
        watchers = [line.of(i, label(path)) if line else None for i, path in enumerate(paths, 1)]
        if min(jobs, len(paths)) == 1:
            yield from map(one, paths, watchers)
            return
        from concurrent.futures import ThreadPoolExecutor

        from initaudit.engines.process import discard

        with ThreadPoolExecutor(jobs) as pool:
            try:
                yield from pool.map(one, paths, watchers)
            finally:
                pool.shutdown(wait=False, cancel_futures=True)
                discard(everything=True)  # a thread waits for its worker, and nobody for the thread


def audit_one(
    path: str,
    settings: Settings,
    progress: Callable[[str], None] | None = None,
    *,
    alone: bool = True,
    content: bytes | None = None,
) -> Outcome:
    """The report of one path; a model that cannot be audited gives a report with the reason, and costs no other model its own.

    Args:
        path: the argument, or a file that it means.
        settings: options of the run.
        progress: called with a phrase for what is being done.
        alone: whether the command line speaks of this model alone: then its input shapes must fit.
        content: what stdin held, where it was read already.
    """
    name = label(path)
    try:
        subject = subject_of(path, settings, alone=alone, content=content)
    except UsageError as error:
        return refused(name, error)
    return audit_in_worker(subject, progress, exit_zero=settings.run.exit_zero)


def subject_of(path: str, settings: Settings, *, alone: bool = True, content: bytes | None = None) -> Subject:
    """What is audited for an argument; arguments as for `audit_one`. Raises UsageError, and UnreadableModel of stdin."""
    name = label(path)
    config = settings.config(name)
    if path == STDIN and content is None:
        content = read_stdin()
    demanded = inputs_with_shapes(settings) if alone else frozenset()
    return Subject(name=name, config=config, content=content, demanded=demanded)
