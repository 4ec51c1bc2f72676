"""The values of a weight as the tests for a law want them: without zeros, and spread over the cells they were rounded to."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from initaudit.stats.distributions import EXACT_KS

if TYPE_CHECKING:
    from initaudit.stats.facts import LayerFacts
    from initaudit.stats.weigh import WeightStats

SCATTERED_ZEROS: Final = 0.01
"""Beyond this share of zeros outside zero units and inputs a weight is treated as sparse. A judgement: a fresh one has none,
and rounding to float16 makes fewer."""

EXACT_ROUNDING: Final = 1e-6
"""By how much, relatively, float32 arithmetic may move a value: frameworks compute the bound of a law in it too."""

COARSEST_ROUNDING: Final = 2.0**-8
"""The same for bfloat16, the narrowest type in which the shape of a law survives; what is coarser counts as quantised."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Values:
    """The nonzero, finite values of a weight, ready to be tested."""

    n: int
    """In the whole tensor."""
    mean: float
    square: float
    """Mean of squares about zero; likewise third and fourth power."""
    cube: float
    fourth: float
    low: float
    high: float
    sample: np.ndarray
    """float32, sorted where it has at most EXACT_KS values."""
    block: np.ndarray | None
    """Sampled values in their place [units, inputs], without zero units and inputs; None where zeros are scattered."""
    kernel: int
    """Neighbouring inputs of `block` that form the kernel of one channel; 1 where there is none."""
    unit_energy: np.ndarray
    """Sum of squares of each unit that is not zero, and of each input."""
    input_energy: np.ndarray
    copies: int
    """Independent copies whose input energies stand one after the other in `input_energy`."""
    largest_singular_value: float | None
    """Of the whole tensor as one matrix, where known."""
    rounding: float
    """By how much, relatively, storing may have moved a value."""

    @property
    def scale(self) -> float:
        """Root mean square."""
        return math.sqrt(self.square)

    @property
    def reach(self) -> float:
        """Largest absolute value."""
        return max(-self.low, self.high)


def values_of(stats: WeightStats, facts: LayerFacts) -> Values | None:
    """Leave out zeros: whole units and inputs (padding, pruning) keep the structure, scattered ones do not."""
    moments = stats.moments
    n = moments.count - moments.zeros
    if n == 0:
        return None
    first, second, third, fourth = moments.power_sums()
    unit_energy = stats.unit_energy[stats.unit_energy > 0]
    input_energy = stats.input_energy[stats.input_energy > 0]
    block, sample, singular = stats.block, stats.sample, None
    rounding = _rounding(sample)
    if rounding > EXACT_ROUNDING:
        sample = _unround(sample, rounding)
    scattered, copies = False, stats.input_energy.shape[0] if input_energy.size == stats.input_energy.size else 1
    if moments.zeros:
        rows, columns = block.any(axis=1), block.any(axis=0)
        block = block[rows][:, columns]
        sample = sample[sample != 0]
        scattered = int(np.count_nonzero(block == 0)) > SCATTERED_ZEROS * block.size
    elif stats.complete and stats.unit_energy.shape[0] == 1 and stats.spectrum_how == "exact":
        singular = stats.spectral_norm
    if scattered:
        unit_energy = input_energy = np.empty(0)
    return Values(
        n=n, mean=first / n, square=second / n, cube=third / n, fourth=fourth / n, low=moments.minimum, high=moments.maximum,
        sample=np.sort(sample) if sample.size <= EXACT_KS else sample, block=None if scattered else block,
        kernel=math.prod(facts.shape[2:]) if facts.kind.is_convolution else 1, unit_energy=unit_energy, input_energy=input_energy,
        copies=copies, largest_singular_value=singular, rounding=rounding,
    )  # fmt: skip


def _rounding(sample: np.ndarray) -> float:
    """Half a unit in the last place that any value uses, relatively: 2^-11 for what was once float16, 2^-8 for bfloat16."""
    used = int(np.bitwise_or.reduce(sample.view(np.uint32))) | 1 << 23
    unused = (used & -used).bit_length() - 1
    return min(max(2.0 ** (unused - 24), EXACT_ROUNDING), COARSEST_ROUNDING)


def _unround(sample: np.ndarray, rounding: float) -> np.ndarray:
    """Spread every value evenly over the cell that was rounded to it, so that steps between codes do not look like a shape."""
    cell = np.ldexp(np.float32(2.0 * rounding), np.frexp(sample)[1] - 1)
    shift = cell * np.random.default_rng(0).uniform(-0.5, 0.5, sample.size).astype(np.float32)
    return np.asarray(sample + shift)
