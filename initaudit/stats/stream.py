"""One pass over a tensor too large to hold: moments, energies of units and inputs, and a sketch of its spectrum.

The tensor is cut into spans along its slowest axis, each span into chunks that stay in the cache; a span's pages are given back when
it is done. Nothing here starts threads: a chunk is done in microseconds, less than handing over the interpreter's lock takes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from initaudit.stats.decode import decode, from_half, half_extremes
from initaudit.stats.moments import PIVOT_SHARE, SAFE_HIGH, SAFE_LOW, Moments, PowerSums, smallest_normal
from initaudit.stats.sketch import ONES, MatrixTotals, Sketch
from initaudit.stats.walk import CHUNK, anywhere, bands

if TYPE_CHECKING:
    from collections.abc import Iterator

    from initaudit.stats.layout import Layout

SMALLEST_SQUARE: Final = 1e-32
"""A square above this, in float32, is of a value that is neither zero nor subnormal: far from where squares underflow."""

SMALLEST_COPY: Final = 1 << 13
"""Values per copy from which copies are read one by one, each with a sketch; below that calls would cost more than arithmetic."""


_minimum, _maximum = np.minimum.reduce, np.maximum.reduce
"""min() and max() without numpy's wrappers, which take as long as a few thousand values."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """What one pass found."""

    moments: Moments
    unit_energy: np.ndarray
    """float64 [copies, units]."""
    input_energy: np.ndarray
    """float64 [copies, inputs]."""
    sketches: tuple[Sketch, ...]
    """One per copy; empty unless each copy is one matrix in memory."""


def scan(layout: Layout, sketched: bool = True) -> Scan:
    """Read the whole tensor once, in memory order; without sketches unless `sketched`."""
    with np.errstate(all="ignore"):
        parts = [_Scanner(part, sketched).run() for part in (_matrices(layout) if sketched else [layout])]
    if len(parts) == 1:
        return parts[0]
    return Scan(
        moments=sum((part.moments for part in parts), Moments()),
        unit_energy=np.concatenate([part.unit_energy for part in parts]),
        input_energy=np.concatenate([part.input_energy for part in parts]),
        sketches=tuple(sketch for part in parts for sketch in part.sketches),
    )


def _matrices(layout: Layout) -> Iterator[Layout]:
    """The copies one by one where each is a matrix of some size, else all together."""
    shape, roles = layout.view.shape, layout.roles
    if len(shape) == 3 and roles[0] == "copy" and "copy" not in roles[1:] and shape[1] * shape[2] >= SMALLEST_COPY:
        for i in range(shape[0]):
            yield layout.copy(i)
    else:
        yield layout


