"""train(): one run, from given weights, under one optimiser at one rate, over one order of the examples."""

from __future__ import annotations

import math
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn import functional

from initaudit.racing.curve import LEARNED, WINDOW, Curve
from initaudit.racing.task import CLASSIFY

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch import Tensor

    from initaudit.racing.options import RaceOptions, Setting
    from initaudit.racing.task import Task
    from initaudit.racing.trainee import Trainee

MOMENTUM = 0.9
"""Of SGD; the usual one."""
SHARED_FROM = 1_000_000
"""Parameters from which several threads share the work: below, waiting for each other takes longer than the products (measured with an MLP
of 64, 64 and 10 units on two cores that others use as well: 90 ms a step instead of 1)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """What all runs of a race share."""

    trainee: Trainee
    task: Task
    inputs: dict[str, Tensor]
    """Of the task, on the device, examples along axis 0."""
    targets: Tensor
    spread: float
    """Variance of the targets, where they are numbers."""
    answer_axis: int
    """Of an answer, that counts examples."""
    batch: int
    """Examples in a step."""
    fixed: bool
    """Whether the model takes no other number of them."""
    trained: np.ndarray
    """Numbers of the examples that are trained on."""
    held_out: np.ndarray
    steps: int
    patience: int | None
    """Steps after which a run that is no better than chance is ended; None for all."""

    def measured(self, places: np.ndarray) -> tuple[Tensor, Tensor]:
        """Loss and metric over some examples."""
        rows = torch.as_tensor(places, device=self.targets.device)
        batch = {
            name: values if (axis := self.task.axes[name]) is None else values[rows].movedim(0, axis)
            for name, values in self.inputs.items()
        }
        answer = self.trainee.answer(batch).movedim(self.answer_axis, 0)
        targets = self.targets[rows]
        if self.task.kind != CLASSIFY:
            loss = functional.mse_loss(answer, targets)
            return loss, 1 - loss.detach() / self.spread
        logits = self._logits(answer, targets.dim())
        loss = functional.cross_entropy(logits, targets)
        return loss, (logits.detach().argmax(1) == targets).float().mean()

    def _logits(self, answer: Tensor, wanted: int) -> Tensor:
        """[examples, classes, ...] with the axes of the targets; the mean over places where an example is of one class."""
        axis = self.task.class_axis
        if axis is None:
            one = answer.reshape(len(answer))
            return torch.stack([torch.zeros_like(one), one], 1)
        logits = answer.movedim(axis, 1)
        return logits.flatten(2).mean(2) if logits.dim() > 2 and wanted == 1 else logits


def course_of(
    trainee: Trainee, task: Task, options: RaceOptions, *, batch: int, fixed: bool, answer_axis: int, seed: int
) -> Course:
    """Everything on its device; `seed` decides which examples are held out."""
    trained, held_out = task.parts(seed)
    device = options.device
    trainee.module.to(device)
    inputs = {name: torch.from_numpy(np.ascontiguousarray(_single(a))).to(device) for name, a in task.inputs.items()}
    targets = torch.from_numpy(np.ascontiguousarray(task.targets)).to(device)
    spread = max(float(task.targets.var(0).mean()), 1e-30) if task.kind != CLASSIFY else 1.0
    return Course(
        trainee=trainee, task=task, inputs=inputs, targets=targets, spread=spread, answer_axis=answer_axis,
        batch=batch, fixed=fixed, trained=trained, held_out=held_out, steps=options.steps, patience=options.patience,
    )  # fmt: skip


def _single(array: np.ndarray) -> np.ndarray:
    return array if array.dtype.kind in "iub" else array.astype(np.float32)


def train(course: Course, setting: Setting, seed: int, deadline: float | None) -> Curve:
    """Train the module as it stands; it is left as training leaves it.

    Args:
        course: what is trained on.
        setting: how.
        seed: of the order of the examples and of dropout.
        deadline: on `time.monotonic`'s clock, when the run is ended.
    """
    torch.manual_seed(seed)
    parameters = course.trainee.trained()
    optimizer = _optimizer(setting, parameters)
    course.trainee.module.train()
    batches = _batches(course, seed)
    window = max(1, round(WINDOW / course.batch))
    losses: list[float] = []
    metrics: list[float] = []
    end = "steps"
    for step in range(1, course.steps + 1):
        loss, metric = course.measured(next(batches))
        if not loss.requires_grad:
            raise RuntimeError("none of its parameters has a part in the answer")
        optimizer.zero_grad(set_to_none=True)
        value = float(loss.detach())
        if not math.isfinite(value):
            end = "diverged"
            break
        losses.append(value)
        metrics.append(float(metric))
        loss.backward()
        optimizer.step()
        if step < course.steps and _is_lost(course, metrics, window):
            end = "chance"
            break
        if deadline is not None and time.monotonic() >= deadline and step < course.steps:
            end = "time"
            break
    held_out = None
    if end == "steps" and len(course.held_out):
        held_out = _held_out(course)
    return Curve(loss=running(losses, window), metric=running(metrics, window), end=end, held_out=held_out, full=window)


def _is_lost(course: Course, metrics: Sequence[float], window: int) -> bool:
    """Whether it was waited long enough for the run to be better than chance; asked once, after those steps."""
    if course.patience is None or len(metrics) != max(course.patience, window):
        return False
    return max(running(metrics, window)[window - 1 :]) < course.task.chance + LEARNED


def running(values: Sequence[float], window: int) -> list[float]:
    """The mean of the last `window` values at each place, of as many as there are at the beginning."""
    sums = np.concatenate([[0.0], np.cumsum(values, dtype=np.float64)])
    places = np.arange(1, len(values) + 1)
    first = np.maximum(0, places - window)
    return [float(v) for v in (sums[places] - sums[first]) / (places - first)]


def _optimizer(setting: Setting, parameters: list[Tensor]) -> Any:
    if setting.optimizer == "sgd":
        return torch.optim.SGD(parameters, lr=setting.rate, momentum=MOMENTUM)
    return torch.optim.Adam(parameters, lr=setting.rate)


def _batches(course: Course, seed: int) -> Iterator[np.ndarray]:
    """Whole batches without end, each example once before any again; the same for every start."""
    rng = np.random.default_rng([seed, 2])
    count = len(course.trained)
    if count < course.batch:  # which the model fixes
        while True:
            yield rng.choice(course.trained, course.batch)
    while True:
        order = rng.permutation(course.trained)
        for first in range(0, count - course.batch + 1, course.batch):
            yield order[first : first + course.batch]


def _held_out(course: Course) -> float | None:
    """The metric of the examples that were held out; None where it is not finite."""
    places = course.held_out
    size = course.batch if course.fixed else min(course.batch, len(places))
    pieces = [places[i : i + size] for i in range(0, len(places) - size + 1, size)]
    if not pieces:
        return None
    with course.trainee.asked():
        found = float(np.mean([float(course.measured(piece)[1]) for piece in pieces]))
    return found if math.isfinite(found) else None


@contextmanager
def deterministic(course: Course, device: str) -> Iterator[None]:
    """On a CPU the same run gives the same curve to the last bit; afterwards torch is as it was."""
    threads, strict = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    state = torch.random.get_rng_state()
    if torch.device(device).type == "cpu":
        torch.use_deterministic_algorithms(True, warn_only=True)
    if sum(parameter.numel() for parameter in course.trainee.trained()) < SHARED_FROM:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(strict)
        torch.random.set_rng_state(state)
