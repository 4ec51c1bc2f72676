"""What a report shows of a weight's values: norms of its units, a histogram, and how far the largest lie out."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from initaudit.histogram import Histogram

if TYPE_CHECKING:
    from initaudit.stats.moments import Moments

HISTOGRAM_BINS: Final = 48
"""Bins of the histogram in reports: enough to see a cut-off edge, few enough for a terminal or a thumbnail."""

MAD_TO_STD: Final = 1.4826
"""1/Phi^-1(3/4): median absolute value to standard deviation for a normal law (Rousseeuw & Croux 1993)."""

MEDIAN_VALUES: Final = 1 << 13
"""Sampled values whose median |w| gives the robust scale: known to 2 % then."""

OUTLIER_MULTIPLE: Final = 10.0
"""Beyond this many robust standard deviations a weight is counted as an outlier: a normal law gives none in 10^22 values."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NormSummary:
    """Euclidean norms of the weights that enter each unit, or leave each input."""

    count: int
    mean: float
    minimum: float
    maximum: float
    dispersion: float
    """Standard deviation over mean; 0 where all norms are zero."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outliers:
    """How far the largest values lie from the bulk."""

    scale: float
    """Robust standard deviation: 1.4826 times the median |w| of the sampled values that are not zero."""
    largest: float
    """Largest |w| over that scale; infinity where the scale is 0 and the tensor is not."""
    share: float
    """Share of the sampled values beyond OUTLIER_MULTIPLE scales."""


def norms_of(energy: np.ndarray) -> NormSummary | None:
    """From the sums of squares; None where there are none, or not finite ones."""
    if energy.size == 0 or not np.isfinite(energy).all():  # squares beyond float64
        return None
    norms = np.sqrt(energy).reshape(-1)
    mean = float(norms.sum()) / norms.size
    deviation = norms - mean
    return NormSummary(
        count=norms.size, mean=mean, minimum=float(norms.min()), maximum=float(norms.max()),
        dispersion=math.sqrt(float(deviation @ deviation) / norms.size) / mean if mean > 0 else 0.0,
    )  # fmt: skip


def histogram_of(sample: np.ndarray) -> Histogram | None:
    """Of finite values; None where there are none."""
    if sample.size == 0:
        return None
    low, high = float(sample.min()), float(sample.max())
    if not (math.isfinite(low) and math.isfinite(high)):
        return None
    if low == high:
        return Histogram(low=low, high=high, counts=(sample.size,))
    wide = sample if high - low > 1e-30 else sample.astype(np.float64)  # a float32 factor would overflow
    bins = np.clip((wide - wide.dtype.type(low)) * (HISTOGRAM_BINS / (high - low)), 0, HISTOGRAM_BINS - 1).astype(
        np.int64
    )
    return Histogram(low=low, high=high, counts=tuple(np.bincount(bins, minlength=HISTOGRAM_BINS).tolist()))


def outliers_of(sample: np.ndarray, moments: Moments) -> Outliers | None:
    """From a sample and the extremes of the whole; None where nothing differs from zero."""
    size = np.abs(sample)
    some = size[:: max(1, size.size // MEDIAN_VALUES)]
    some = some[some > 0]
    if some.size == 0:
        some = size[size > 0]
        if some.size == 0:
            return None
    half = some.size // 2
    scale = MAD_TO_STD * float(np.partition(some, half)[half])
    largest = max(-moments.minimum, moments.maximum)
    return Outliers(
        scale=scale,
        largest=largest / scale if scale > 0 else math.inf,
        share=float(np.count_nonzero(size > OUTLIER_MULTIPLE * scale)) / sample.size,
    )
