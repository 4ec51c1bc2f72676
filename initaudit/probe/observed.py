"""What the forward probe brings out of the values of a network."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from initaudit.probe.moments import moments_of
from initaudit.probe.sampling import batch_axis

if TYPE_CHECKING:
    import numpy as np

    from initaudit.probe.sampling import Part
    from initaudit.probe.signal import Moments


@dataclass(slots=True, kw_only=True)
class Observed:
    """What was brought out of one value."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    samples: dict[Part, np.ndarray]
    """[inputs, elements] float64, per part of the units."""
    squares: np.ndarray
    """Mean over runs of the sum of squares: a number or one per unit."""
    rows: int = 1
    """Inputs that one run holds."""
    largest: np.ndarray | None = None
    smallest: np.ndarray | None = None
    _moments: dict[Part, Moments] = field(default_factory=dict, init=False)
    """Those that were asked for: several layers may read one value."""

    def moments(self, part: Part) -> Moments:
        """See `moments_of`, of the units `part`."""
        if part not in self._moments:
            self._moments[part] = moments_of(self.samples[part], self.mean_square(part))
        return self._moments[part]

    def mean_square(self, part: Part) -> float:
        """Mean square over all elements of the part, from the sums taken in the graph; not finite where those are not."""
        total = math.prod(self.shape)
        squares = self.squares
        if part is None or squares.ndim == 0:
            return float(squares.sum()) / max(1, total) if part is None else math.nan
        share = (part[1] - part[0]) / max(1, squares.size)
        return float(squares[part[0] : part[1]].sum()) / max(1.0, total * share)

    def of_one_input(self) -> Observed:
        """The same value as a run of one input makes it, where this one came from runs of several."""
        axis = batch_axis(self.shape, self.rows) if self.rows > 1 else None
        if axis is None:
            return self
        shape = (*self.shape[:axis], 1, *self.shape[axis + 1 :])
        return replace(self, shape=shape, squares=self.squares / self.rows, rows=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Forward:
    """Result of the forward probe."""

    values: Mapping[str, Observed]
    statistics: Mapping[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)
    """Batch mean and variance of each BatchNormalization that normalised by its batch, by its first output."""
    extents: Mapping[str, float] = field(default_factory=dict)
    """Largest magnitude over all inputs, of the values for which it was asked."""
