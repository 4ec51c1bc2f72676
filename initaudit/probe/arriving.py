"""What arrives at a layer: the vectors that its weights are multiplied with, taken from values of its input."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

MOST_VALUES = 1 << 24
"""Values taken of one layer at most, over all inputs: 128 MiB as float64. A judgement."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kernel:
    """How a convolution moves over its input."""

    shape: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    pads: tuple[int, ...]
    """In front, one per axis, then behind."""
    auto_pad: str
    """As in ONNX; not NOTSET, it stands for pads."""

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Kernel:
        """From plain values."""
        fields: dict[str, Any] = {key: tuple(v) if isinstance(v, list) else v for key, v in values.items()}
        return cls(**fields)

    def outputs(self, sizes: Sequence[int]) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Positions along each axis, and the padding in front, for an input of these sizes."""
        counts, front = [], []
        for axis, size in enumerate(sizes):
            stride, reach = self.strides[axis], (self.shape[axis] - 1) * self.dilations[axis] + 1
            if self.auto_pad.startswith("SAME"):
                count = -(-size // stride)
                total = max((count - 1) * stride + reach - size, 0)
                before = total // 2 if self.auto_pad == "SAME_UPPER" else total - total // 2
            else:
                none = self.auto_pad == "VALID"
                before, behind = (0, 0) if none else (self.pads[axis], self.pads[axis + len(sizes)])
                count = (size + before + behind - reach) // stride + 1
            counts.append(max(count, 0))
            front.append(before)
        return tuple(counts), tuple(front)


def rows_in(shape: Sequence[int], kernel: Kernel | None) -> int:
    """How many vectors an input of this shape holds: one per position."""
    if kernel is None:
        return math.prod(shape[:-1])
    return shape[0] * math.prod(kernel.outputs(shape[2:])[0])


def arriving(values: Sequence[np.ndarray], kernel: Kernel | None, wanted: int, rng: np.random.Generator) -> np.ndarray:
    """Up to `wanted` vectors, drawn over all positions of all values, float64 [vectors, channels, kernel]; without a kernel [vectors, inputs, 1].

    Padding counts as zero. The vectors of a large layer are fewer, see MOST_VALUES.
    """
    taken = []
    for value in values:
        total = rows_in(value.shape, kernel)
        length = value.shape[-1] if kernel is None else value.shape[1] * math.prod(kernel.shape)
        share = max(1, min(wanted, MOST_VALUES // max(1, length)) // len(values))
        at = np.sort(rng.choice(total, share, replace=False)) if share < total else np.arange(total)
        if kernel is None:
            taken.append(value.reshape(-1, value.shape[-1])[at][:, :, None])
        else:
            taken.append(_patches(value, kernel, at))
    return np.concatenate(taken).astype(np.float64)


def _patches(value: np.ndarray, kernel: Kernel, at: np.ndarray) -> np.ndarray:
    """Patches [positions, channels, kernel] of an input [samples, channels, ...] at flat positions over samples and outputs."""
    sizes = value.shape[2:]
    counts, front = kernel.outputs(sizes)
    sample, *where = np.unravel_index(at, (value.shape[0], *counts))
    taps = np.unravel_index(np.arange(math.prod(kernel.shape)), kernel.shape)
    inside = np.ones((len(at), len(taps[0])), bool)
    index = []
    for axis, size in enumerate(sizes):
        place = where[axis][:, None] * kernel.strides[axis] - front[axis] + taps[axis] * kernel.dilations[axis]
        inside &= (place >= 0) & (place < size)
        index.append(np.clip(place, 0, size - 1))
    patches = value[(sample[:, None], slice(None), *index)]  # [positions, kernel, channels]
    return np.where(inside[:, :, None], patches, 0).transpose(0, 2, 1)
