"""A large matrix seen through its products with a few vectors: enough for its largest singular value and for repeated rows or columns."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np

from initaudit.stats.decode import decode
from initaudit.stats.walk import CHUNK, all_bands

if TYPE_CHECKING:
    from initaudit.stats.layout import Layout, Role

GAUSSIANS: Final = 3
"""Random vectors that the weight is multiplied with: Halko, Martinsson & Tropp 2011, lemma 4.1, bound with probability 1 - 10^-3."""

SKETCH_WIDTH: Final = GAUSSIANS + 1
"""The last vector is all ones: its image sums the rows, and a mean off zero is the commonest large singular direction. Four are
what BLAS multiplies with at once: three or five take half as long again (`benchmarks/thresholds.py speed`)."""

SKETCH_SEED: Final = 20110601
"""Any number; fixed, so that a report repeats."""

STRETCH: Final = 1 << 10
"""Rows whose sums are formed in float32, to 1e-6, before they are added up in float64."""

LONGEST_ROW: Final = 1 << 18
"""Longest row, in values, of a matrix that is sketched: its random vectors take 17 MB then. A judgement: the largest
vocabularies have as many."""

ONES: Final = np.ones(CHUNK, np.float32)
"""Products with it are sums: BLAS forms them several times as fast as numpy's own sum."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Products:
    """What a sketch of some rows of a matrix A [rows, columns] is made of, with R as `random_vectors` gives them."""

    image: np.ndarray
    """R A', float32 [SKETCH_WIDTH, rows]."""
    pullback: np.ndarray
    """R A' A, float64 [SKETCH_WIDTH, columns]."""

    def __add__(self, below: Products) -> Products:
        """Those of these rows and the ones below them."""
        return Products(
            image=np.concatenate([self.image, below.image], axis=1), pullback=self.pullback + below.pullback
        )


@lru_cache(maxsize=1)  # the copies of a weight have as many columns each
def random_vectors(columns: int) -> np.ndarray:
    """R, float32 [SKETCH_WIDTH, columns]: GAUSSIANS standard normal vectors, and ones."""
    random = np.random.default_rng(SKETCH_SEED).standard_normal((GAUSSIANS, columns), np.float32)
    vectors = np.vstack([random, np.ones((1, columns), np.float32)])
    vectors.flags.writeable = False
    return vectors


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


class MatrixTotals:
    """Energies of a matrix in memory and its products with random vectors, band by band."""

    def __init__(self, view: np.ndarray, row_energy: np.ndarray, column_energy: np.ndarray, sketched: bool) -> None:
        self.view = view
        rows, columns = view.shape
        self.row_energy = row_energy.reshape(-1)
        self.column_energy = _Float32Sum(column_energy.reshape(1, -1))
        self.multiplier = random_vectors(columns) if sketched else np.ones((1, columns), np.float32)
        self.sketch: Products | None = None
        if sketched:
            self.sketch = Products(
                image=np.zeros((SKETCH_WIDTH, rows), np.float32), pullback=np.zeros((SKETCH_WIDTH, columns))
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
        return self.multiplier[:, where[1]] @ values.T, square @ ONES[: values.shape[1]]

    def add(
        self, where: tuple[slice, ...], values: np.ndarray, square: np.ndarray, image: np.ndarray, row_energy: np.ndarray
    ) -> None:  # fmt: skip
        """Take one chunk, float32, and its products into the totals."""
        self.row_energy[where[0]] += row_energy
        self.column_energy.add(where[1], ONES[: values.shape[0]] @ square)
        if self.sketch is not None:
            self.sketch.image[:, where[0]] += image
            self.last = values

    def project(self, where: tuple[slice, ...], values: np.ndarray, gaps: bool) -> None:
        """Take one chunk, finite, into the sketch."""
        if self.sketch is not None:
            self.sketch.image[:, where[0]] += self.multiplier[:, where[1]] @ values.T
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

    def finish(self) -> Products | None:
        """The products, with all totals up to date."""
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


def project(layout: Layout, vectors: np.ndarray) -> np.ndarray:
    """One more pass: `vectors` [n, columns], float32, times A', float32 [n, rows]."""
    image = np.zeros((vectors.shape[0], layout.view.shape[0]), np.float32)
    with np.errstate(all="ignore"):
        for rows, parts in all_bands(layout.view):
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
        for rows, parts in all_bands(view):
            values = [decode(view[rows, columns]) for columns in parts]
            for columns, part in zip(parts, values, strict=True):
                image[:, rows] += basis[:, columns] @ part.T
            for columns, part in zip(parts, values, strict=True):
                pullback[:, columns] += image[:, rows] @ part
    return replace(sketch, vectors=basis, image=image, pullback=pullback)
