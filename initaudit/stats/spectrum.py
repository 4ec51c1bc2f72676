"""Singular values of a weight: exactly where that is cheap, by a randomised lower bound where it is not."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from initaudit.stats.sketch import GAUSSIANS, Sketch, project, refine

if TYPE_CHECKING:
    from collections.abc import Sequence

EXACT_SIDE: Final = 256
"""Largest smaller side for which all singular values are computed. A judgement: 256 takes some 5 ms, 512 five to ten times as
long (`benchmarks/thresholds.py speed`)."""

EXACT_COST: Final = 1 << 26
"""Largest product of size and smaller side for the same: so many multiplications take 5 ms."""
EXACT_SIZE: Final = 1 << 20
"""Largest size for the same: so many values, decoded to float64, take 8 MiB."""

EQUAL_LENGTHS: Final = 3e-3
"""Squared lengths of the rows of an orthogonal matrix differ less: storing them in bfloat16 leaves 2.4e-3 in 256 columns and
1e-3 in 1,024 (`benchmarks/thresholds.py rounding`). Those of a random matrix differ by 8 sqrt(2/columns) or so."""

REFINED_SIZES: Final = (1 << 20, 1 << 22)
"""A power step is taken for each of these sizes that the tensor does not exceed. A judgement: it costs a third of the first
pass, and two of them find a singular value 3 times the edge of the bulk within a few percent (tested)."""

STRUCTURED_SIZE: Final = 1 << 24
"""Largest size for which a power step is taken where there is STRUCTURED. A judgement: 64 MiB in float32, one more reading."""
STRUCTURED: Final = 1.15
"""Factor by which the first estimate, squared, exceeds that of independent values, tr(G^2)/tr(G) of a Marchenko-Pastur
spectrum, where there are larger singular values to be found. A judgement: four vectors of noise reach 1.05."""

LOWEST_SCALE: Final = 1e-60
"""Values smaller than this, or larger than its inverse, are scaled before they are squared twice."""

RANK_TOLERANCE: Final = 1e-7
"""Singular values below this share of the largest are rounding noise of a Gram matrix in float64 (its square root of epsilon is 1.5e-8)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spectrum:
    """Singular values of [copies, units, inputs], the extremes over all copies."""

    largest: float
    smallest: float | None
    stable_rank: float
    """Squared Frobenius norm over squared spectral norm, smallest over the copies; 0 for a zero matrix."""
    condition: float | None
    """Infinity where the rank is deficient."""
    orthogonality_defect: float | None
    how: str
    error: float


def is_cheap(units: int, inputs: int, size: int) -> bool:
    """Whether all singular values of a weight of this size may be computed."""
    side = min(units, inputs)
    return side <= EXACT_SIDE and size <= EXACT_SIZE and side * size <= EXACT_COST


def spectrum_of(cube: np.ndarray) -> Spectrum | None:
    """Spectrum of [copies, units, inputs], from the eigenvalues of the smaller Gram matrices; None where there is none."""
    side = min(cube.shape[1:])
    if cube.size == 0:
        return None
    scale = max(float(cube.max()), -float(cube.min()))
    if scale == 0:
        return Spectrum(
            largest=0.0, smallest=0.0, stable_rank=0.0, condition=math.inf, orthogonality_defect=math.inf, how="exact", error=0.0
        )  # fmt: skip
    if not math.isfinite(scale):
        return None
    wide, unit = cube.astype(np.float64, copy=False), 1.0
    if not LOWEST_SCALE < scale < 1.0 / LOWEST_SCALE:
        wide, unit = wide / scale, scale
    gram = wide @ wide.swapaxes(1, 2) if cube.shape[1] <= cube.shape[2] else wide.swapaxes(1, 2) @ wide
    values = np.maximum(np.linalg.eigvalsh(gram), 0.0) if side > 1 else gram[:, :, 0]
    lows, highs = values[:, 0], values[:, -1]
    energy = values.sum(axis=1)
    alive = highs > 0
    if not alive.all():
        lows, highs, energy, gram = lows[alive], highs[alive], energy[alive], gram[alive]
    worst = math.sqrt(float((lows / highs).min()))
    return Spectrum(
        largest=unit * math.sqrt(float(highs.max())),
        smallest=unit * math.sqrt(float(values[:, 0].min())),
        stable_rank=float((energy / highs).min()),
        condition=1.0 / worst if worst > RANK_TOLERANCE else math.inf,
        orthogonality_defect=_defect(gram, energy / side) if alive.all() else math.inf,
        how="exact",
        error=0.0,
    )


