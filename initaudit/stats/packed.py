"""A matrix that was drawn orthogonal as a whole and is seen in parts: the gates of a recurrent cell, packed queries, keys and values.

Keras draws the recurrent kernel [u, 4u] of an LSTM at once, and so does torch.nn.init.orthogonal_ on weight_hh [4u, u]: the columns
of all gates together are orthonormal, those of one gate are not, and entry by entry it passes for a normal law.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np

from initaudit.stats.patterns import looks_drawn, orthonormality
from initaudit.stats.verdicts import Provenance

if TYPE_CHECKING:
    from collections.abc import Sequence

GLANCE: Final = 64
"""Rows or columns whose norms are looked at before the whole product is formed. A judgement."""
EQUAL_NORMS: Final = 0.02
"""Relative difference of their squared norms that an orthogonal matrix in the coarsest type stays under; those of independent draws
differ by sqrt(2 / length), 4 % in a thousand."""

LARGEST_SIDE: Final = {True: 1024, False: 256}
"""Shorter side up to which all singular values are computed, of the gates of a cell, for which an orthogonal draw is the rule, and of
other parts. A judgement about speed: a second."""
SMALLEST_SIDE: Final = 16
"""Singular values from which their quartiles say something. A judgement."""

NARROWED: Final = 0.5
"""Share of the interquartile range of independent draws' singular values below which these come from an orthogonal draw. A judgement:
linear statistics of eigenvalues vary by one part in their number, so of 16 draws' values none come that close."""


def packed_orthogonal(parts: Sequence[np.ndarray], dtype: str, *, cell: bool) -> Provenance | None:
    """Judge the parts [units, inputs] of one stored weight together.

    Args:
        parts: in any order; all with the same inputs.
        dtype: in which the values are stored.
        cell: they are the gates of a recurrent cell.

    Returns:
        The verdict on each of them, where the whole is an orthogonal draw, or was one before it moved; else None.
    """
    rows, columns = sum(part.shape[0] for part in parts), parts[0].shape[1]
    small = SMALLEST_SIDE <= min(rows, columns) <= LARGEST_SIDE[cell]
    if not small and not _equal_norms(parts, rows >= columns):
        return None
    whole = np.concatenate([np.asarray(part, np.float64) for part in parts])
    fit = orthonormality(whole, dtype)
    if fit is not None and looks_drawn(whole, max(rows, columns), dtype):
        defect, gain, longer = fit
        return Provenance(
            law="orthogonal", distribution="orthogonal", std=gain / math.sqrt(longer), gain=gain, p_value=None, untrained=True,
            confidence="high",
            why=f"the {len(parts)} packed parts together are orthonormal up to the factor {gain:.4g}, within {defect:.0e}",
        )  # fmt: skip
    if fit is not None or not small:
        return None
    within, usual = _singular_range(whole), independent_range(min(rows, columns) / max(rows, columns))
    if within >= NARROWED * usual:
        return None
    return Provenance(
        law=None, distribution=None, std=None, gain=None, p_value=None, untrained=False, confidence="high",
        why=f"the {len(parts)} packed parts were drawn orthogonal as a whole and have moved since: half of their singular values lie within"
        f" {within:.2g} of their rms, those of independent draws within {usual:.2g}",
    )  # fmt: skip


def _singular_range(matrix: np.ndarray) -> float:
    """Interquartile range of the singular values, over their rms."""
    tall = matrix if matrix.shape[0] >= matrix.shape[1] else matrix.T
    squares = np.maximum(np.linalg.eigvalsh(tall.T @ tall), 0.0)
    low, high = np.sqrt(np.quantile(squares, (0.25, 0.75)) / squares.mean())
    return float(high - low)


def _equal_norms(parts: Sequence[np.ndarray], tall: bool) -> bool:
    """Whether the squared norms of some columns, or of some rows, are equal; cheap."""
    if tall:
        energy = sum(np.square(np.asarray(part[:, :GLANCE], np.float64)).sum(axis=0) for part in parts)
    else:
        energy = np.square(np.asarray(parts[0][:GLANCE], np.float64)).sum(axis=1)
    middle = float(np.mean(energy))
    return middle > 0 and float(np.abs(np.asarray(energy) / middle - 1.0).max()) < EQUAL_NORMS


@lru_cache(maxsize=64)
def independent_range(aspect: float) -> float:
    """Interquartile range of the singular values of independent draws, over their rms (Marchenko & Pastur 1967).

    `aspect` is the shorter side over the longer. With x^2 = lambda their density is sqrt((b - x^2)(x^2 - a)) / (pi aspect x) between
    the roots of a, b = (1 -+ sqrt(aspect))^2.
    """
    a, b = (1.0 - math.sqrt(aspect)) ** 2, (1.0 + math.sqrt(aspect)) ** 2
    x = np.linspace(math.sqrt(a), math.sqrt(b), 4001)[1:]
    mass = np.cumsum(np.sqrt(np.maximum((b - x * x) * (x * x - a), 0.0)) / x)
    low, high = np.interp((0.25, 0.75), mass / mass[-1], x)
    return float(high - low)
