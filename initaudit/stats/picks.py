"""Values at some places of a weight that a pass takes along: some of its units, each at some of its inputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from initaudit.stats.layout import Layout


@dataclass(frozen=True, slots=True, kw_only=True)
class Pick:
    """Places in an array, as a table [units, inputs]; each axis of the array counts parts of a unit's number or of an input's."""

    at: tuple[np.ndarray, ...]
    """Of each axis of the array: the index of every unit of the table along it, or of every input."""
    across: tuple[bool, ...]
    """Whether that is of the inputs."""
    shape: tuple[int, int]

    def inside(self, box: Sequence[slice]) -> tuple[np.ndarray, np.ndarray]:
        """Which units and which inputs of the table lie in slices of the leading axes."""
        kept = [np.ones(length, bool) for length in self.shape]
        for at, across, part in zip(self.at, self.across, box, strict=False):
            kept[across] &= (at >= part.start) & (at < part.stop)
        return np.flatnonzero(kept[0]), np.flatnonzero(kept[1])

    def within(self, box: Sequence[slice]) -> Pick:
        """What of the table lies in slices of the leading axes, counted from where they begin."""
        kept = self.inside(box)
        starts = [part.start for part in box] + [0] * (len(self.at) - len(box))
        return Pick(
            at=tuple(at[kept[across]] - low for at, across, low in zip(self.at, self.across, starts, strict=True)),
            across=self.across,
            shape=(kept[0].size, kept[1].size),
        )

    def below(self) -> Pick:
        """The same places in the only entry of the first axis."""
        return Pick(at=self.at[1:], across=self.across[1:], shape=self.shape)

    def take(self, view: np.ndarray) -> np.ndarray:
        """The values, in the type of the array."""
        if 0 in self.shape:
            return np.empty(self.shape, view.dtype)
        index = tuple(at[None, :] if across else at[:, None] for at, across in zip(self.at, self.across, strict=True))
        return np.asarray(view[index]).reshape(self.shape)


def pick(layout: Layout, rows: np.ndarray, columns: np.ndarray) -> Pick:
    """The places, in the view of a layout, of these of its `rows` (units of all copies) at these of their inputs."""
    split = layout.copy_rank + layout.unit_rank
    shape = layout.canonical.shape
    ways = (
        *(np.unravel_index(rows, shape[:split]) if split else ()),
        *(np.unravel_index(columns, shape[split:]) if split < len(shape) else ()),
    )
    across = tuple(role == "input" for role in layout.roles)
    at = [np.zeros(columns.size if a else rows.size, np.int64) for a in across]
    for index, size, (axis, step) in zip(ways, shape, layout.places, strict=True):
        if size > 1:
            at[axis] += index * step
    return Pick(at=tuple(at), across=across, shape=(rows.size, columns.size))
