"""Stray values: a handful far beyond all others of a tensor. A flipped bit or a slip of the hand leaves them, training leaves tails.

What the others say of their origin stays true: they are judged without the strays.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from initaudit.stats.summaries import MAD_TO_STD, OUTLIER_MULTIPLE
from initaudit.stats.weigh import weigh

if TYPE_CHECKING:
    from initaudit.stats.weigh import WeightStats

HANDFUL: Final = 3
"""Values that may be strays. A judgement: bit flips are single."""
FEWEST: Final = 8
"""Values for each stray. A judgement: one of fewer may as well be one that training moved."""


def strays_among(values: np.ndarray) -> np.ndarray | None:
    """Which values are strays; None where none are, or too many lie so far out."""
    if values.size < FEWEST:
        return None
    away = np.abs(values.astype(np.float64) - np.median(values))
    far = away > OUTLIER_MULTIPLE * MAD_TO_STD * float(np.median(away))
    count = int(np.count_nonzero(far))
    return far if 0 < count <= min(HANDFUL, values.size // FEWEST) else None


def settled(stats: WeightStats) -> np.ndarray:
    """The sampled finite values but for strays, flat."""
    values = stats.sample
    far = strays_among(values)
    return values if far is None else values[~far]


def is_constant(stats: WeightStats) -> bool:
    """Whether all finite values, or all but strays, are one; also where none is finite."""
    if stats.min == stats.max or stats.sample.size == 0:
        return True
    values = settled(stats)
    return values.size < stats.sample.size and bool(values.min() == values.max())


def without_strays(stats: WeightStats) -> WeightStats:
    """The same of a weight with zeros in the place of its strays; as it is where it has none.

    Of a weight that is only known in part, what is known of it stands for the whole.
    """
    if stats.outliers is None or stats.outliers.largest <= OUTLIER_MULTIPLE or stats.nonfinite:
        return stats
    far = strays_among(stats.block.reshape(-1))
    if far is None and (stats.complete or stats.outliers.share > 0):
        return stats
    calm = stats.block if far is None else np.where(far.reshape(stats.block.shape), np.float32(0), stats.block)
    copies = stats.unit_energy.shape[0] if stats.complete else 1
    return weigh(calm.reshape(copies, -1, calm.shape[1]), unit_axes=(1,), input_axes=(2,))
