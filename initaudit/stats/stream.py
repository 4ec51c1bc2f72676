"""One pass over a tensor too large to hold: moments, energies of units and inputs, and a sketch of its spectrum.

What is read at once, a stretch, is cut into spans along its slowest axis, each span into chunks that stay in the cache; a span's pages
are given back when it is done. Stretches may be read by different processes: their scans add up. Nothing here starts threads: a chunk is
done in microseconds, less than handing over the interpreter's lock takes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import reduce
from itertools import starmap
from operator import add
from typing import TYPE_CHECKING, Final

import numpy as np

from initaudit.stats.decode import decode, from_half, half_extremes
from initaudit.stats.moments import PIVOT_SHARE, SAFE_HIGH, SAFE_LOW, Moments, PowerSums, smallest_normal
from initaudit.stats.sketch import ONES, MatrixTotals, Products
from initaudit.stats.walk import CHUNK, anywhere, bands, spans

if TYPE_CHECKING:
    from collections.abc import Iterable

    from initaudit.stats.layout import Role
    from initaudit.stats.picks import Pick

SMALLEST_SQUARE: Final = 1e-32
"""A square above this, in float32, is of a value that is neither zero nor subnormal: far from where squares underflow."""


_minimum, _maximum = np.minimum.reduce, np.maximum.reduce
"""min() and max() without numpy's wrappers, which take as long as a few thousand values."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """Some rows of a weight as it lies in memory, and what a pass over them is to find; says nothing of where their bytes are."""

    copy: int | None
    """Which entry of the first axis of the weight's view, where each is a matrix of its own; None where all are read as one."""
    rows: slice
    """Of the first axis of the view, or of that entry."""
    roles: tuple[Role, ...]
    """Of the axes of what is read."""
    sketched: bool
    picks: tuple[Pick, ...]
    """Counted from the first of these rows."""

    def of(self, view: np.ndarray) -> np.ndarray:
        """What is read, of the whole weight's view."""
        return view[self.rows] if self.copy is None else view[self.copy, self.rows]


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """Totals of neighbouring rows of one array."""

    copy: int | None
    """See `Stretch`."""
    roles: tuple[Role, ...]
    energies: dict[str, np.ndarray]
    """Sums of squares, float64, for the units (`unit`) and the inputs (`input`): axes in memory order, those summed over of length one."""
    products: Products | None

    def __add__(self, below: Piece) -> Piece:
        """Those of these rows and the ones below them."""
        return Piece(
            copy=self.copy,
            roles=self.roles,
            energies={
                role: np.concatenate([total, below.energies[role]])
                if self.roles[0] in ("copy", role)
                else total + below.energies[role]
                for role, total in self.energies.items()
            },
            products=self.products + below.products if self.products and below.products else None,
        )

    def energy(self, role: str, copies: int) -> np.ndarray:
        """Sums of squares as [copies, units or inputs]."""
        total = self.energies[role]
        axes = [a for a, r in enumerate(self.roles) if r == "copy"] + [a for a, r in enumerate(self.roles) if r == role]
        rest = [a for a in range(total.ndim) if a not in axes]
        return total.transpose(axes + rest).reshape(copies, -1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """What one pass over neighbouring stretches of a weight found: small, whatever their size."""

    moments: Moments
    pieces: tuple[Piece, ...]
    """One for each copy that is a matrix of its own; else one for all."""
    picked: tuple[tuple[np.ndarray, ...], ...]
    """Of each stretch the values of its picks, in the stored type."""

    def __add__(self, below: Scan) -> Scan:
        """What one pass over these stretches and the following ones finds, apart from the rounding of sums."""
        *before, last = self.pieces
        first, *after = below.pieces
        joined = [last + first] if last.copy == first.copy else [last, first]
        return Scan(
            moments=self.moments + below.moments,
            pieces=(*before, *joined, *after),
            picked=self.picked + below.picked,
        )


def scan(view: np.ndarray, stretch: Stretch) -> Scan:
    """Read a stretch, given as an array, once and in memory order."""
    with np.errstate(all="ignore"):
        return _Scanner(view, stretch).run()


def scan_all(parts: Iterable[tuple[np.ndarray, Stretch]]) -> Scan:
    """Read neighbouring stretches, each given as an array, one after the other."""
    return reduce(add, starmap(scan, parts))


def is_matrix(roles: tuple[Role, ...]) -> bool:
    """Whether an array of such axes is one matrix in memory."""
    return roles in (("unit", "input"), ("input", "unit"))


class _Scanner:
    """The accumulators of one pass and the buffers its chunks share."""

    def __init__(self, view: np.ndarray, stretch: Stretch) -> None:
        self.view, self.stretch = view, stretch
        roles = stretch.roles
        self.drop = {
            role: tuple(a for a, r in enumerate(roles) if r not in ("copy", role)) for role in ("unit", "input")
        }
        self.energies = {
            role: np.zeros([1 if a in self.drop[role] else n for a, n in enumerate(view.shape)])
            for role in ("unit", "input")
        }
        self.moments = Moments()
        self.sums = PowerSums()
        self.smallest_normal = smallest_normal(view.dtype)
        self.square = np.empty(CHUNK, np.float32)
        self.buffer = np.empty(CHUNK, np.int32)
        self.picked = tuple(np.empty(pick.shape, view.dtype) for pick in stretch.picks)
        self.plane: MatrixTotals | None = None
        if is_matrix(roles):
            rows, columns = (self.energies[role] for role in roles)
            self.plane = MatrixTotals(view, rows, columns, stretch.sketched)

    def run(self) -> Scan:
        for span in spans(self.view):
            if self.plane is None:
                for where in anywhere(self.view, span):
                    self._read(where)
            else:
                for rows, parts in bands(self.view, span):
                    for columns in parts:
                        self._read((rows, columns))
                    self.plane.pull_back(rows, parts)
            self._take(span)
        piece = Piece(
            copy=self.stretch.copy,
            roles=self.stretch.roles,
            energies=self.energies,
            products=None if self.plane is None else self.plane.finish(),
        )
        return Scan(moments=self.moments + self.sums.moments(), pieces=(piece,), picked=(self.picked,))

    def _take(self, span: slice) -> None:
        """The picks of a span, while its pages are at hand."""
        for values, pick in zip(self.picked, self.stretch.picks, strict=True):
            values[np.ix_(*pick.inside((span,)))] = pick.within((span,)).take(self.view[span])

    def _read(self, where: tuple[slice, ...]) -> None:
        raw = np.ascontiguousarray(self.view[where])
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
