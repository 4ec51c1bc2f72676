"""The schemes that the samples are drawn from. Shapes are [out, in] or [out, in, kh, kw], values are float64.

`RandomState` is numpy's frozen generator: the same seed gives the same numbers in every release (NEP 19).
"""

from __future__ import annotations

import math
import zlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from initaudit.making.net import Array

Rng = np.random.RandomState


def rng_for(name: str) -> Rng:
    """The generator of a sample: its name is its seed."""
    return Rng(zlib.crc32(name.encode()))


def fans(shape: tuple[int, ...]) -> tuple[int, int]:
    """(fan_in, fan_out) of a dense or convolutional weight."""
    field = math.prod(shape[2:])
    return shape[1] * field, shape[0] * field


def normal(rng: Rng, shape: tuple[int, ...], std: float) -> Array:
    """N(0, std^2)."""
    return rng.standard_normal(shape) * std


def uniform(rng: Rng, shape: tuple[int, ...], bound: float) -> Array:
    """U(-bound, bound)."""
    return rng.uniform(-bound, bound, shape)


def xavier_normal(rng: Rng, shape: tuple[int, ...]) -> Array:
    """Variance 2 / (fan_in + fan_out) (Glorot & Bengio 2010, equation 12)."""
    return normal(rng, shape, math.sqrt(2 / sum(fans(shape))))


def xavier_uniform(rng: Rng, shape: tuple[int, ...]) -> Array:
    """U(+-sqrt(6 / (fan_in + fan_out))) (Glorot & Bengio 2010, equation 16)."""
    return uniform(rng, shape, math.sqrt(6 / sum(fans(shape))))


def he_normal(rng: Rng, shape: tuple[int, ...]) -> Array:
    """Variance 2 / fan_in (He et al. 2015, equation 10)."""
    return normal(rng, shape, math.sqrt(2 / fans(shape)[0]))


def he_normal_fan_out(rng: Rng, shape: tuple[int, ...]) -> Array:
    """Variance 2 / fan_out (He et al. 2015, equation 14; what torchvision's ResNets use)."""
    return normal(rng, shape, math.sqrt(2 / fans(shape)[1]))


def lecun_normal(rng: Rng, shape: tuple[int, ...]) -> Array:
    """Variance 1 / fan_in (LeCun et al. 1998; Klambauer et al. 2017 for SELU)."""
    return normal(rng, shape, math.sqrt(1 / fans(shape)[0]))


def torch_default(rng: Rng, shape: tuple[int, ...]) -> Array:
    """U(+-1 / sqrt(fan_in)): what torch's Linear and Conv do when nobody chooses (pytorch#15314)."""
    return uniform(rng, shape, 1 / math.sqrt(fans(shape)[0]))


def torch_default_bias(rng: Rng, shape: tuple[int, ...]) -> Array:
    """The bias that goes with a `torch_default` weight of this shape: the same law, one value per output."""
    return uniform(rng, shape[:1], 1 / math.sqrt(fans(shape)[0]))


def orthogonal(rng: Rng, shape: tuple[int, int], gain: float = 1.0) -> Array:
    """A random rotation times `gain`: gain * Q with Q' Q = I or Q Q' = I, uniformly distributed (Saxe et al. 2014)."""
    rows, columns = shape
    q, r = np.linalg.qr(rng.standard_normal((max(shape), min(shape))))
    q *= np.sign(np.diag(r))  # without this the signs, and so the distribution, are LAPACK's choice
    return gain * (q if rows >= columns else q.T)
