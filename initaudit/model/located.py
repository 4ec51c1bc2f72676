"""Where the values of an array stand in a file, so that another process can read them there."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import ml_dtypes  # noqa: F401  whose types a pickle may name
import numpy as np

if TYPE_CHECKING:
    from initaudit.model.external import ExternalRange


@dataclass(frozen=True, slots=True, kw_only=True)
class Located:
    """An array that is a view of a mapped file; small, and pickled."""

    held: ExternalRange
    """The bytes from its first to its last value in memory."""
    first: int
    """Which of them its value at index 0, 0, ... begins with: not the first one where a stride is negative."""
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    """In bytes."""
    dtype: np.dtype[Any]

    def array(self) -> np.ndarray:
        """The values, read-only, a view of a memory map. Raises ExternalDataError where the file is another one by now."""
        raw = self.held.unchanged().bytes()
        return np.ndarray(self.shape, self.dtype, raw.data, self.first, self.strides)


def located(array: np.ndarray, held: ExternalRange) -> Located | None:
    """Where an array stands in these bytes of a file; None where it is no view of them but was computed, or they are not in it."""
    if not array.size or not held.is_here:
        return None
    low, high = np.lib.array_utils.byte_bounds(array)
    start, stop = np.lib.array_utils.byte_bounds(held.bytes())
    if not start <= low < high <= stop:
        return None
    return Located(
        held=replace(held, offset=held.offset + low - start, length=high - low),
        first=array.ctypes.data - low,
        shape=array.shape,
        strides=array.strides,
        dtype=array.dtype,
    )
