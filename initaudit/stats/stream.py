"""One pass over a tensor too large to hold: moments, energies of units and inputs, and a sketch of its spectrum.

The tensor is cut into spans of a fixed size along its slowest axis, so that the result does not depend on the number of threads;
each span is read in cache-sized chunks, and its pages are given back when it is done.
"""

from __future__ import annotations

import math
import mmap
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import TYPE_CHECKING, Final

import numpy as np

from initaudit.stats.decode import decode, from_half, half_extremes
from initaudit.stats.layout import Layout, Role, chunks
from initaudit.stats.moments import PIVOT_SHARE, SAFE_HIGH, SAFE_LOW, SMALLEST_NORMAL, Moments
from initaudit.stats.units import SIGNATURE_WIDTH

if TYPE_CHECKING:
    from collections.abc import Iterator

SPAN: Final = 1 << 22
"""Values per span: 16 MiB in float32, enough to keep a thread busy for 10 ms and little enough to bound resident memory."""

THREADS: Final = 2
"""Spans in flight. Two cores read at the speed of memory; more would only take them from the rest of the audit."""

SKETCH_WIDTH: Final = SIGNATURE_WIDTH
"""Random vectors that the weight is multiplied with: Halko, Martinsson & Tropp 2011, lemma 4.1, bound with probability 1 - 10^-4."""

SKETCH_SEED: Final = 20110601


@dataclass(frozen=True, slots=True, kw_only=True)
class Sketch:
    """Products of the weight, seen as a matrix A [rows, columns] in memory order, with random vectors R [columns, SKETCH_WIDTH]."""

    rows: Role
    image: np.ndarray
    """A R, float32 [rows, SKETCH_WIDTH]."""
    pullback: np.ndarray
    """A' A R, float64 [columns, SKETCH_WIDTH]."""

    @property
    def units(self) -> np.ndarray:
        """One signature per unit: equal units have equal signatures up to rounding, multiples have multiples."""
        return self.image if self.rows == "unit" else self.pullback


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """What one pass found."""

    moments: Moments
    unit_energy: np.ndarray
    """float64 [copies, units]."""
    input_energy: np.ndarray
    """float64 [copies, inputs]."""
    sketch: Sketch | None
    """None unless the weight is one matrix whose rows fit a chunk."""


