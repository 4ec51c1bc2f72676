"""Constants that an operator multiplies by although nobody learns them. Pure numpy; each test says yes only when it is evident.

Zeros, ones and identities are never taken for decoys: they are deliberate initialisations (LoRA's B, ReZero, Dirac, identity
recurrence) as often as tables.
"""

from __future__ import annotations

import numpy as np

MAX_READ = 1 << 22
"""Elements that a decision may read; larger constants are taken for weights unless a sample says otherwise. A judgement: 16 MiB
in float32."""

SAMPLE = 256
"""Values read first; one that does not fit ends the test. A judgement."""

TOLERANCE = 2e-2
"""Of sinusoids: tables are stored in half precision too, and angles of thousands of radians lose digits."""

MIN_SPREAD = 0.3
"""Row 1 of a table holds angles from one radian down to nearly none: sines from .84 to 0, cosines from .54 to 1."""

SPECTRAL_SHARE = 0.98
"""Energy of a filter within WINDOW_BINS around its peak that makes it a windowed sinusoid (Hann and Hamming leave < 1 % outside)."""

WINDOW_BINS = 3
"""Bins to either side of the peak: the main lobe of a Hann or Hamming window is two bins wide on each side, and one more where
the frequency lies between bins (Harris 1978)."""
RESOLUTION = 1e-6
"""Rows this much smaller than the largest are rounding errors of float32."""

PROBED_ROWS = 3
"""Rows looked at before all are. A judgement: first, middle and last."""

MIN_TAPS = 32
"""Shorter filters have too few frequencies to tell."""

MASK_VALUE = -50.0
"""exp(-50) is 2e-22: nothing of it is left after a softmax. In use are -100 (Swin), -1e4, -1e9, the smallest float, -inf."""

MIN_GRID = 16
"""Fewer whole numbers may be chance: a norm's scales of 1, a quantised bias."""

MIN_ANCHORS = 64
"""Fewer rows of 2 or 4 may be anything; detection heads have hundreds to thousands of positions."""

MIN_PROGRESSION = 4
"""Shortest progression: three numbers may be one by chance."""
MAX_PROGRESSION = 4096
"""Longest progression: heads and frequencies are some thousands at most."""

STEP_TOLERANCE = 5e-3
"""Of the logarithm of the ratio; half precision rounds by 5e-4."""

MIN_ZEROS = 0.3
"""Share of exact zeros in a normalised adjacency matrix; a graph with more edges than that is no sparse graph."""


