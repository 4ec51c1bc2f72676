"""What it takes of memory to compute a constant, known before anything is computed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from initaudit.views.dtypes import numpy_dtype

if TYPE_CHECKING:
    from collections.abc import Iterable

    from initaudit.model.tensors import Tensor

MAX_BYTES = 3 << 29
"""Held at once to compute one constant, whatever the file holds: what an operator of three operands takes at the 16 million numbers that may
be computed from less, as for the mask of a context of 4,096. Less than half of the memory that an audit may take by default."""
BYTES_PER_STORED_BYTE = 160
"""Held at once, beyond that, for each byte that is stored: a byte of eight 1-bit weights, unpacked and scaled, takes 144."""
WIDEST = 8
"""Bytes of the widest numbers: float64 and int64."""
UNPACKING = 8
"""Bytes for each element of a type of which several share a byte, at the most, while it is unpacked: five arrays of bytes exist by turns."""
TYPED = 24
"""Bytes for each element that is stored in a typed field of the message: it becomes a Python number, or one of 8 bytes, and then its own."""


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes that a computation holds."""

    peak: int = 0
    """At once, at the most, temporaries included."""
    kept: int = 0
    """By its result."""

    def then(self, made: int, scratch: int = 0) -> Memory:
        """With one more step that makes an array of `made` bytes and has `scratch` bytes beside it."""
        return Memory(max(self.peak, self.kept + made + scratch), made)


NONE = Memory()
"""Of values that are views of bytes that are there anyway."""


def width(dtype: str) -> int:
    """Bytes of a number of this type; those of the widest where numpy does not know it, which then is not read."""
    try:
        return numpy_dtype(dtype).itemsize
    except ValueError:
        return WIDEST


def together(parts: Iterable[Memory]) -> Memory:
    """Of several results, one computed after the other and all kept."""
    peak = kept = 0
    for part in parts:
        peak = max(peak, kept + part.peak)
        kept += part.kept
    return Memory(peak, kept)


def stored_bytes(tensors: Iterable[Tensor]) -> int:
    """That exist in the file for these tensors, not those that their shapes promise."""
    return sum(t.nbytes() if t.held == t.size else 8 * t.held for t in tensors if t.origin != "generated")


def memory_of(tensor: Tensor) -> Memory:
    """What it takes to read a stored tensor: nothing where it is a view of a mapped file."""
    if tensor.literal is not None or not tensor.is_real or (tensor.is_external and not tensor.is_packed):
        return NONE
    size = tensor.size * width(tensor.dtype)
    if tensor.origin == "sparse":
        return NONE.then(size, TYPED * tensor.held)
    if tensor.is_packed:
        return NONE.then(size, UNPACKING * tensor.size)
    return NONE.then(size, 0 if tensor.is_raw else TYPED * tensor.size)
