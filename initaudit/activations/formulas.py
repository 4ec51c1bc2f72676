"""Closed forms of activation functions: elementwise, float64, pure numpy."""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]


_erf = np.frompyfunc(math.erf, 1, 1)


def erf(z: Array) -> Array:
    """Error function, elementwise."""
    return np.asarray(_erf(z), dtype=np.float64)


def sigmoid(z: Array) -> Array:
    """1 / (1 + exp(-z)), without overflow and exact also where it is tiny."""
    tail = np.exp(-np.abs(z))
    return np.where(z >= 0, 1.0, tail) / (1.0 + tail)


def softplus(z: Array, beta: float = 1.0) -> Array:
    """log(1 + exp(beta z)) / beta."""
    return np.logaddexp(0.0, beta * z) / beta


def elu(z: Array, alpha: float = 1.0) -> Array:
    """Clevert et al. 2016, equation 15."""
    return np.where(z > 0, z, alpha * np.expm1(np.minimum(z, 0.0)))


def celu(z: Array, alpha: float = 1.0) -> Array:
    """Barron 2017: continuously differentiable ELU."""
    return np.where(z > 0, z, alpha * np.expm1(np.minimum(z, 0.0) / alpha))


SELU_ALPHA = 1.6732632423543772
"""Klambauer et al. 2017, equation 14: the fixed point of mean 0 and variance 1."""
SELU_SCALE = 1.0507009873554805
"""The same equation's lambda."""


def selu(z: Array) -> Array:
    """Klambauer et al. 2017, equation 2."""
    return SELU_SCALE * elu(z, SELU_ALPHA)


def gelu(z: Array) -> Array:
    """Gaussian error linear unit, z Phi(z); Hendrycks & Gimpel 2016."""
    return 0.5 * z * (1.0 + erf(z / math.sqrt(2.0)))


def gelu_tanh(z: Array) -> Array:
    """Hendrycks & Gimpel 2016, the tanh approximation."""
    return 0.5 * z * (1.0 + np.tanh(math.sqrt(2.0 / math.pi) * (z + 0.044715 * z**3)))


def silu(z: Array, beta: float = 1.0) -> Array:
    """Swish, z sigmoid(beta z); Elfwing et al. 2017, Ramachandran et al. 2017."""
    return z * sigmoid(beta * z)


QUICK_GELU_SLOPE = 1.702
"""Hendrycks & Gimpel 2016, section 2: z sigmoid(1.702 z) approximates GELU."""


ONNX_HARDSIGMOID_SLOPE = 0.2
"""Default of the ONNX operator HardSigmoid, and Keras's; torch's hardsigmoid has 1/6."""


def hardsigmoid(z: Array, alpha: float = 1 / 6, beta: float = 0.5) -> Array:
    """min(1, max(0, alpha z + beta)); torch's constants."""
    return np.clip(alpha * z + beta, 0.0, 1.0)


LEAKY_SLOPE = 0.01
"""Maas et al. 2013; default of the ONNX operator LeakyRelu and of torch.nn.LeakyReLU."""


def leaky_relu(z: Array, negative_slope: float = LEAKY_SLOPE) -> Array:
    """Maas et al. 2013; also PReLU with its mean slope."""
    return np.where(z >= 0, z, negative_slope * z)


def hardtanh(z: Array, min_val: float = -1.0, max_val: float = 1.0) -> Array:
    """The value clipped to [min_val, max_val]."""
    return np.clip(z, min_val, max_val)


def softshrink(z: Array, lambd: float = 0.5) -> Array:
    """Shrunk towards zero: sign(z) max(|z| - lambda, 0)."""
    return np.sign(z) * np.maximum(np.abs(z) - lambd, 0.0)


def hardshrink(z: Array, lambd: float = 0.5) -> Array:
    """The value where |z| > lambda, else 0."""
    return np.where(np.abs(z) > lambd, z, 0.0)


def threshold(z: Array, threshold: float = 1.0, value: float = 0.0) -> Array:
    """The value where z > threshold, else `value`."""
    return np.where(z > threshold, z, value)