def spectrum_of_sketches(sketches: Sequence[Sketch], energies: np.ndarray) -> Spectrum | None:
    """What a few passes can tell of large matrices with these squared Frobenius norms; None where values overflowed."""
    found = [_spectrum_of_sketch(sketch, float(energy)) for sketch, energy in zip(sketches, energies, strict=True)]
    known = [spectrum for spectrum in found if spectrum is not None]
    if not known or len(known) < len(found):
        return None
    defects = [s.orthogonality_defect for s in known if s.orthogonality_defect is not None]
    return Spectrum(
        largest=max(s.largest for s in known),
        smallest=None,
        stable_rank=min(s.stable_rank for s in known),
        condition=None,
        orthogonality_defect=max(defects) if len(defects) == len(known) else None,
        how="randomised",
        error=max(s.error for s in known),
    )


def _spectrum_of_sketch(sketch: Sketch, energy: float) -> Spectrum | None:
    if not math.isfinite(energy):
        return None
    upper = min(singular_value_from_above(sketch), math.sqrt(energy))
    defect = _defect_of_sketch(sketch)
    lower = singular_value_from_below(sketch)
    steps = sum(sketch.layout.view.size <= limit for limit in REFINED_SIZES)
    rows, columns = sketch.layout.view.shape
    structured = lower * lower > STRUCTURED * energy * (1.0 / rows + 1.0 / columns)
    if structured and sketch.layout.view.size <= STRUCTURED_SIZE:
        steps = max(steps, 1)
    for _ in range(steps):
        sketch = refine(sketch)
        lower = singular_value_from_below(sketch)
    lower = min(lower, math.sqrt(energy))
    if not math.isfinite(lower):
        return None
    return Spectrum(
        largest=lower,
        smallest=None,
        stable_rank=energy / (lower * lower) if lower > 0 else 0.0,
        condition=None,
        orthogonality_defect=defect,
        how="randomised",
        error=max(0.0, upper / lower - 1.0) if lower > 0 else 0.0,
    )


def singular_value_from_below(sketch: Sketch) -> float:
    """Largest |A' y| / |y| over the span of the images: never above the largest singular value."""
    triangle = np.linalg.qr(sketch.image.T.astype(np.float64), mode="r")
    size = float(np.abs(np.diagonal(triangle)).max(initial=0.0))
    if size == 0 or not (math.isfinite(size) and np.isfinite(sketch.pullback).all()):
        return size if size == 0 else math.inf
    return float(np.linalg.norm(sketch.pullback.T @ np.linalg.pinv(triangle, rcond=1e-6), 2))


def singular_value_from_above(sketch: Sketch) -> float:
    """|A'A| <= 10 sqrt(2/pi) max |A'A r|, for Gaussian r, with probability 1 - 10^-GAUSSIANS (Halko et al. 2011, lemma 4.1)."""
    return math.sqrt(10.0 * math.sqrt(2.0 / math.pi) * float(np.linalg.norm(sketch.pullback[:GAUSSIANS], axis=1).max()))


def _defect_of_sketch(sketch: Sketch) -> float | None:
    """Root mean square of (G - level I) r over that of level r, for Gaussian r and the smaller Gram matrix G.

    For a tall matrix G = A'A and the sketch holds G r. For a wide one G = AA' needs another pass, for the images in place of r; it is
    taken only where the rows are of one length, as those of an orthogonal matrix are: None elsewhere.
    """
    rows, columns = sketch.layout.view.shape
    vectors, product = sketch.vectors.astype(np.float64), sketch.pullback
    if rows < columns:
        if sketch.row_energy.max() > sketch.row_energy.min() * (1.0 + EQUAL_LENGTHS):
            return None
        vectors = sketch.image.astype(np.float64)
        product = project(sketch.layout, sketch.pullback.astype(np.float32)).astype(np.float64)
    size = float(np.vdot(vectors, vectors))
    level = float(np.vdot(vectors, product)) / size if size > 0 else 0.0
    if not (math.isfinite(level) and level > 0):
        return None
    return math.sqrt(float(np.square(product - level * vectors).sum()) / size) / level


def _defect(gram: np.ndarray, level: np.ndarray) -> float:
    """Largest |G - level I| / level over the copies."""
    relative = gram / level[:, None, None]
    diagonal = np.arange(gram.shape[-1])
    relative[:, diagonal, diagonal] -= 1.0
    return max(float(relative.max()), -float(relative.min()))
