"""Several independent inputs in one run: which axis of each value counts them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from initaudit.errors import ProbeError

if TYPE_CHECKING:
    from initaudit.probe.pieces import Pieces
    from initaudit.probe.segments import State

SAME = 1e-3
"""Largest difference, relative to the root mean square, between a value computed alone and in company: rounding that
depends on the batch size, amplified by a deep network, stays below; a value that mixes inputs does not."""


class Stack:
    """Joins single inputs along a value's batch axis, and splits them again.

    With `rows` 1, as long as `learn` has not found out more, nothing is assumed about any axis.
    """

    def __init__(self, input_axes: Mapping[str, int | None] | None) -> None:
        """`input_axes`: batch axis of each model input, None where it has none; None where the batch is not free."""
        self.rows = 1
        self._inputs = input_axes
        self._axes: dict[str, int | None] = {}

    def learn(self, pieces: Pieces, feeds: Sequence[Mapping[str, np.ndarray]], rows: int) -> None:
        """Find the batch axes of all values at the cuts by running two inputs alone and together.

        `rows` stays 1 unless each value together is the two alone, one behind the other along one axis.
        """
        if self._inputs is None or len(feeds) < 2 or rows < 2 or not any(a is not None for a in self._inputs.values()):
            return
        one, two = feeds[0], feeds[1]
        self._axes = dict(self._inputs)
        both = {
            n: a if self._axes.get(n) is None else np.concatenate((a, two[n]), self._axes[n]) for n, a in one.items()
        }
        try:
            states = [pieces.march(feed) for feed in (one, two, both)]
        except ProbeError:
            return
        for index in range(len(pieces.segments)):
            carried = frozenset(pieces.carried[index])
            extra = [n for n in pieces.segments[index].outputs if n not in carried]
            known = [_known(pieces, index, state, extra) for state in states]
            for name in known[0]:
                if name in self._axes:
                    continue
                if not self._place(name, *(k[name] for k in known)):
                    return
        self.rows = rows

    def _place(self, name: str, one: np.ndarray, two: np.ndarray, both: np.ndarray) -> bool:
        """Note the batch axis of a value; False where it has none but should."""
        if one.dtype.kind != "f":
            self._axes[name] = None
            return True
        if one.shape != two.shape or one.ndim != both.ndim:
            return False
        if one.shape == both.shape:
            self._axes[name] = None
            return bool(np.array_equal(one, two) and np.array_equal(one, both))
        grown = [a for a in range(one.ndim) if both.shape[a] != one.shape[a]]
        if len(grown) != 1 or both.shape[grown[0]] != 2 * one.shape[grown[0]]:
            return False
        self._axes[name] = grown[0]
        alone = np.concatenate((one, two), grown[0])
        scale = float(np.sqrt(np.mean(np.square(alone, dtype=np.float64))))
        return bool(np.max(np.abs(alone - both), initial=0.0) <= SAME * scale)

    def is_shared(self, name: str) -> bool:
        """Whether all inputs of a run share this value."""
        return self.rows > 1 and self._axes.get(name) is None

    def tile(self, feed: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The same input in every row."""
        if self.rows == 1 or self._inputs is None:
            return dict(feed)
        return {
            n: a if self._inputs[n] is None else np.concatenate([a] * self.rows, self._inputs[n])
            for n, a in feed.items()
        }

    def split(self, name: str, array: np.ndarray) -> np.ndarray:
        """[rows, ...] view or copy of a stacked value; the value of one input in each row."""
        if self.rows == 1:
            return array[None]
        axis = self._axes.get(name)
        if axis is None:
            return np.broadcast_to(array, (self.rows, *array.shape))
        shape = array.shape
        parted = array.reshape(*shape[:axis], self.rows, shape[axis] // self.rows, *shape[axis + 1 :])
        return np.moveaxis(parted, axis, 0) if axis else parted

    def join(self, name: str, array: np.ndarray) -> np.ndarray:
        """Inverse of `split`."""
        if self.rows == 1:
            return array[0, ...]
        axis = self._axes.get(name)
        if axis is None:
            return array[0, ...]
        moved = np.moveaxis(array, 0, axis) if axis else array
        shape = moved.shape
        return np.ascontiguousarray(moved).reshape(*shape[:axis], shape[axis] * shape[axis + 1], *shape[axis + 2 :])


def _known(pieces: Pieces, index: int, states: Sequence[State], extra: Sequence[str]) -> State:
    """Values behind a piece, and others that it makes."""
    behind = {n: states[index + 1][n] for n in pieces.carried[index] if n in states[index + 1]}
    return behind | pieces.segments[index].run(states[index], {}, list(extra))
