"""Weights drawn as a whole: identity and orthogonal matrices, in every matrix a framework would form of the shape."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

from initaudit.kind import Kind
from initaudit.stats.verdicts import Provenance

if TYPE_CHECKING:
    from initaudit.stats.facts import LayerFacts
    from initaudit.stats.weigh import WeightStats

ORTHOGONAL_DEFECT: Final = {"float16": 1e-2, "bfloat16": 5e-2}
"""Largest entry of the deviation from orthonormality, times the square root of the longer side, that counts as rounding:
storing in the type leaves a quarter and half of this (`benchmarks/thresholds.py rounding`); random columns deviate by 3 to
5."""
EXACT_DEFECT: Final = 1e-4
"""The same in float32, without the root: a factorisation leaves 1e-7 or less, and random columns deviate by a
hundred times as much as is allowed even in the longest rows of a block."""


SKETCHED_DEFECT: Final = {"float32": 1e-4, "float64": 1e-4, "float16": 1e-3, "bfloat16": 1e-2}
"""Largest root mean square of (G - level I) r, relatively, for a matrix too large to form its Gram matrix G: storing an
orthogonal matrix in the type leaves a third of this (`benchmarks/thresholds.py rounding`); a random one has the square root of
its aspect ratio, 0.04 or more."""


FEWEST_WHOLE: Final = 64
"""Values below which a pattern may be built by hand: a rotation of the plane or of space, a selector of a few columns. A judgement."""

FEW_VALUES: Final = 16
"""Different absolute values up to which a matrix is built by hand or coded in four bits: a selector, the paths of a decision tree, a
Hadamard matrix; draws in any float type have hundreds."""

DISTINCT: Final = 0.5
"""Share of different absolute values from which a matrix was drawn: a cosine transform of n points has n for its n^2."""
DISTINCT_DIGITS: Final = 5
"""Decimals, in units of the rms, to which values are compared: the same cosine computed twice differs by 1e-7 in float32."""
DISTINCT_SAMPLE: Final = 4096
"""Values that are compared. A judgement: of as many draws one in 150 has a double in DISTINCT_DIGITS decimals."""

HAAR_KURTOSIS: Final = 5.0
"""Standard errors by which the kurtosis of an orthogonal matrix may differ from that of random directions, 3 n / (n + 2). A judgement:
once in two million draws, and a cosine transform, whose kurtosis is 1.5, is beyond it from a side of 20."""


def identity(stats: WeightStats, facts: LayerFacts) -> Provenance | None:
    """One value all along the diagonal (of a convolution: at the centre of the kernel that joins unit i and channel i), zeros elsewhere."""
    if facts.kind is Kind.EMBEDDING or len(facts.shape) < 2 or stats.count < FEWEST_WHOLE:
        return None  # rows of the identity in a table are one-hot codes
    if stats.zeros < 0.5 or not stats.complete:
        return None
    at = np.argwhere(stats.block)
    found = stats.block[stats.block != 0]
    if not found.size or float(found.min()) != float(found.max()):
        return None
    copies, units = stats.unit_energy.shape
    kernel = math.prod(facts.shape[2:]) if facts.kind.is_convolution else 1
    channels = stats.block.shape[1] // kernel
    for rows in sorted(
        {units, copies * units}
    ):  # of one group, as for each, and of all, as torch's dirac_ takes them by default
        diagonal = np.arange(min(rows, channels))
        starts = range(0, copies * units, rows) if rows > 1 else ()
        expected = [(start + i, i * kernel + kernel // 2) for start in starts for i in diagonal]
        if len(diagonal) > 1 and len(expected) == len(at) and (at == expected).all():
            usual = facts.kind.is_recurrent or kernel > 1
            return Provenance(
                law="identity", distribution="identity", std=stats.std, gain=float(found[0]), p_value=None, untrained=True,
                confidence="low" if rows != channels else "high" if usual else "medium",
                why=f"{len(at)} values are {found[0]:g}, one on each place of the diagonal, all others zero",
            )  # fmt: skip
    return None


def few_values(stats: WeightStats) -> int | None:
    """How many different absolute values the weight has, where they are too few for a draw; None elsewhere."""
    size = np.abs(stats.block[stats.block != 0])
    distinct = np.unique(size[:DISTINCT_SAMPLE]).size
    return distinct if distinct <= FEW_VALUES and distinct < DISTINCT * size.size else None


def orthogonal(stats: WeightStats, facts: LayerFacts) -> Provenance | None:
    """Rows or columns that are orthonormal up to one factor, for the matrix a framework would have formed of the shape."""
    if not looks_drawn(stats.block, max(stats.block.shape), facts.dtype):
        return None
    if not stats.complete or stats.block.size != math.prod(facts.shape):
        return _large_orthogonal(stats, facts)
    found = [fit for matrix in _matrices(stats, facts) if (fit := orthonormality(matrix, facts.dtype))]
    return _orthogonal(*min(found)) if found else None


def looks_drawn(matrix: np.ndarray, longer: int, dtype: str) -> bool:
    """Whether values have the kurtosis of random directions in `longer` dimensions, and do not repeat as those of a transform do."""
    values = matrix.reshape(-1).astype(np.float64)
    square = float(np.square(values).mean()) if values.size >= FEWEST_WHOLE else 0.0
    if not 0.0 < square < math.inf:
        return False
    kurtosis = float(np.square(np.square(values)).mean()) / (square * square)
    if abs(kurtosis - 3.0 * longer / (longer + 2.0)) > HAAR_KURTOSIS * math.sqrt(24.0 / values.size):
        return False
    if dtype in ORTHOGONAL_DEFECT:  # rounding makes draws equal
        return True
    some = np.round(np.abs(values[:DISTINCT_SAMPLE]) / math.sqrt(square), DISTINCT_DIGITS)
    return np.unique(some).size >= DISTINCT * some.size


def orthonormality(matrix: np.ndarray, dtype: str) -> tuple[float, float, int] | None:
    """(defect, factor, longer side) of a matrix whose shorter side is orthonormal up to one factor; None of any other."""
    side = min(matrix.shape)
    if side < 2:
        return None
    allowed = EXACT_DEFECT
    if dtype in ORTHOGONAL_DEFECT:
        allowed = ORTHOGONAL_DEFECT[dtype] / math.sqrt(max(matrix.shape))
    tall = matrix if matrix.shape[1] == side else matrix.T
    norms = np.einsum("ij,ij->j", tall, tall)
    level = float(norms.mean())
    if level == 0 or float(np.abs(norms / level - 1.0).max()) > allowed:
        return None
    gram = tall.T @ tall / level
    gram[np.diag_indices(side)] -= 1.0
    defect = float(np.abs(gram).max())
    return (defect, math.sqrt(level), max(matrix.shape)) if defect < allowed else None


def _large_orthogonal(stats: WeightStats, facts: LayerFacts) -> Provenance | None:
    """The same from the sketch of a large matrix, as it lies in memory."""
    defect = stats.orthogonality_defect
    if defect is None or defect > SKETCHED_DEFECT.get(facts.dtype, 0.0):
        return None
    copies, units = stats.unit_energy.shape
    inputs = stats.input_energy.shape[1]
    gain = math.sqrt(float(stats.unit_energy.sum()) / (copies * min(units, inputs)))
    return _orthogonal(defect, gain, max(units, inputs))


def _orthogonal(defect: float, gain: float, longer: int) -> Provenance:
    return Provenance(
        law="orthogonal", distribution="orthogonal", std=gain / math.sqrt(longer), gain=gain, p_value=None, untrained=True,
        confidence="high", why=f"rows or columns are orthonormal up to the factor {gain:.4g}, within {defect:.0e}",
    )  # fmt: skip


def _matrices(stats: WeightStats, facts: LayerFacts) -> list[np.ndarray]:
    """The block as units by inputs, and as (first axis, rest) and (rest, last axis) of the stored shape."""
    block = stats.block.astype(np.float64)
    found = [block]
    shape = facts.shape
    if len(shape) > 2:
        stored = _stored(block, facts)
        if stored is not None:
            found += [stored.reshape(shape[0], -1), stored.reshape(-1, shape[-1])]
    return found


def _stored(block: np.ndarray, facts: LayerFacts) -> np.ndarray | None:
    """The block with its axes in stored order; None with groups, whose split moves them."""
    shape = facts.shape
    if facts.groups > 1:
        return block.reshape(shape) if 0 in facts.unit_axes else None
    units = [a for a in facts.unit_axes if a < len(shape)]
    inputs = [a for a in range(len(shape)) if a not in units]
    if facts.input_axes is not None:
        inputs = [a for a in facts.input_axes if a < len(shape)]
    copies = [a for a in range(len(shape)) if a not in units and a not in inputs]
    order = copies + sorted(units) + sorted(inputs)
    return block.reshape([shape[a] for a in order]).transpose(np.argsort(order))
