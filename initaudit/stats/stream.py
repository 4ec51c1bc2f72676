"""One pass over a tensor too large to hold: moments, energies of units and inputs, and a sketch of its spectrum.

The tensor is cut into spans along its slowest axis, each span into chunks that stay in the cache; a span's pages are given back when
it is done. Nothing here starts threads: a chunk is done in microseconds, less than handing over the interpreter's lock takes.
"""

from __future__ import annotations

import math
import mmap
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from initaudit.stats.decode import decode, from_half, half_extremes
from initaudit.stats.layout import CHUNK, Layout, Role, chunks
from initaudit.stats.moments import PIVOT_SHARE, SAFE_HIGH, SAFE_LOW, Moments, PowerSums, smallest_normal

if TYPE_CHECKING:
    from collections.abc import Iterator

SPAN: Final = 1 << 22
"""Values per span: 16 MiB in float32, so that giving back pages costs nothing, and resident memory stays small."""

GAUSSIANS: Final = 3
"""Random vectors that the weight is multiplied with: Halko, Martinsson & Tropp 2011, lemma 4.1, bound with probability 1 - 10^-3."""

SKETCH_WIDTH: Final = GAUSSIANS + 1
"""The last vector is all ones: its image sums the rows, and a mean off zero is the commonest large singular direction. Four are what
BLAS multiplies with at once: five cost twice as much (measured)."""

SKETCH_SEED: Final = 20110601

SMALLEST_SQUARE: Final = 1e-32
"""A square above this, in float32, is of a value that is neither zero nor subnormal: far from where squares underflow."""

BAND_ROWS: Final = 8
"""Rows of a matrix that are read together at least, long ones in parts: each sum over rows costs as much as one more row."""

STRETCH: Final = 1 << 10
"""Rows whose sums are formed in float32, to 1e-6, before they are added up in float64."""

LONGEST_ROW: Final = 1 << 18
"""Longest row, in values, of a matrix that is sketched: its random vectors take 17 MB then. The largest vocabularies have as many."""

SMALLEST_COPY: Final = 1 << 13
"""Values per copy from which copies are read one by one, each with a sketch; below that calls would cost more than arithmetic."""


_ONES: Final = np.ones(CHUNK, np.float32)
"""Products with it are sums: BLAS forms them at four times the speed of numpy's own (measured)."""


_minimum, _maximum = np.minimum.reduce, np.maximum.reduce
"""min() and max() without numpy's wrappers, which take as long as a few thousand values."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sketch:
    """Products of the weight, seen as a matrix A [rows, columns] in memory order, with the vectors R [SKETCH_WIDTH, columns]."""

    layout: Layout
    vectors: np.ndarray
    """R, float32 [SKETCH_WIDTH, columns]: standard normal and ones, or after a power step orthonormal."""
    image: np.ndarray
    """R A', float32 [SKETCH_WIDTH, rows]."""
    pullback: np.ndarray
    """R A' A, float64 [SKETCH_WIDTH, columns]."""
    row_energy: np.ndarray
    """Squared length of each row of A, float64 [rows]."""

    @property
    def rows(self) -> Role:
        """What the rows of A are."""
        return self.layout.roles[0]

    @property
    def units(self) -> np.ndarray:
        """One signature per unit, [units, SKETCH_WIDTH]: equal units have equal signatures up to rounding, multiples have multiples."""
        return (self.image if self.rows == "unit" else self.pullback).T


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


