"""Weights from what arrives at a layer: the leading directions of its inputs, whitened (Krähenbühl et al. 2016, section 3.1)."""

from __future__ import annotations

from typing import Final

import numpy as np

FLAT: Final = 1e-4
"""Variance along a direction, relative to that along the first, down to which it is whitened. A judgement: weights of one layer then differ
a hundredfold at most, and what lies below is rounding and noise more often than signal."""
ROWS_PER_DIRECTION: Final = 2
"""Rows for each direction at least. A judgement: with fewer, directions of white noise have from a tenth to three times their true variance
(Marchenko & Pastur 1967: (1 +- sqrt(1/2))^2)."""


def whitening(
    rows: np.ndarray, units: int, rng: np.random.Generator, *, centre: bool
) -> tuple[np.ndarray, np.ndarray] | None:
    """Weights [units, inputs] and biases [units] that give z = W x + b mean 0 and covariance 1 over `rows`; None where the rows do not vary.

    Of more units than there are directions, the further ones are random rotations of them, each set of as many as there are directions white in
    itself. Signs are random.

    Args:
        rows: what arrives, [rows, inputs].
        units: how many weights are wanted for each input.
        rng: of signs and rotations.
        centre: whether biases may take the mean out; elsewhere W is orthogonal to it, and the biases are zero.
    """
    rows = rows.astype(np.float64)
    mean = rows.mean(axis=0)
    rows -= mean
    length = float(np.linalg.norm(mean))
    if not centre and length > 0:
        rows -= np.outer(rows @ (mean / length), mean / length)
    directions, variances = _directions(rows)
    if not variances.size or not variances[0] > 0:
        return None
    known = min(int((variances > FLAT * variances[0]).sum()), max(1, len(rows) // ROWS_PER_DIRECTION))
    white = directions[:known] / np.sqrt(variances[:known, None])
    blocks = [white * rng.choice((-1.0, 1.0), (known, 1))]
    while known * len(blocks) < units:
        q, r = np.linalg.qr(rng.standard_normal((known, known)))
        blocks.append(q * np.sign(np.diagonal(r)) @ white)
    weights = np.concatenate(blocks)[:units]
    return weights, -weights @ mean if centre else np.zeros(units)


def _directions(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Orthonormal directions [directions, inputs] of centred rows with the variance along each, the largest first; of the smaller Gram matrix."""
    count, inputs = rows.shape
    if inputs <= count:
        variances, columns = np.linalg.eigh(rows.T @ rows / count)
        return columns.T[::-1], np.maximum(variances[::-1], 0.0)
    variances, columns = np.linalg.eigh(rows @ rows.T / count)
    variances, columns = np.maximum(variances[::-1], 0.0), columns[:, ::-1]
    some = variances > FLAT * variances[0]
    lengths = np.sqrt(variances[some] * count)
    return (columns[:, some] / lengths).T @ rows, variances[some]
