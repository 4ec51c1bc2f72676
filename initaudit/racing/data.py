"""Tasks from a file, from scikit-learn's digits, and made up."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from initaudit.errors import UsageError
from initaudit.probe.inputs.data import converted
from initaudit.racing.task import Task, task_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from initaudit.racing.interface import Interface

INPUTS = ("x", "X", "input", "inputs", "data")
"""Names under which the array of an only input may stand beside its own."""
TARGETS = ("y", "Y", "target", "targets", "label", "labels")
"""Names under which the targets may stand, beside that of the output."""
DIGITS = 10
"""Classes of scikit-learn's digits."""


def task_from_file(path: str, interface: Interface) -> Task:
    """From an .npz file with an array for each input, by its name, and the targets. Raises UsageError."""
    try:
        with np.load(Path(path), allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or error}") from error
    except Exception as error:  # numpy and zipfile raise whatever a damaged header or archive leads them to
        raise UsageError(f"{path}: cannot be read as .npz with inputs and targets: {error}") from error
    return task_from_arrays(path, arrays, interface)


def task_from_arrays(name: str, arrays: Mapping[str, np.ndarray], interface: Interface) -> Task:
    """The same from arrays by name; `name` begins messages. Raises UsageError."""
    left = {own: _array(name, own, values) for own, values in arrays.items()}
    inputs: dict[str, np.ndarray] = {}
    for wanted, example in interface.inputs.items():
        names = (wanted, *INPUTS) if len(interface.inputs) == 1 else (wanted,)
        found = next((n for n in names if n in left), None)
        if found is None and interface.axes[wanted] is None:
            inputs[wanted] = example
            continue
        if found is None:
            raise UsageError(f"{name}: no array for input {wanted!r}; it holds {', '.join(arrays) or 'none'}")
        inputs[wanted] = converted(left.pop(found), example.dtype, wanted, name)
        _check(name, wanted, inputs[wanted], example, interface.axes[wanted])
    elsewhere = [n for n in interface.others if left.pop(n, None) is not None]
    known = next((n for n in (interface.answer, *TARGETS) if n in left), None)
    if known is None and len(left) == 1:
        (known,) = left
    if known is None and elsewhere:
        raise UsageError(
            f"{name}: no targets for the output {interface.answer!r}, only for {', '.join(map(repr, elsewhere))}; "
            f"--target-output {' or '.join(elsewhere)} trains that one"
        )
    if known is None:
        raise UsageError(f"{name}: which array holds the targets? Call it y, or as the output: {interface.answer!r}")
    task = task_of(name, inputs, interface.axes, left[known], interface.shape)
    if (task.targets == task.targets[:1]).all():
        raise UsageError(f"{name}: all examples have the same target: there is nothing to learn")
    return replace(task, array=known)


def _array(name: str, own: str, values: Any) -> np.ndarray:
    """Of an array, nested lists, or a tensor of torch on the CPU."""
    try:
        return np.asarray(values)
    except Exception as error:  # of whatever they are made of
        raise UsageError(f"{name}: {own!r} is no array: {str(error).splitlines()[0]:.200}") from error


def _check(name: str, wanted: str, array: np.ndarray, example: np.ndarray, axis: int | None) -> None:
    skipped = 0 if axis is None else 1
    if array.shape[skipped:] != example.shape[skipped:] or array.ndim != example.ndim:
        own, wants = ("x".join(map(str, a.shape[skipped:])) or "one number" for a in (array, example))
        raise UsageError(
            f"{name}: input {wanted!r} has {own} an example, the network takes {wants}; --input-shape sets what is free"
        )


