"""race(): the network trained from every start, and what came of it in every form."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from initaudit.auditor import audit
from initaudit.errors import NotTrainable, UsageError
from initaudit.judgement.recommended import one_for_all
from initaudit.racing.contest import Contest
from initaudit.racing.data import digits_task, labels_task, task_from_arrays, task_from_file, teacher_task
from initaudit.racing.drawing import Draw, draw, lighter
from initaudit.racing.interface import interface_of
from initaudit.racing.norms import with_norms
from initaudit.racing.task import CLASSIFY
from initaudit.remembering import remembering
from initaudit.starts.ranking import Ranking

if TYPE_CHECKING:
    from initaudit.config import Config
    from initaudit.format import Format, FormatOptions
    from initaudit.model.load import Source
    from initaudit.racing.contest import Until
    from initaudit.racing.interface import Interface
    from initaudit.racing.options import RaceOptions
    from initaudit.racing.task import Task
    from initaudit.racing.trainee import Trainee
    from initaudit.report.report import Report

MADE = 1024
"""Examples that are made where none are given. A judgement: some batches more than a short race sees, a few megabytes."""
FEW = 8
"""Examples that show what the network takes. A judgement: more than are needed to see which axis counts them."""
DIGITS, TEACHER, LABELS = "digits", "teacher", "labels"
"""Tasks that need no file."""
EVERY_TARGET = "*=auto"
"""The scheme of a teacher: every layer by what is recommended for it."""

Made: TypeAlias = "Callable[[Draw, Interface, Task], Trainee]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Race(Ranking):
    """A network raced from several starts, the fastest first; `winner` is None where none reached the target."""

    def _shown(self, form: Format, looks: FormatOptions) -> str:
        return form.race(self.document, looks)


def needs_torch(device: str = "cpu", *, converter: bool = True) -> None:
    """Raises UsageError where torch, or what turns models into its modules, is missing, or it has no such device."""
    try:
        import torch

        if converter:
            import onnx2fx  # noqa: F401
    except ImportError as error:
        raise UsageError(f"{error}; races need the extra torch: pip install 'initaudit[torch]'") from error
    try:
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError, NotImplementedError, TypeError) as error:
        raise UsageError(f"device {device!r}: {str(error).strip().splitlines()[0]:.200}") from error


@np.errstate(all="ignore")  # as in an audit: what is not finite is found and reported
def race(
    source: Source,
    data: str | Mapping[str, np.ndarray],
    config: Config,
    options: RaceOptions,
    *,
    make: Made | None = None,
    progress: Callable[[str], None] = lambda _: None,
    until: Until | None = None,
    command: Sequence[str] | None = None,
) -> Race:
    """Train the network from each start.

    Args:
        source: as for `audit`.
        data: an .npz file, arrays by name, or digits, teacher or labels.
        config: options of the audits; the seed is that of the first draw.
        options: who races, and how they are trained.
        make: gives the module for a draw whose model has all tensors, the output and the task; the converter where None.
        progress: called with what is being done.
        until: ends the runs early; by Ctrl-C where None.
        command: the command line, for the document.

    Raises:
        NotTrainable: it cannot be trained, and why.
        ModelError, UsageError, ProbeError: as for `initaudit.starts.compare.compare`.
        KeyboardInterrupt: before any run was finished.
    """
    started = datetime.now(UTC)
    with remembering(), one_for_all():
        progress("measuring as-is")
        itself = audit(source, config)
        assert itself.audit is not None
        examples = MADE if isinstance(data, str) and data in (TEACHER, LABELS) else FEW
        interface = interface_of(itself.audit.model, config, examples=examples, output=options.output)
        draws: list[Draw] = []
        base: Draw | None = None
        for scheme in options.schemes:
            progress(f"measuring {scheme}")
            one = draw(itself, scheme, config, options.drawn, predict=True)
            if one.model is not None and (base is None or len(one.split) > len(base.split)):
                base = one
            draws.append(lighter(one, len(options.schemes)))
    if base is None:
        raise NotTrainable(f"{itself.path}: {draws[0].start.why}")
    task = _task(data, interface, itself, config, options)
    if options.target is not None and options.target <= task.chance:
        raise UsageError(f"target: {options.target:g} is not above chance ({task.chance:.2f}), which needs no learning")
    contest = Contest(
        itself=itself, draws=draws, base=base, trainee=(make or _converted)(base, interface, task), config=config,
        options=options, task=task, interface=interface, progress=progress,
    )  # fmt: skip
    return Race(document=contest.hold(until, started, command))


def _task(
    data: str | Mapping[str, np.ndarray],
    interface: Interface,
    itself: Report,
    config: Config,
    options: RaceOptions,
) -> Task:
    if not isinstance(data, str):
        return task_from_arrays("data", data, interface)
    if data == DIGITS:
        return digits_task(interface)
    if data == LABELS:
        return labels_task(interface, config.seed)
    if data == TEACHER:
        return teacher_task(interface, _teacher(interface, itself, config, options))
    return task_from_file(data, interface)


def _teacher(interface: Interface, itself: Report, config: Config, options: RaceOptions) -> np.ndarray:
    """Answers [examples, ...] of a draw that no start gets."""
    from initaudit.probe.session import open_session, run_session
    from initaudit.racing.rewriting import flattened

    own = replace(config, seed=config.seed + options.seeds)
    teacher = draw(itself, EVERY_TARGET, own, options.drawn, predict=False)
    if teacher.model is None:
        raise NotTrainable(f"{itself.path}: no teacher can be drawn: {teacher.start.why}")
    session = open_session(flattened(teacher.model), teacher.model.folder)
    size = interface.fixed or FEW
    pieces = []
    for first in range(0, interface.examples // size * size, size):
        batch = batch_of(interface, first, size)
        pieces.append(np.moveaxis(run_session(session, [interface.answer], batch)[0], interface.axis, 0))
    return np.concatenate(pieces)


def batch_of(task: Interface | Task, first: int, size: int) -> dict[str, np.ndarray]:
    """Some examples, as the model takes them."""
    return {
        name: array if (axis := task.axes[name]) is None else np.moveaxis(array[first : first + size], 0, axis)
        for name, array in task.inputs.items()
    }


def _converted(base: Draw, interface: Interface, task: Task) -> Trainee:
    from initaudit.racing.conversion import check, converted

    assert base.model is not None
    model = with_norms(base.model)
    trainee, squashed = converted(model, interface.answer, classes=task.kind == CLASSIFY)
    size = interface.fixed or FEW
    check(trainee, model, interface.answer, batch_of(interface, 0, size), squashed=squashed)
    return trainee
