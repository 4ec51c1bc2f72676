"""The audit of one model as a task for a worker, and without one for callers that trust the file."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

from initaudit.engines.process import do
from initaudit.errors import InitauditError, LostWorker, internal_error
from initaudit.report.outcome import Outcome, ShapesTold, outcome
from initaudit.task import Limits, Task

if TYPE_CHECKING:
    from initaudit.config import Config
    from initaudit.model.load import Model
    from initaudit.report.report import Report
    from initaudit.task import Watch

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A model to audit, and how."""

    name: str
    """What reports call it."""
    config: Config
    content: bytes | None = None
    """Its bytes, where it is no file."""
    demanded: frozenset[str] = frozenset()
    """Inputs that must have the shape that the options give them; shapes of others hold where they fit."""
    readers: int | None = None
    """Processes that read its large weights; None for as many as there are cores, a few at most."""

    @property
    def limits(self) -> Limits:
        """What an audit of it may take."""
        return Limits.of(timeout=self.config.timeout, max_memory=self.config.max_memory)

    def load(self) -> tuple[Model, Config, ShapesTold]:
        """The model, the options with those input shapes only that it can have, and what became of the shapes. Raises ModelError."""
        from initaudit.model.load import load_model

        model = load_model(self.name if self.content is None else self.content, name=self.name)
        if not self.config.input_shapes:
            return model, self.config, ShapesTold()
        return model, *fitting_shapes(model, self.config, self.demanded)


def fitting_shapes(model: Model, config: Config, demanded: Collection[str] = ()) -> tuple[Config, ShapesTold]:
    """Options with those input shapes only that the model can have or that are `demanded`, and what became of all."""
    from initaudit.probe.inputs.ports import misfits

    wrong = {name: why for name, why in misfits(model.proto, config.input_shapes).items() if name not in demanded}
    told = ShapesTold(
        used=set(config.input_shapes) - set(wrong),
        misfits=[f"{model.label}: {why}" for why in wrong.values() if why],
    )
    fitting = {name: shape for name, shape in config.input_shapes.items() if name not in wrong}
    return replace(config, input_shapes=fitting), told


def audit_here(subject: Subject, watch: Watch | None = None) -> tuple[Report, ShapesTold]:
    """The report, made in this process; of a model that cannot be audited one with the reason. No exception but those that end a process."""
    from initaudit.auditor import audit, failed

    told = ShapesTold()
    try:
        if watch is not None:
            watch.doing("reading")
        model, config, told = subject.load()
        if watch is not None:
            watch.weighs(model.bytes_on_disk)
            watch.doing("measuring the weights")
        return audit(model, config, watch.doing if watch is not None else None, subject.readers), told
    except InitauditError as error:
        return failed(subject.name, str(error), subject.config), told
    except MemoryError:
        return failed(subject.name, f"{subject.name}: out of memory", subject.config), told
    except Exception as error:  # noqa: BLE001  a bug, and still one line
        return failed(subject.name, f"{subject.name}: {internal_error(error)}", subject.config), told


def in_worker(
    subject: Subject, work: Callable[..., Answer], *arguments: Any, progress: Callable[[str], None] | None = None
) -> Answer:
    """What `work(subject, *arguments, watch=...)` returns, done by a worker under the limits of the options.

    Raises what it raises, and LostWorker that names the model.

    Args:
        subject: the model that the work is about.
        work: a function at the top of a module.
        arguments: of it, beside the subject.
        progress: called with a phrase for what is being done.
    """
    try:
        return do(Task(work, (subject, *arguments), subject.limits), progress)
    except LostWorker as error:
        raise LostWorker(f"{subject.name}: {error}") from error


def audit_task(subject: Subject, *, exit_zero: bool = False) -> Task[Outcome]:
    """What is kept of the report, made under the limits of the options."""
    return Task(_audit, (subject, exit_zero), subject.limits)


def lost(subject: Subject, error: InitauditError) -> Outcome:
    """What is kept of a model whose task came to nothing."""
    from initaudit.auditor import failed  # with all that an audit imports, which this process does without

    return outcome(failed(subject.name, f"{subject.name}: {error}", subject.config))


def refused(name: str, error: InitauditError) -> Outcome:
    """What is kept of a model whose options contradict themselves."""
    from initaudit.auditor import failed

    return outcome(failed(name, str(error)))


def _audit(subject: Subject, exit_zero: bool, watch: Watch) -> Outcome:
    report, told = audit_here(subject, watch)
    return outcome(report, told, exit_zero=exit_zero)
