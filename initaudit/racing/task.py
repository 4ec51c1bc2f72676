"""Task: examples with what the network is to answer to each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from initaudit.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

CLASSIFY, REGRESS = "classify", "regress"
HELD_OUT = 0.2
"""Share of the examples that are not trained on, but measured at the end. A judgement."""
FEWEST_HELD_OUT = 10
"""Fewer are not worth measuring; then all are trained on. A judgement."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What is learned."""

    name: str
    """Where it comes from, in words."""
    kind: str
    """classify or regress."""
    inputs: Mapping[str, np.ndarray]
    """Examples along axis 0; as they are where the input is the same for all."""
    axes: Mapping[str, int | None]
    """As in `Interface`."""
    targets: np.ndarray
    """Classes int64 [examples, ...], or numbers float32 of the shape of the answers; examples along axis 0."""
    class_axis: int | None = None
    """Axis of an answer to a batch, examples along axis 0, that counts classes; None for regression, and where one number tells two classes apart."""

    array: str | None = None
    """Name of the array that held the targets; None where they are made."""

    @property
    def examples(self) -> int:
        """How many there are."""
        return len(self.targets)

    @property
    def metric(self) -> str:
        """What is made of answers beside the loss: accuracy, or R2, the share of the targets' variance that they explain."""
        return "accuracy" if self.kind == CLASSIFY else "R2"

    @property
    def chance(self) -> float:
        """What the metric is of the best answer that does not look at the inputs."""
        if self.kind == REGRESS:
            return 0.0
        return float(np.unique(self.targets, return_counts=True)[1].max() / self.targets.size)

    def parts(self, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Numbers of the examples that are trained on, and of those that are held out."""
        order = np.random.default_rng(seed).permutation(self.examples)
        held = int(HELD_OUT * self.examples)
        held = held if held >= FEWEST_HELD_OUT else 0
        return order[held:], order[:held]


def task_of(
    name: str,
    inputs: Mapping[str, np.ndarray],
    axes: Mapping[str, int | None],
    targets: np.ndarray,
    shape: tuple[int, ...],
) -> Task:
    """A task whose kind follows from the targets: whole numbers are classes, real ones are to be met.

    Args:
        name: where they come from; messages begin with it.
        inputs: examples along axis 0.
        axes: as in `Interface`.
        targets: examples along axis 0.
        shape: of an answer to one example.

    Raises:
        UsageError: they do not fit the answer or each other.
    """
    counts = {len(array) for n, array in inputs.items() if axes[n] is not None} | {len(targets) if targets.ndim else 0}
    if len(counts) != 1:
        raise UsageError(
            f"{name}: {' and '.join(map(str, sorted(counts)))} examples; inputs and targets are not as many"
        )
    if counts == {0}:
        raise UsageError(f"{name}: holds no example")
    if targets.dtype.kind not in "biuf":
        raise UsageError(f"{name}: the targets are {targets.dtype}, neither classes nor numbers")
    if targets.dtype.kind == "f" and not np.isfinite(targets).all():
        raise UsageError(f"{name}: the targets hold NaN or infinity")
    if targets.dtype.kind == "f":
        if targets.shape[1:] != shape and targets.size == len(targets) * int(np.prod(shape)):
            targets = targets.reshape(len(targets), *shape)
        if targets.shape[1:] != shape:
            whole = (targets == targets.round()).all() and _classes(targets.shape[1:], shape)[1] is not None
            hint = (
                f"; they are whole numbers, stored as {targets.dtype}: stored as int64 they are classes"
                if whole
                else ""
            )
            raise UsageError(
                f"{name}: targets of shape {_told(targets.shape[1:])} for answers of shape {_told(shape)}{hint}"
            )
        return Task(name=name, kind=REGRESS, inputs=inputs, axes=axes, targets=targets.astype(np.float32))
    if targets.ndim > 1 and targets.shape[1:] == (1,):
        targets = targets[:, 0]
    axis, classes = _classes(targets.shape[1:], shape)
    if classes is None:
        hint = "; a class is one number, from 0 on, not a row with a 1" if targets.shape[1:] == shape else ""
        raise UsageError(
            f"{name}: classes of shape {_told(targets.shape[1:])} for answers of shape {_told(shape)}{hint}"
        )
    if targets.size and not (targets.min() >= 0 and targets.max() < classes):
        raise UsageError(
            f"{name}: classes from {targets.min()} to {targets.max()}; the network tells {classes} apart, from 0 on"
        )
    return Task(name=name, kind=CLASSIFY, inputs=inputs, axes=axes, targets=targets.astype(np.int64), class_axis=axis)


def _classes(target: tuple[int, ...], shape: tuple[int, ...]) -> tuple[int | None, int | None]:
    """Axis of a batch of answers that counts classes, and how many; no number where the shapes do not fit."""
    if int(np.prod(shape)) == 1:
        return None, 2
    if target in ((), shape[:-1]) and len(shape) <= 2:
        return len(shape), shape[-1]
    if target in ((), shape[1:]):
        return 1, shape[0]
    return (len(shape), shape[-1]) if target == shape[:-1] else (None, None)


def _told(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "one number"