class _Scanner:
    """The accumulators of one pass and the buffers its chunks share."""

    def __init__(self, layout: Layout, sketched: bool) -> None:
        self.layout = layout
        roles, shape = layout.roles, layout.view.shape
        self.drop = {
            role: tuple(a for a, r in enumerate(roles) if r not in ("copy", role)) for role in ("unit", "input")
        }
        self.energies = {
            role: np.zeros([1 if a in self.drop[role] else n for a, n in enumerate(shape)])
            for role in ("unit", "input")
        }
        self.moments = Moments()
        self.sums = PowerSums()
        self.smallest_normal = smallest_normal(layout.view.dtype)
        self.square = np.empty(CHUNK, np.float32)
        self.buffer = np.empty(CHUNK, np.int32)
        self.plane = (
            MatrixTotals(layout, self.energies, sketched) if roles in (("unit", "input"), ("input", "unit")) else None
        )

    def run(self) -> Scan:
        view = self.layout.view
        if self.plane is None:
            for where in anywhere(view):
                self._read(where)
        else:
            for rows, parts in bands(view):
                for columns in parts:
                    self._read((rows, columns))
                self.plane.pull_back(rows, parts)
        sketch = None if self.plane is None else self.plane.finish()
        return Scan(
            moments=self.moments + self.sums.moments(),
            unit_energy=_canonical(self.layout, self.energies["unit"], "unit", self.layout.units),
            input_energy=_canonical(self.layout, self.energies["input"], "input", self.layout.inputs),
            sketches=() if sketch is None else (sketch,),
        )

    def _read(self, where: tuple[slice, ...]) -> None:
        raw = np.ascontiguousarray(self.layout.view[where])
        halves = raw.dtype == np.float16 and math.isfinite(half_extremes(raw)[0])
        values = from_half(raw, self.buffer) if halves else decode(raw)
        if not self._fast(where, values):
            self._general(where, values)

    def _fast(self, where: tuple[slice, ...], values: np.ndarray) -> bool:
        """Sums of powers about zero in float32, by BLAS; False (nothing done) where that would not be accurate."""
        if values.dtype != np.float32:
            return False
        flat = values.reshape(-1)
        n = flat.size
        squares = np.square(flat, out=self.square[:n])  # half the time of a product with itself (measured)
        largest = math.sqrt(_maximum(squares, None))
        if not SAFE_LOW < largest < SAFE_HIGH:  # also false for NaN and infinity
            return False
        square = squares.reshape(values.shape)
        image, row_energy = (None, None) if self.plane is None else self.plane.products(where, values, square)
        if image is None or row_energy is None:
            first, second = float(np.dot(flat, ONES[:n])), float(np.dot(squares, ONES[:n]))
        else:
            ones = ONES[: row_energy.size]
            first, second = float(np.dot(image[-1], ones)), float(np.dot(row_energy, ones))
        if first * first > PIVOT_SHARE * n * second:
            return False
        powers = (first, second, float(np.dot(squares, flat)), float(np.dot(squares, squares)))
        self.sums.add(n, powers, *self._near_zero(flat, squares))
        if largest * (1.0 + 1e-6) >= self.sums.reach:  # else neither extreme can be in this chunk
            self.sums.widen(float(_minimum(flat, None)), float(_maximum(flat, None)))
        if self.plane is None or image is None or row_energy is None:
            self._add_energies(where, square)
        else:
            self.plane.add(where, values, square, image, row_energy)
        return True

    def _near_zero(self, flat: np.ndarray, square: np.ndarray) -> tuple[int, int]:
        """Zeros and subnormal values of a chunk whose magnitudes are safe."""
        smallest, normal = float(_minimum(square, None)), self.smallest_normal
        if smallest > max(SMALLEST_SQUARE, normal * normal):
            return 0, 0
        if normal * normal > SMALLEST_SQUARE:  # a narrow type: its squares are exact enough to count by
            zeros = int(np.count_nonzero(square == 0)) if smallest == 0 else 0
            return zeros, int(np.count_nonzero(square < normal * normal)) - zeros
        size = np.abs(flat)
        zeros = int(np.count_nonzero(size == 0))
        return zeros, int(np.count_nonzero(size < normal)) - zeros if normal else 0

    def _add_energies(self, where: tuple[slice, ...], square: np.ndarray) -> None:
        for role, total in self.energies.items():
            at = tuple(slice(None) if a in self.drop[role] else s for a, s in enumerate(where))
            target = total[at]
            target += square.sum(axis=self.drop[role], dtype=np.float64).reshape(target.shape)

    def _general(self, where: tuple[slice, ...], values: np.ndarray) -> None:
        """Any values: not finite, huge, tiny, far from zero, or float64."""
        part = Moments.of(values, self.smallest_normal)
        self.moments = self.moments + part
        if part.nonfinite:
            values = np.where(np.isfinite(values), values, values.dtype.type(0))
        wide = values.astype(np.float64, copy=False)
        self._add_energies(where, wide * wide)
        if self.plane is not None:
            self.plane.project(where, values, gaps=part.nonfinite > 0)


def _canonical(layout: Layout, total: np.ndarray, role: str, size: int) -> np.ndarray:
    """Energies with axes in memory order, as [copies, size]."""
    axes = layout.axes_of("copy") + layout.axes_of(role)
    rest = [a for a in range(total.ndim) if a not in axes]
    return total.transpose(axes + rest).reshape(layout.copies, size)
