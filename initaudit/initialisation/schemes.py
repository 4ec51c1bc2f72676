"""Initialisation schemes: the standard deviation each one prescribes, the law it draws from, and the drawing itself.

The fixer draws with these entries and provenance recognises with them, so that both mean the same law.
A scheme's std is a function of fan_in, fan_out and gain; `gain` multiplies the standard deviation.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

import numpy as np

Distribution = Literal["uniform", "normal", "truncated_normal", "orthogonal", "identity", "constant"]

TRUNCATION: Final = 2.0
"""Where a truncated normal is cut, in units of its own sigma (Keras HeNormal, GlorotNormal; flax; TensorFlow)."""

TRUNCATED_STD: Final = 0.8796256610342398
"""Standard deviation of N(0, 1) cut at +-2: sqrt(1 - 4 phi(2) / (2 Phi(2) - 1)) (Johnson, Kotz & Balakrishnan 1994, 13.10)."""

TORCH_SLOPE: Final = math.sqrt(5.0)
"""Negative slope that torch's Linear and Conv hand to kaiming_uniform_, which makes the bound 1/sqrt(fan_in) (pytorch#15314)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheme:
    """One way to initialise a weight."""

    name: str
    distribution: Distribution
    source: str
    """Paper and equation, or the framework that defines the scheme."""
    variance: Callable[[float, float], float] = field(repr=False)
    """Variance for gain 1 as a function of (fan_in, fan_out); of (fan_in, units) for orthogonal and identity."""
    factor: float = 1.0
    """The singular values of an orthogonal matrix, the ones of an identity, the value of a constant."""
    knows_fans: bool = True
    """Whether the scale depends on the fans."""

    def std(self, fan_in: float, fan_out: float, gain: float = 1.0, *, units: float | None = None) -> float:
        """Standard deviation of one weight; the size of a constant. Raises ValueError for fans that are not positive where they matter.

        `units` counts the rows of the weight matrix where that is not fan_out, as in a convolution: an orthogonal matrix has
        the scale of its longer side.
        """
        if self.knows_fans and (fan_in <= 0 or fan_out <= 0):
            raise ValueError(f"scheme {self.name}: fans must be positive, got fan_in={fan_in}, fan_out={fan_out}")
        if units is not None and self.distribution in ("orthogonal", "identity"):
            fan_out = units
        return gain * math.sqrt(self.variance(fan_in, fan_out))

    def bound(self, fan_in: float, fan_out: float, gain: float = 1.0) -> float:
        """Largest absolute value the law can give; infinity where it has no bound."""
        std = self.std(fan_in, fan_out, gain)
        if self.distribution == "uniform":
            return math.sqrt(3.0) * std
        if self.distribution == "truncated_normal":
            return TRUNCATION * std / TRUNCATED_STD
        return math.inf

    def draw(
        self,
        shape: Sequence[int],
        rng: np.random.Generator,
        *,
        fan_in: float,
        fan_out: float,
        gain: float = 1.0,
        unit_axes: Sequence[int] = (0,),
        input_axes: Sequence[int] | None = None,
    ) -> np.ndarray:
        """Draw a weight, float64, of `shape`.

        `unit_axes` count the output units and `input_axes` (default: all others) the values summed by one unit;
        further axes hold independent copies. Only the orthogonal and identity schemes need to know them.
        """
        shape = tuple(shape)
        if self.distribution in ("orthogonal", "identity"):
            make = _orthogonal if self.distribution == "orthogonal" else _identity
            return gain * self.factor * _per_copy(shape, unit_axes, input_axes, rng, make)
        std = self.std(fan_in, fan_out, gain)
        if self.distribution == "uniform":
            bound = math.sqrt(3.0) * std
            return rng.uniform(-bound, bound, shape)
        if self.distribution == "normal":
            return rng.normal(0.0, std, shape)
        if self.distribution == "truncated_normal":
            return truncated_normal(shape, rng) * (std / TRUNCATED_STD)
        return np.full(shape, gain * self.factor)


def truncated_normal(shape: Sequence[int], rng: np.random.Generator) -> np.ndarray:
    """N(0, 1) cut at +-TRUNCATION, by drawing again what lies outside; float64."""
    values = rng.standard_normal(tuple(shape))
    outside = np.abs(values) > TRUNCATION
    while outside.any():
        values[outside] = rng.standard_normal(int(outside.sum()))
        outside = np.abs(values) > TRUNCATION
    return values


def _per_copy(
    shape: tuple[int, ...],
    unit_axes: Sequence[int],
    input_axes: Sequence[int] | None,
    rng: np.random.Generator,
    make: Callable[[tuple[int, ...], int, np.random.Generator], np.ndarray],
) -> np.ndarray:
    """Fill every independent copy of a weight by `make`, called with (units, *inputs), the number of unit axes, and rng."""
    ndim = len(shape)
    units = [axis % ndim for axis in unit_axes]
    inputs = [a for a in range(ndim) if a not in units] if input_axes is None else [axis % ndim for axis in input_axes]
    copies = [a for a in range(ndim) if a not in units and a not in inputs]
    order = copies + units + inputs
    inner = tuple(shape[a] for a in units + inputs)
    stacked = np.empty((math.prod(shape[a] for a in copies), *inner))
    for index in range(stacked.shape[0]):
        stacked[index] = make(inner, len(units), rng)
    moved = stacked.reshape([shape[a] for a in order])
    return np.ascontiguousarray(moved.transpose(np.argsort(order)))


