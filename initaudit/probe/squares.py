"""Sums of squares of float32 arrays of any scale: in double precision wherever single would overflow or underflow."""

from __future__ import annotations

import math

import numpy as np

SMALLEST, LARGEST = 1e-30, 1e30
"""A sum in single precision outside of these may have lost terms to underflow, or be on the way to infinity."""


def squares(array: np.ndarray) -> np.ndarray:
    """Sum of squares of each row, float64."""
    flat = array.reshape(len(array), -1)
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        total = np.einsum("ij,ij->i", flat, flat).astype(np.float64)
        if not ((total > SMALLEST) & (total < LARGEST)).all():  # NaN is neither
            total = np.square(flat, dtype=np.float64).sum(axis=1)
    return total


def square(array: np.ndarray) -> float:
    """Sum of squares of all elements."""
    return float(squares(array[None])[0])


def root_mean_squares(array: np.ndarray) -> np.ndarray:
    """Root mean square of each row, float64; NaN or infinite where an element is."""
    return np.sqrt(squares(array) / max(1, array[0].size))


def root_mean_square(array: np.ndarray) -> float:
    """Root mean square of all elements."""
    return math.sqrt(square(array) / array.size) if array.size else 0.0