def digits_task(interface: Interface) -> Task:
    """scikit-learn's 1797 digits, 8 x 8 pixels standardised together, resized to the only input. Raises UsageError.

    A network that answers as many numbers as it is given is to give the digit back; one that answers with a single number, which
    digit it is, standardised; any other to tell as many of the digits apart as it has answers, ten at most.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise UsageError(f"--digits: {error}; they come with scikit-learn: pip install scikit-learn") from error
    images, labels = load_digits(return_X_y=True)
    images = images.reshape(-1, 8, 8)
    if len(interface.inputs) != 1 or None in interface.axes.values():
        raise UsageError(f"--digits: the network has the inputs {', '.join(interface.inputs)}, not one")
    ((name, example),) = interface.inputs.items()
    if example.dtype.kind in "iu":
        values = resized(images, example.shape[1:]).round().clip(0, max(1, int(example.max()))).astype(example.dtype)
    else:
        values = resized((images - images.mean()) / images.std(), example.shape[1:]).astype(example.dtype)
    targets: np.ndarray
    if interface.shape == example.shape[1:] and example.dtype.kind not in "iu":
        targets = values
    elif math.prod(interface.shape) == 1:
        targets = ((labels - labels.mean()) / labels.std()).astype(np.float32)
    else:
        kept = labels < min(_classes_of(interface.shape), DIGITS)
        values, targets = values[kept], labels[kept]
    return task_of("digits", {name: values}, interface.axes, targets, interface.shape)


def _classes_of(shape: tuple[int, ...]) -> int:
    """How many classes an answer of this shape tells apart."""
    return shape[_class_axis(shape)]


def _class_axis(shape: tuple[int, ...]) -> int:
    """Which axis of an answer counts its classes: behind a line of places, in front of a plane of them."""
    return len(shape) - 1 if len(shape) <= 2 else 0


def resized(images: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Square images [N, S, S] in another shape, interpolated between pixels.

    As planes of a shape with channels in front or behind; of two dimensions as one plane; of one as the rows of a square one behind the
    other, where the number is a square, else as one line.
    """
    if len(shape) >= 3:
        behind = shape[-1] < min(shape[-3:-1])
        height, width = shape[-3:-1] if behind else shape[-2:]
        plane = _plane(images, height, width)
        plane = plane[..., None] if behind else plane
        return np.broadcast_to(
            plane.reshape(len(images), *[1] * (len(shape) - plane.ndim + 1), *plane.shape[1:]), (len(images), *shape)
        ).copy()
    if len(shape) == 2:
        return _plane(images, *shape)
    (size,) = shape or (1,)
    side = math.isqrt(size)
    if side * side == size:
        return _plane(images, side, side).reshape(len(images), *shape)
    return _along(images.reshape(len(images), -1), 1, size).reshape(len(images), *shape)


def _plane(images: np.ndarray, height: int, width: int) -> np.ndarray:
    return _along(_along(images, 1, height), 2, width)


def _along(values: np.ndarray, axis: int, size: int) -> np.ndarray:
    """Interpolated linearly along an axis; ends stay ends."""
    held = values.shape[axis]
    if held == size:
        return values
    places = np.linspace(0, held - 1, size) if size > 1 else np.array([(held - 1) / 2])
    low = np.minimum(places.astype(int), held - 2)
    share = (places - low).reshape([-1 if i == axis else 1 for i in range(values.ndim)])
    return np.take(values, low, axis) * (1 - share) + np.take(values, low + 1, axis) * share


def labels_task(interface: Interface, seed: int) -> Task:
    """Random classes, or random numbers where the network answers with one, for the synthetic inputs: what can only be learned by heart."""
    rng = np.random.default_rng([seed, 1])
    count, shape = interface.examples, interface.shape
    if math.prod(shape) == 1:
        targets: np.ndarray = rng.standard_normal((count, *shape)).astype(np.float32)
    else:
        targets = rng.integers(0, _classes_of(shape), count)
    return task_of("random labels", interface.inputs, interface.axes, targets, shape)


def teacher_task(interface: Interface, answers: np.ndarray) -> Task:
    """What another draw of the same network answers to the synthetic inputs: the class whose answer is most above its mean, or the number.

    Args:
        interface: of the network.
        answers: of the teacher [examples, *shape].
    """
    spread = answers.std(0)
    if not np.isfinite(answers).all() or not spread.any():
        raise UsageError("--synthetic teacher: the teacher answers the same to all inputs; take random labels")
    values = (answers - answers.mean(0)) / np.where(spread > 0, spread, 1.0)
    targets: Any = values.astype(np.float32)
    if math.prod(interface.shape) > 1 and interface.shape not in _shapes(interface):
        places = set(range(1, values.ndim)) - {1 + _class_axis(interface.shape)}
        targets = values.mean(tuple(places)).argmax(1)
    return task_of("a teacher network", interface.inputs, interface.axes, targets, interface.shape)


def _shapes(interface: Interface) -> set[tuple[int, ...]]:
    return {a.shape[1:] for n, a in interface.inputs.items() if interface.axes[n] is not None}