def _orthogonal(inner: tuple[int, ...], unit_rank: int, rng: np.random.Generator) -> np.ndarray:
    """Haar-distributed matrix with orthonormal rows or columns, whichever are fewer (Saxe et al. 2014; Mezzadri 2007, section 5)."""
    rows, columns = math.prod(inner[:unit_rank]), math.prod(inner[unit_rank:])
    gaussian = rng.standard_normal((max(rows, columns), min(rows, columns)))
    q, r = np.linalg.qr(gaussian)
    q *= np.where(np.diagonal(r) < 0, -1.0, 1.0)
    return (q if rows >= columns else q.T).reshape(inner)


def _identity(inner: tuple[int, ...], unit_rank: int, rng: np.random.Generator) -> np.ndarray:
    """Unit i passes input i on; in a convolution through the centre of the kernel (torch's dirac_)."""
    del rng
    weight = np.zeros(inner)
    units, channels = math.prod(inner[:unit_rank]), inner[unit_rank] if len(inner) > unit_rank else 1
    kernel = inner[unit_rank + 1 :]
    centre = tuple(k // 2 for k in kernel)
    view = weight.reshape(units, channels, *kernel)
    for i in range(min(units, channels)):
        view[(i, i, *centre)] = 1.0
    return weight


def variance_scaling(
    scale: float,
    mode: Literal["fan_in", "fan_out", "fan_avg"],
    distribution: Distribution,
    *,
    name: str | None = None,
    source: str = "Keras and TensorFlow, VarianceScaling",
) -> Scheme:
    """Var(W) = scale / n with n the fan that `mode` names."""

    def variance(fan_in: float, fan_out: float) -> float:
        return scale / {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2.0}[mode]

    label = name or f"variance_scaling:{scale:g},{mode},{distribution}"
    return Scheme(name=label, distribution=distribution, source=source, variance=variance)


def fixed(distribution: Distribution, size: float) -> Scheme:
    """A law of one scale, whatever the fans.

    `size` is the std of a normal, that of a truncated normal before it is cut at two of it (Keras TruncatedNormal, flax), the bound of a uniform
    law, and the value of a constant.
    """
    std = {"uniform": size / math.sqrt(3.0), "truncated_normal": size * TRUNCATED_STD}.get(distribution, size)
    return Scheme(
        name="zeros" if distribution == "constant" and size == 0 else f"{distribution}_{size:g}",
        distribution=distribution, source="fixed scale (BERT and GPT-2: normal, 0.02)", factor=size, knows_fans=False,
        variance=lambda _fan_in, _fan_out: std * std,
    )  # fmt: skip


def whole(distribution: Literal["orthogonal", "identity"], gain: float = 1.0) -> Scheme:
    """A matrix that is drawn or made as a whole, all its singular values `gain`."""
    source = (
        "Saxe et al. 2014" if distribution == "orthogonal" else "Le et al. 2015; torch.nn.init.dirac_ for convolutions"
    )
    return Scheme(
        name=distribution if gain == 1 else f"{distribution}:{gain:g}", distribution=distribution, source=source, factor=gain,
        variance=lambda fan_in, fan_out: gain * gain / max(fan_in, fan_out),
    )  # fmt: skip


_GLOROT = "Glorot & Bengio 2010, eq. 12 and 16"
_HE = "He et al. 2015, eq. 10 and 14"
_LECUN = "LeCun et al. 1998, section 4.6"

_ENTRIES: Final = (
    variance_scaling(1.0, "fan_avg", "uniform", name="xavier_uniform", source=_GLOROT),
    variance_scaling(1.0, "fan_avg", "normal", name="xavier_normal", source=_GLOROT),
    variance_scaling(1.0, "fan_avg", "truncated_normal", name="xavier_truncated_normal", source="Keras GlorotNormal"),
    variance_scaling(2.0, "fan_in", "uniform", name="he_uniform", source=_HE),
    variance_scaling(2.0, "fan_in", "normal", name="he_normal", source=_HE),
    variance_scaling(2.0, "fan_in", "truncated_normal", name="he_truncated_normal", source="Keras HeNormal"),
    variance_scaling(2.0, "fan_out", "uniform", name="he_uniform_fan_out", source=_HE),
    variance_scaling(2.0, "fan_out", "normal", name="he_normal_fan_out", source=_HE),
    variance_scaling(1.0, "fan_in", "uniform", name="lecun_uniform", source=_LECUN),
    variance_scaling(1.0, "fan_in", "normal", name="lecun_normal", source=_LECUN),
    variance_scaling(1.0, "fan_in", "truncated_normal", name="lecun_truncated_normal", source="Keras LecunNormal"),
    variance_scaling(
        2.0 / (1.0 + TORCH_SLOPE**2), "fan_in", "uniform", name="torch_default",
        source="torch.nn.Linear and Conv, reset_parameters (pytorch#15314)",
    ),
    variance_scaling(
        1.0 / 3.0, "fan_out", "uniform", name="torch_recurrent",
        source="torch.nn.RNNBase.reset_parameters: U(+-1/sqrt(hidden)); fan_out of one gate is the hidden size",
    ),
    whole("orthogonal"),
    whole("identity"),
    fixed("normal", 1.0),
    fixed("normal", 0.02),
    fixed("constant", 0.0),
    fixed("constant", 1.0),
)  # fmt: skip

SCHEMES: Final[dict[str, Scheme]] = {scheme.name: scheme for scheme in _ENTRIES}
"""Every scheme by its name."""


def he_gain(slope: float) -> float:
    """Factor that turns He's scheme for ReLU into the one for a leaky ReLU: sqrt(1/(1+a^2)) (He et al. 2015, eq. 15)."""
    return 1.0 / math.sqrt(1.0 + slope * slope)
