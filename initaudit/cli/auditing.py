"""Models audited one after another, or several at once, each by a worker and under the options that hold for it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from initaudit.cli.models import STDIN, label
from initaudit.cli.stdin import read_stdin
from initaudit.engines.auditing import Subject, audit_task, lost, refused
from initaudit.errors import InitauditError
from initaudit.formats.printing import visible
from initaudit.registry import faults
from initaudit.settings.given import COMMAND_LINE

if TYPE_CHECKING:
    from initaudit.engine import Watcher
    from initaudit.report.outcome import Outcome
    from initaudit.settings.settings import Settings
    from initaudit.task import Task


def inputs_with_shapes(settings: Settings) -> frozenset[str]:
    """Inputs that the command line gives a shape."""
    given = [g.value for g in settings.given if g.name == "input_shapes" and g.source.kind == COMMAND_LINE]
    return frozenset(name for shapes in given for name in shapes)


def tell_unused(names: Collection[str]) -> None:
    """Say of inputs that the command line gives a shape that no model has them."""
    for name in sorted(names):
        click.echo(f"initaudit: error: --input-shape: no model has an input {visible(name)!r} of this shape", err=True)


def audit_all(
    paths: Sequence[str], settings: Settings, *, jobs: int, quiet: bool, content: bytes | None = None
) -> Iterator[Outcome]:
    """Reports in the order of the paths, each as soon as those before it are there too.

    A model that cannot be audited gives a report with the reason, and costs no other model its own.

    Args:
        paths: arguments, or files that they mean; of one alone the command line's input shapes must fit.
        settings: options of the run.
        jobs: models audited at the same time.
        quiet: no progress is shown.
        content: what stdin held, where it was read already.
    """
    from initaudit.cli.progress import progress
    from initaudit.engine import find_engine, in_order

    subjects: list[Subject] = []
    """Of the tasks, in their order."""
    places: list[int] = []
    """Among the paths, of each task."""
    refusals: dict[int, Outcome] = {}

    def tasks() -> Iterator[Task[Outcome]]:
        for place, path in enumerate(paths):
            try:
                subject = subject_of(path, settings, alone=len(paths) == 1, content=content)
            except InitauditError as error:
                refusals[place] = refused(label(path), error)
                continue
            subject = replace(subject, readers=readers)
            subjects.append(subject)
            places.append(place)
            yield audit_task(subject, exit_zero=settings.run.exit_zero)

    def results() -> Iterator[tuple[int, Outcome]]:
        for number, result in engine.run(tasks(), watch):
            yield from told()
            yield places[number], lost(subjects[number], result) if isinstance(result, InitauditError) else result
        yield from told()

    def told() -> Iterator[tuple[int, Outcome]]:
        while refusals:
            yield refusals.popitem()

    engine = find_engine("local", workers=min(jobs, len(paths)))
    readers = max(1, jobs // len(paths)) if jobs > 1 else None
    with progress(len(paths), quiet=quiet) as line:

        def watch(number: int) -> Watcher | None:
            return line.of(places[number] + 1, label(paths[places[number]])) if line else None

        for outcome in in_order(results()):
            yield outcome.with_faults(faults())


def subject_of(path: str, settings: Settings, *, alone: bool = True, content: bytes | None = None) -> Subject:
    """What is audited for an argument; arguments as for `audit_all`, where `path` is the only one if it is `alone`. Raises UsageError, and UnreadableModel of stdin."""
    name = label(path)
    config = settings.config(name)
    if path == STDIN and content is None:
        content = read_stdin(config)
    demanded = inputs_with_shapes(settings) if alone else frozenset()
    return Subject(name=name, config=config, content=content, demanded=demanded)
