"""The rows of a table one by one: which hold garbage, which are empty, which still are as they were drawn."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

from initaudit.initialisation.schemes import SCHEMES
from initaudit.kind import Kind

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from initaudit.measuring.layer_audit import LayerAudit

WILD: Final = 1e4
"""Multiple of the middle row's size from which a row is garbage: memory read as float32 reaches it in any ten values, as half of all bit
patterns lie beyond 2 in size, spread evenly over 38 decades. A judgement on the other side: training leaves rows within a factor of 100."""
STRAY: Final = 50.0
"""Multiple of the middle row's size from which a row of a trained table is no row like the others. A judgement: half of what training may do."""
PARTED: Final = 5.0
"""Factor by which the smallest of them must exceed the largest of the others: training leaves no gap."""
LARGEST: Final = 1e15
"""The same for the root mean square itself, where most rows are garbage: a dot product of two such rows leaves float32."""
EMPTY: Final = 1e-6
"""Multiple of the middle row's size below which a row counts as zero: weight decay alone takes a row there that no gradient reaches."""
NEAR: Final = 3.0
"""Standard deviations of a row's mean square from its law within which it is at the law: one row in 370 lies beyond."""
FAR: Final = 8.0
"""The same from which a row has left the law. A judgement: no row of any table is so far out by chance."""
FEWEST: Final = 16
"""Rows at a law, and rows that have left it, that it takes to tell them apart. A judgement: the spread of 16 is known to 18 %."""
BETWEEN: Final = 0.1
"""Share of those at the law that may lie between NEAR and FAR: rows that training moved little would fill the gap."""
ROW_LAWS: Final = ("normal_1", "normal_0.02", "xavier_uniform", "xavier_normal", "lecun_normal")
"""Schemes that frameworks and published networks draw tables from."""
TELLING: Final = 3
"""Rows from which a table of equal rows is a fault. A judgement: one row is always equal, and of two (the segments of BERT) a network may need none."""
KURTOSIS: Final = {"normal": 3.0, "uniform": 1.8}
"""Fourth standardised moment of their laws."""


def row_sizes(layer: LayerAudit) -> NDArray[np.float64] | None:
    """Root mean square of each row; None where the layer is no learned table of finite values."""
    sizes = layer.stats.row_sizes
    if layer.layer.kind is not Kind.EMBEDDING or layer.layer.untrainable or layer.stats.nonfinite:
        return None
    return sizes


def rows_are_equal(layer: LayerAudit) -> bool:
    """Whether all rows of a table are the same, and not zero: what is looked up makes no difference."""
    sizes = row_sizes(layer)
    if sizes is None or sizes.size < TELLING or not sizes[0] > 0 or (sizes != sizes[0]).any():
        return False
    return layer.stats.min == layer.stats.max or layer.stats.flat_units


def garbage_rows(sizes: NDArray[np.float64]) -> NDArray[np.intp]:
    """Rows of the size of uninitialised memory."""
    return np.flatnonzero((sizes > WILD * _middle(sizes)) | (sizes > LARGEST))


def stray_rows(sizes: NDArray[np.float64]) -> NDArray[np.intp]:
    """Rows far larger than the others, with nothing between them: values of another table, or of another scale."""
    middle = _middle(sizes)
    stray = sizes > STRAY * middle
    if not (middle > 0 and 0 < np.count_nonzero(stray) < sizes.size / 2):
        return np.flatnonzero(np.zeros_like(stray))
    return np.flatnonzero(stray if sizes[stray].min() > PARTED * sizes[~stray].max() else np.zeros_like(stray))


def empty_rows(sizes: NDArray[np.float64]) -> NDArray[np.intp]:
    """Rows of zeros, or next to them."""
    return np.flatnonzero(sizes <= EMPTY * _middle(sizes))


def rows_at_a_law(layer: LayerAudit, sizes: NDArray[np.float64]) -> tuple[str, NDArray[np.intp]] | None:
    """The scheme that some rows are as large as, and as evenly, as drawn from it, while others have left it; and these rows.

    The mean square of a row of n values with standard deviation s and kurtosis k has mean s^2 and variance s^4 (k - 1) / n.
    """
    values = layer.stats.count / max(1, sizes.size)
    for name in ROW_LAWS:
        scheme = SCHEMES[name]
        std = scheme.std(layer.layer.fan_in, layer.layer.fan_out)
        spread = math.sqrt((KURTOSIS[scheme.distribution] - 1.0) / values)
        score = ((sizes / std) ** 2 - 1.0) / spread
        near, far = np.abs(score) < NEAR, np.abs(_twice_log(sizes / std)) > FAR * spread
        count = int(near.sum())
        between = sizes.size - count - int(far.sum())
        if count < FEWEST or far.sum() < FEWEST or between > BETWEEN * count:
            continue
        drawn = score[near]
        if abs(drawn.mean()) < NEAR / math.sqrt(count) and abs(drawn.std() - 1.0) < NEAR / math.sqrt(2 * count):
            return name, np.flatnonzero(near)
    return None


def _twice_log(ratio: NDArray[np.float64]) -> NDArray[np.float64]:
    """ln r^2, which is r^2 - 1 near 1 and takes rows far below a law as far as those above; minus infinity for an empty row."""
    with np.errstate(divide="ignore"):
        logarithm: NDArray[np.float64] = 2.0 * np.log(ratio)
    return logarithm


def listed(rows: NDArray[np.intp], most: int = 8) -> str:
    """How many, and the first of them."""
    ids = ", ".join(str(row) for row in rows[:most])
    return f"{rows.size} ({ids}{', ...' if rows.size > most else ''})"


def _middle(sizes: NDArray[np.float64]) -> float:
    filled = sizes[sizes > 0]
    return float(np.median(filled)) if filled.size else 0.0