def sample(array: np.ndarray) -> np.ndarray:
    """A few values spread over the array, as float64."""
    flat = array.reshape(-1)
    return np.asarray(flat[:: max(1, flat.size // SAMPLE)][: 2 * SAMPLE]).astype(np.float64)


def is_selection(array: np.ndarray) -> bool:
    """Zeros and ones (or zeros and signs), both present, and no identity: one-hot, selection, decision tree, adjacency."""
    few = sample(array)
    if not np.isin(few, (-1.0, 0.0, 1.0)).all() or array.size > MAX_READ or array.size < 2:
        return False
    values = np.asarray(array).astype(np.float32)
    signs = np.abs(values)
    if not ((signs == 0) | (signs == 1)).all() or signs.min() == signs.max():
        return False
    matrix = values.reshape(-1, values.shape[-1]) if values.ndim == 2 else values.reshape(values.shape[0], -1)
    return not _is_identity(matrix)


def _is_identity(matrix: np.ndarray) -> bool:
    """At most one entry per row and column, in order: an identity or Dirac kernel of any shape."""
    rows, columns = np.nonzero(matrix)
    once = len(set(rows.tolist())) == len(rows) and len(set(columns.tolist())) == len(columns)
    return once and bool(np.all(np.diff(columns) > 0)) and bool((matrix[rows, columns] == 1).all())


def is_mask(array: np.ndarray) -> bool:
    """Two values, the lower so negative that it can only mean minus infinity."""
    few = sample(array)
    low = few.min() if few.size else 0.0
    if not low <= MASK_VALUE or array.size > MAX_READ:
        return False
    return len(np.unique(np.asarray(array).astype(np.float64))) <= 2


def is_grid(array: np.ndarray) -> bool:
    """Whole and half numbers, more than two different ones and none beyond a million: positions, strides, offsets of a grid."""
    few = 2 * sample(array)
    if array.size < MIN_GRID:
        return False
    if (
        not np.isfinite(few).all()
        or (few != np.rint(few)).any()
        or array.size > MAX_READ
        or np.abs(few).max(initial=0) > 2e6
    ):
        return False
    values = 2 * np.asarray(array).astype(np.float64)
    return bool((values == np.rint(values)).all()) and len(np.unique(values)) > 2


def is_geometric(array: np.ndarray) -> bool:
    """A geometric progression: the frequencies of a rotary or sinusoidal encoding, the slopes of ALiBi (Press et al. 2022)."""
    if not MIN_PROGRESSION <= array.size <= MAX_PROGRESSION:
        return False
    values = np.sort(np.asarray(array).astype(np.float64).reshape(-1))
    if values[0] <= 0 or not np.isfinite(values).all():
        return False
    steps = np.diff(np.log(values))
    return bool(steps.min() > STEP_TOLERANCE) and bool(np.ptp(steps) < STEP_TOLERANCE * max(1.0, float(steps.mean())))


def is_anchor_table(shape: tuple[int, ...]) -> bool:
    """Many points or boxes: rows of 2 or 4 coordinates, one for each position of a detection head."""
    wide = [n for n in shape if n > 1]
    return len(wide) >= 2 and shape[-1] in (2, 4) and int(np.prod(wide[:-1])) >= MIN_ANCHORS


def is_constant_fill(array: np.ndarray) -> bool:
    """One value everywhere."""
    few = sample(array)
    return (
        few.size > 0
        and bool((few == few[0]).all())
        and array.size <= MAX_READ
        and bool((np.asarray(array) == array.flat[0]).all())
    )


def is_sinusoidal(table: np.ndarray) -> bool:
    """Rows of sin(p·w) and cos(p·w) for p = 0, 1, 2, ...: each column obeys the double angle formula.

    Vaswani et al. 2017, section 3.5; rotary embeddings (Su et al. 2021) hold the same numbers.
    """
    if table.ndim != 2 or table.shape[0] < 4 or table.shape[1] < 2:
        return False
    rows = np.asarray(table[:4]).astype(np.float64)
    zero, one = rows[0], rows[1]
    cosine, sine = np.abs(zero - 1) < TOLERANCE, np.abs(zero) < TOLERANCE
    if not (cosine | sine).all() or np.abs(rows).max() > 1 + TOLERANCE or np.ptp(one) < MIN_SPREAD:
        return False
    twice = np.where(cosine, 2 * one**2 - 1, 2 * one * np.sqrt(np.clip(1 - one**2, 0, None)))
    thrice = np.where(cosine, 4 * one**3 - 3 * one, 3 * one - 4 * one**3)
    # The sign of a cosine that belongs to a sine column is unknown, so sines of double angles are compared in size.
    off = [np.where(cosine, np.abs(rows[2] - twice), np.abs(np.abs(rows[2]) - np.abs(twice))), np.abs(rows[3] - thrice)]
    return bool(np.max(off) < TOLERANCE)


def is_fourier_basis(filters: np.ndarray) -> bool:
    """Rows [filters, taps] are windowed sinusoids of many frequencies: the fixed basis of a Fourier transform in the graph."""
    if filters.ndim != 2 or filters.shape[1] < MIN_TAPS or filters.shape[0] < MIN_TAPS or filters.size > MAX_READ:
        return False
    few = filters[:: max(1, len(filters) // PROBED_ROWS)]
    if len(few) < len(filters) and not _concentrated(np.asarray(few).astype(np.float64))[0]:
        return False
    rows = np.asarray(filters).astype(np.float64)
    concentrated, frequencies = _concentrated(rows)
    return concentrated and frequencies > len(rows) // 3


def _concentrated(rows: np.ndarray) -> tuple[bool, int]:
    """Whether nearly all energy of every row is at one frequency, and how many different ones there are."""
    height = np.abs(rows).max(axis=1)
    rows = rows[height > RESOLUTION * height.max(initial=0)]  # sin(0) and sin(pi t) are zero up to rounding
    if not len(rows):
        return False, 0
    power = np.abs(np.fft.rfft(rows, axis=1)) ** 2
    peaks = power.argmax(axis=1)
    near = np.abs(np.arange(power.shape[1])[None, :] - peaks[:, None]) <= WINDOW_BINS
    share = (power * near).sum(axis=1) / power.sum(axis=1)
    return bool((share > SPECTRAL_SHARE).all()), len(set(peaks.tolist()))


def is_adjacency(matrix: np.ndarray) -> bool:
    """Square, symmetric, non-negative, many exact zeros: a (normalised) adjacency matrix."""
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or matrix.shape[0] < 3 or matrix.size > MAX_READ:
        return False
    few = sample(matrix)
    if few.min() < 0 or not (few == 0).any():
        return False
    values = np.asarray(matrix).astype(np.float64)
    zeros = float((values == 0).mean())
    off_diagonal = values[~np.eye(len(values), dtype=bool)]
    return (
        values.min() >= 0
        and zeros >= MIN_ZEROS
        and bool((off_diagonal != 0).any())
        and bool(np.allclose(values, values.T))
    )