def _spans(view: np.ndarray) -> Iterator[slice]:
    """Stretches of the first axis; the pages of each are given back when the next one is asked for."""
    step = max(1, SPAN // max(1, view[0].size))
    for low in range(0, view.shape[0], step):
        yield slice(low, min(low + step, view.shape[0]))
        _give_back(view[low : low + step])


def _anywhere(view: np.ndarray) -> Iterator[tuple[slice, ...]]:
    """Where the chunks of a view lie."""
    for span in _spans(view):
        for first, *rest in chunks(view[span].shape):
            yield (slice(first.start + span.start, first.stop + span.start), *rest)


def bands(view: np.ndarray) -> Iterator[tuple[slice, list[slice]]]:
    """Rows of a matrix that are read together, and the columns of each chunk of them: all of them, or parts of long rows."""
    columns = view.shape[1]
    together = max(1, CHUNK // columns)
    width = columns
    if together < BAND_ROWS:
        together, width = BAND_ROWS, CHUNK // BAND_ROWS
    for span in _spans(view):
        for low in range(span.start, span.stop, together):
            rows = slice(low, min(low + together, span.stop))
            yield rows, [slice(left, min(left + width, columns)) for left in range(0, columns, width)]


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
            _Plane(layout, self.energies, sketched) if roles in (("unit", "input"), ("input", "unit")) else None
        )

    def run(self) -> Scan:
        view = self.layout.view
        if self.plane is None:
            for where in _anywhere(view):
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
            first, second = float(np.dot(flat, _ONES[:n])), float(np.dot(squares, _ONES[:n]))
        else:
            ones = _ONES[: row_energy.size]
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


class _Plane:
    """Energies and the sketch of a tensor that is one matrix in memory, band by band."""

    def __init__(self, layout: Layout, energies: dict[str, np.ndarray], sketched: bool) -> None:
        self.view = layout.view
        (rows, columns), (outer, inner) = self.view.shape, layout.roles
        self.row_energy = energies[outer].reshape(-1)
        self.column_energy = _Float32Sum(energies[inner].reshape(1, -1))
        self.multiplier = np.ones((1, columns), np.float32)
        self.sketch: Sketch | None = None
        if sketched and columns <= LONGEST_ROW:
            random = np.random.default_rng(SKETCH_SEED).standard_normal((GAUSSIANS, columns), np.float32)
            self.multiplier = np.vstack([random, self.multiplier])
            self.sketch = Sketch(
                layout=layout,
                vectors=self.multiplier,
                image=np.zeros((SKETCH_WIDTH, rows), np.float32),
                pullback=np.zeros((SKETCH_WIDTH, columns)),
                row_energy=self.row_energy,
            )
            self.pullback = _Float32Sum(self.sketch.pullback)
        self.last = self.view[:0]
        """The chunk read last, finite; all of its band where rows are short."""
        self.gaps = False
        """Whether the band has values that are not finite."""

    def products(
        self, where: tuple[slice, ...], values: np.ndarray, square: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """R times the transposed chunk (its last row: the sums of the rows), and the rows' energies."""
        return self.multiplier[:, where[1]] @ values.T, square @ _ONES[: values.shape[1]]

    def add(
        self, where: tuple[slice, ...], values: np.ndarray, square: np.ndarray, image: np.ndarray, row_energy: np.ndarray
    ) -> None:  # fmt: skip
        """Take one chunk, float32, and its products into the totals."""
        self.row_energy[where[0]] += row_energy
        self.column_energy.add(where[1], _ONES[: values.shape[0]] @ square)
        if self.sketch is not None:
            self.sketch.image[:, where[0]] += image
            self.last = values

    def project(self, where: tuple[slice, ...], values: np.ndarray, gaps: bool) -> None:
        """Take one chunk, finite, into the sketch."""
        if self.sketch is not None:
            self.sketch.image[:, where[0]] += self.sketch.vectors[:, where[1]] @ values.T
            self.last, self.gaps = values, self.gaps or gaps

    def pull_back(self, rows: slice, parts: list[slice]) -> None:
        """A' times the images of a band that was read; long rows are decoded again, while they are in the cache."""
        if self.sketch is not None:
            image = self.sketch.image[:, rows]
            for columns in parts:
                values = self.last if len(parts) == 1 else decode(self.view[rows, columns])
                if self.gaps and len(parts) > 1:
                    values = np.where(np.isfinite(values), values, values.dtype.type(0))
                self.pullback.add(columns, image @ values)
            self.pullback.count(image.shape[1])
        self.column_energy.count(rows.stop - rows.start)
        self.gaps = False

    def finish(self) -> Sketch | None:
        """The sketch, with all totals up to date."""
        self.column_energy.flush()
        if self.sketch is not None:
            self.pullback.flush()
        return self.sketch


class _Float32Sum:
    """Sums over the rows of a matrix, for each of its columns: short stretches in float32, their sums in float64."""

    def __init__(self, total: np.ndarray) -> None:
        self.total = total
        self.stretch = np.zeros(total.shape, np.float32)
        self.rows = 0

    def add(self, columns: slice, part: np.ndarray) -> None:
        """Add `part`, a sum over some rows, to these columns."""
        self.stretch[:, columns] += part

    def count(self, rows: int) -> None:
        """Say that all columns of so many rows were added."""
        self.rows += rows
        if self.rows >= STRETCH:
            self.flush()

    def flush(self) -> None:
        """Bring the total up to date."""
        self.total += self.stretch
        self.stretch[:] = 0
        self.rows = 0


def _canonical(layout: Layout, total: np.ndarray, role: str, size: int) -> np.ndarray:
    """Energies with axes in memory order, as [copies, size]."""
    axes = layout.axes_of("copy") + layout.axes_of(role)
    rest = [a for a in range(total.ndim) if a not in axes]
    return total.transpose(axes + rest).reshape(layout.copies, size)


def project(layout: Layout, vectors: np.ndarray) -> np.ndarray:
    """One more pass: `vectors` [n, columns], float32, times A', float32 [n, rows]."""
    image = np.zeros((vectors.shape[0], layout.view.shape[0]), np.float32)
    with np.errstate(all="ignore"):
        for rows, parts in bands(layout.view):
            for columns in parts:
                image[:, rows] += vectors[:, columns] @ decode(layout.view[rows, columns]).T
    return image


def refine(sketch: Sketch) -> Sketch:
    """One step of block power iteration: the sketch of the same weight with the pulled-back vectors, orthonormalised, as R."""
    view = sketch.layout.view
    basis = np.ascontiguousarray(np.linalg.qr(sketch.pullback.T)[0].T, np.float32)
    image = np.zeros((len(basis), view.shape[0]), np.float32)
    pullback = np.zeros((len(basis), view.shape[1]))
    with np.errstate(all="ignore"):
        for rows, parts in bands(view):
            values = [decode(view[rows, columns]) for columns in parts]
            for columns, part in zip(parts, values, strict=True):
                image[:, rows] += basis[:, columns] @ part.T
            for columns, part in zip(parts, values, strict=True):
                pullback[:, columns] += image[:, rows] @ part
    return replace(sketch, vectors=basis, image=image, pullback=pullback)


def _give_back(view: np.ndarray) -> None:
    """Drop the pages of a read-only file mapping from resident memory; they stay in the system's cache."""
    owner: object = view
    while isinstance(owner, np.ndarray):
        if isinstance(owner, np.memmap) and owner.mode != "r":
            return
        owner = owner.base
    if not isinstance(owner, mmap.mmap) or not hasattr(mmap, "MADV_DONTNEED") or not view.size:
        return
    start = np.frombuffer(owner, np.uint8).ctypes.data
    low, high = np.lib.array_utils.byte_bounds(view)
    first = -(-(low - start) // mmap.PAGESIZE) * mmap.PAGESIZE
    length = (high - start) // mmap.PAGESIZE * mmap.PAGESIZE - first
    if length > 0:
        owner.madvise(mmap.MADV_DONTNEED, first, length)
