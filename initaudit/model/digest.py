"""Digests of stored values, by which a record knows them again."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from initaudit.memory import give_back

if TYPE_CHECKING:
    import numpy as np

DIGITS = 32
"""Hexadecimal digits of a digest, 128 bits: two tensors with one are the same, and a record of many tensors stays short."""


def raw(values: np.ndarray) -> memoryview:
    """The bytes of an array as ONNX stores them: row by row, little-endian; no copy where they lie so."""
    import numpy as np

    little = values if np.little_endian else values.byteswap()
    return np.ascontiguousarray(little).reshape(-1).view(np.uint8).data


def digest(values: np.ndarray) -> str:
    """The first DIGITS of the SHA-256 of the values as ONNX stores them raw: row by row, little-endian."""
    found = hashlib.sha256(raw(values)).hexdigest()[:DIGITS]
    give_back(values)
    return found
