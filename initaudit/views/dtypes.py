"""Element types by name, the exotic ones of ml_dtypes included."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np


@cache
def numpy_dtype(name: str) -> np.dtype[Any]:
    """`float32`, `bfloat16`, `int4`, ... as numpy dtype. Raises ValueError for names that are none."""
    try:
        return np.dtype(name)
    except TypeError:
        import ml_dtypes

        if hasattr(ml_dtypes, name):
            exotic: np.dtype[Any] = np.dtype(getattr(ml_dtypes, name))
            return exotic
        raise ValueError(f"no numpy type {name!r}") from None


def integer_bounds(name: str) -> tuple[int, int] | None:
    """Smallest and largest value of an integer type, None for others."""
    if name.startswith("uint"):
        return 0, (1 << int(name[4:])) - 1
    if name.startswith("int"):
        bits = int(name[3:])
        return -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    return None
