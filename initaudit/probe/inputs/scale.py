"""The scale of an input that is not that of N(0, 1)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

BYTE = 255.0
"""Largest pixel of an image of 8 bits a channel."""
PIXEL_SPREAD = 0.25
"""Standard deviation of pixels over their range: 0.23 to 0.28 in the channels of ImageNet and CIFAR-10."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """Values are `centre` plus `width` times values of mean 0 and variance 1."""

    centre: np.ndarray
    """Of as many axes as the input, or of none."""
    width: np.ndarray
    bounds: tuple[float, float] | None
    """What the values are cut off at."""
    why: str

    @property
    def told(self) -> str:
        """The range in words."""
        if self.bounds is not None:
            return f"{self.bounds[0]:g} to {self.bounds[1]:g}, {self.why}"
        return f"mean {np.mean(self.centre):.3g}, std {np.mean(self.width):.3g}, {self.why}"

    def apply(self, standard: np.ndarray) -> np.ndarray:
        """Values for such of mean 0 and variance 1."""
        values = self.centre + self.width * standard
        return values if self.bounds is None else np.clip(values, *self.bounds)


def within(low: float, high: float, why: str) -> Scale:
    """Of pixels between two values."""
    spread = (high - low) * PIXEL_SPREAD
    return Scale(centre=np.array((low + high) / 2), width=np.array(spread), bounds=(low, high), why=why)