def scan(layout: Layout) -> Scan:
    """Read the whole tensor once, in memory order."""
    spans = list(_spans(layout))
    random = _random_vectors(layout)
    if len(spans) > 1 and (os.cpu_count() or 1) > 1:
        with ThreadPoolExecutor(THREADS) as pool:
            parts = list(pool.map(lambda span: _scan_span(span, random), spans))
    else:
        parts = [_scan_span(span, random) for span in spans]
    totals = {
        role: _join([part.energies[role] for part in parts], layout.roles[0] in ("copy", role))
        for role in ("unit", "input")
    }
    sketch = None
    if random is not None:
        sketch = Sketch(
            rows=layout.roles[0],
            image=np.concatenate([part.image for part in parts if part.image is not None]),
            pullback=reduce(add, [part.pullback for part in parts if part.pullback is not None]),
        )
    return Scan(
        moments=reduce(add, [part.moments for part in parts], Moments()),
        unit_energy=_canonical(layout, totals["unit"], "unit", layout.units),
        input_energy=_canonical(layout, totals["input"], "input", layout.inputs),
        sketch=sketch,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    moments: Moments
    energies: dict[str, np.ndarray]
    image: np.ndarray | None
    pullback: np.ndarray | None


def _spans(layout: Layout) -> Iterator[Layout]:
    """Slices of the view along its first axis, about SPAN values each."""
    length = layout.view.shape[0]
    step = max(1, SPAN // max(1, layout.view.size // length))
    for low in range(0, length, step):
        yield layout.sliced(slice(low, min(low + step, length)))


def _random_vectors(layout: Layout) -> np.ndarray | None:
    if layout.view.ndim != 2 or "copy" in layout.roles or layout.roles[0] == layout.roles[1]:
        return None
    columns = layout.view.shape[1]
    if columns > layout.chunk_size:
        return None
    return np.random.default_rng(SKETCH_SEED).standard_normal((columns, SKETCH_WIDTH)).astype(np.float32)


def _join(parts: list[np.ndarray], along_first: bool) -> np.ndarray:
    return np.concatenate(parts) if along_first else reduce(add, parts)


def _canonical(layout: Layout, total: np.ndarray, role: str, size: int) -> np.ndarray:
    """Energies with axes in memory order, as [copies, size]."""
    axes = layout.axes_of("copy") + layout.axes_of(role)
    rest = [a for a in range(total.ndim) if a not in axes]
    return total.transpose(axes + rest).reshape(layout.copies, size)


def _scan_span(span: Layout, random: np.ndarray | None) -> _Part:
    with np.errstate(all="ignore"):
        part = _Scanner(span, random).run()
    _give_back(span.view)
    return part


class _Scanner:
    """The accumulators of one span and the buffers its chunks share."""

    def __init__(self, span: Layout, random: np.ndarray | None) -> None:
        self.span, self.random = span, random
        roles, shape = span.roles, span.view.shape
        self.drop = {
            role: tuple(a for a, r in enumerate(roles) if r not in ("copy", role)) for role in ("unit", "input")
        }
        self.energies = {
            role: np.zeros([1 if a in self.drop[role] else n for a, n in enumerate(shape)])
            for role in ("unit", "input")
        }
        self.moments = Moments()
        self.smallest_normal = SMALLEST_NORMAL.get(span.view.dtype.name, 0.0)
        self.square = np.empty(span.chunk_size, np.float32)
        self.buffer = np.empty(span.chunk_size, np.int32)
        self.ones = np.ones(span.chunk_size, np.float32)
        self.image = None if random is None else np.empty((shape[0], SKETCH_WIDTH), np.float32)
        self.pullback = None if random is None else np.zeros((shape[1], SKETCH_WIDTH))

    def run(self) -> _Part:
        for where, stored in chunks(self.span):
            raw = np.ascontiguousarray(stored)
            ends = half_extremes(raw) if raw.dtype == np.float16 else None
            values = from_half(raw, self.buffer) if ends and math.isfinite(ends[0]) else decode(raw)
            low, high = ends or (float(values.min()), float(values.max()))
            if not self._fast(where, raw, values, low, high):
                self._general(where, values)
        return _Part(moments=self.moments, energies=self.energies, image=self.image, pullback=self.pullback)

    def _fast(self, where: tuple[slice, ...], raw: np.ndarray, values: np.ndarray, low: float, high: float) -> bool:
        """Sums of powers about zero in float32, by BLAS; False (nothing done) where that would not be accurate."""
        flat = values.reshape(-1)
        n = flat.size
        if values.dtype != np.float32 or not SAFE_LOW < max(-low, high) < SAFE_HIGH:  # also false for NaN and infinity
            return False
        matrix, across = self._matrix(values)
        square = np.multiply(flat, flat, out=self.square[:n]).reshape(matrix.shape)
        rows, columns = matrix.shape
        sums = matrix @ self.ones[:columns]
        row_energy = square @ self.ones[:columns]
        first, second = float(sums.sum(dtype=np.float64)), float(row_energy.sum(dtype=np.float64))
        if first * first > PIVOT_SHARE * n * second:
            return False
        third, fourth = float(np.dot(square.reshape(-1), flat)), float(np.dot(square.reshape(-1), square.reshape(-1)))
        zeros, subnormal = self._near_zero(raw, flat, square)
        self.moments = self.moments + Moments.from_power_sums(
            n, first, second, third, fourth, low, high, zeros, subnormal
        )  # fmt: skip
        if across is None:
            self._add_energies(where, square.reshape(values.shape))
            return True
        outer, inner = across
        self._add(where, outer, row_energy)
        self._add(where, inner, self.ones[:rows] @ square)
        if self.random is not None and self.image is not None and self.pullback is not None:
            image = matrix @ self.random
            self.image[where[0]] = image
            self.pullback += matrix.T @ image
        return True

    def _matrix(self, values: np.ndarray) -> tuple[np.ndarray, tuple[str, str] | None]:
        """The chunk as a matrix, with the roles of its axes where they are a unit and an input axis, and no copies are mixed."""
        kept = [(n, r) for n, r in zip(values.shape, self.span.roles, strict=True) if n > 1 or r != "copy"]
        if len(kept) == 2 and {kept[0][1], kept[1][1]} == {"unit", "input"}:
            return values.reshape(kept[0][0], kept[1][0]), (kept[0][1], kept[1][1])
        return values.reshape(-1, values.shape[-1]), None

    def _near_zero(self, raw: np.ndarray, flat: np.ndarray, square: np.ndarray) -> tuple[int, int]:
        """Zeros and subnormal values of a chunk whose magnitudes are safe."""
        if raw.dtype == np.float16:
            codes = np.bitwise_and(raw.view(np.uint16), np.uint16(0x7FFF))
            zeros = raw.size - int(np.count_nonzero(codes))
            exponents = np.right_shift(codes, 10, out=codes)
            return zeros, raw.size - int(np.count_nonzero(exponents)) - zeros
        if float(square.min()) > SAFE_LOW * SAFE_LOW * SAFE_LOW * SAFE_LOW and self.smallest_normal < SAFE_LOW:
            return 0, 0
        size = np.abs(flat)
        zeros = int(np.count_nonzero(size == 0))
        return zeros, int(np.count_nonzero(size < self.smallest_normal)) - zeros if self.smallest_normal else 0

    def _add(self, where: tuple[slice, ...], role: str, energy: np.ndarray) -> None:
        total = self.energies[role]
        at = tuple(slice(None) if a in self.drop[role] else s for a, s in enumerate(where))
        target = total[at]
        target += energy.reshape(target.shape)

    def _add_energies(self, where: tuple[slice, ...], square: np.ndarray) -> None:
        for role in self.energies:
            self._add(where, role, square.sum(axis=self.drop[role], dtype=np.float64))

    def _general(self, where: tuple[slice, ...], values: np.ndarray) -> None:
        """Any values: not finite, huge, tiny, far from zero, or float64."""
        part = Moments.of(values, self.smallest_normal)
        self.moments = self.moments + part
        if part.nonfinite:
            values = np.where(np.isfinite(values), values, values.dtype.type(0))
        wide = values.astype(np.float64, copy=False)
        self._add_energies(where, wide * wide)
        if self.random is not None and self.image is not None and self.pullback is not None:
            image = values @ self.random
            self.image[where[0]] = image
            self.pullback += values.T @ image


def refine(layout: Layout, sketch: Sketch) -> Sketch:
    """One step of block power iteration: the sketch of the same weight with the pulled-back vectors, orthonormalised, as R."""
    basis = np.linalg.qr(sketch.pullback)[0].astype(np.float32)
    image = np.empty_like(sketch.image)
    pullback = np.zeros_like(sketch.pullback)
    buffer = np.empty(layout.chunk_size, np.int32)
    with np.errstate(all="ignore"):
        for where, raw in chunks(layout):
            values = decode(raw, buffer)
            image[where[0]] = values @ basis
            pullback += values.T @ image[where[0]]
    _give_back(layout.view)
    return Sketch(rows=sketch.rows, image=image, pullback=pullback)


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


def singular_value_from_below(sketch: Sketch) -> float:
    """Largest |A' y| / |y| over the span of the images: never above the largest singular value."""
    triangle = np.linalg.qr(sketch.image.astype(np.float64), mode="r")
    size = float(np.abs(np.diagonal(triangle)).max(initial=0.0))
    if size == 0 or not (math.isfinite(size) and np.isfinite(sketch.pullback).all()):
        return size if size == 0 else math.inf
    return float(np.linalg.norm(sketch.pullback @ np.linalg.pinv(triangle, rcond=1e-6), 2))


def singular_value_from_above(sketch: Sketch) -> float:
    """|A'A| <= 10 sqrt(2/pi) max |A'A r|, for Gaussian r, with probability 1 - 10^-SKETCH_WIDTH (Halko et al. 2011, lemma 4.1)."""
    return math.sqrt(10.0 * math.sqrt(2.0 / math.pi) * float(np.linalg.norm(sketch.pullback, axis=0).max()))
