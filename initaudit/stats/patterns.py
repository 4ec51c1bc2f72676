"""Weights drawn as a whole: identity and orthogonal matrices, in every matrix a framework would form of the shape."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

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


def identity(stats: WeightStats) -> Provenance | None:
    """Ones (or one other value) on a diagonal, zeros elsewhere."""
    nonzero = round(stats.count * (1.0 - stats.zeros))
    if stats.zeros < 0.5 or not stats.complete:
        return None
    found = stats.block[stats.block != 0]
    if found.size != nonzero or float(found.min()) != float(found.max()):
        return None
    per_unit, per_input = (stats.block != 0).sum(axis=1), (stats.block != 0).sum(axis=0)
    if per_unit.max() > 1 or per_input.max() > 1:
        return None
    return Provenance(
        law="identity", distribution="identity", std=stats.std, gain=float(found[0]), p_value=None, untrained=True,
        confidence="high", why=f"{nonzero} values are {found[0]:g}, one per unit and input, all others zero",
    )  # fmt: skip


def orthogonal(stats: WeightStats, facts: LayerFacts) -> Provenance | None:
    """Rows or columns that are orthonormal up to one factor, for the matrix a framework would have formed of the shape."""
    if not stats.complete or stats.block.size != math.prod(facts.shape):
        return _large_orthogonal(stats, facts)
    best: tuple[float, float, int] | None = None
    for matrix in _matrices(stats, facts):
        side = min(matrix.shape)
        if side < 2:
            continue
        allowed = EXACT_DEFECT
        if facts.dtype in ORTHOGONAL_DEFECT:
            allowed = ORTHOGONAL_DEFECT[facts.dtype] / math.sqrt(max(matrix.shape))
        tall = matrix if matrix.shape[1] == side else matrix.T
        norms = np.einsum("ij,ij->j", tall, tall)
        level = float(norms.mean())
        if level == 0 or float(np.abs(norms / level - 1.0).max()) > allowed:
            continue
        gram = tall.T @ tall / level
        gram[np.diag_indices(side)] -= 1.0
        defect = float(np.abs(gram).max())
        if defect < allowed and (best is None or defect < best[0]):
            best = (defect, math.sqrt(level), max(matrix.shape))
    if best is None:
        return None
    return _orthogonal(*best)


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
