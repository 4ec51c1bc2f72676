"""Evidence that each unit holds independent draws from one family, at a scale of its own.

That is what a BatchNorm leaves behind that was trained, or whose statistics moved, and then folded into a fresh convolution:
unit i multiplied by gamma_i / sqrt(variance_i + epsilon).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np

from initaudit.stats.distributions import ks_distance, ks_p_value, normal_tail, uniform_cdf
from initaudit.stats.evidence import NORMAL, UNIFORM, Evidence, Scatter
from initaudit.stats.structure import structure_evidence

FEWEST_INPUTS: Final = 8
"""Values per unit below which its own scale leaves nothing to test. A judgement."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RowEvidence:
    """Evidence for one family, and its log-likelihood with the best scale for each unit."""

    evidence: Evidence
    log_likelihood: float


def row_scaled_evidence(block: np.ndarray, kernel: int) -> list[RowEvidence]:
    """Test `block` [units, inputs] for a uniform and for a normal law per unit; empty where units have too few values."""
    rows, columns = block.shape
    if columns < FEWEST_INPUTS or rows < 2:
        return []
    wide = block.astype(np.float64)
    scale = np.sqrt(np.square(wide).mean(axis=1, keepdims=True))
    peak = np.abs(wide).max(axis=1, keepdims=True)
    z = wide / scale
    structure = structure_evidence(z.astype(np.float32), kernel)
    inputs = Scatter.of(np.square(z).sum(axis=0), rows)
    found = []
    for family, own, likelihood in (
        (UNIFORM, _uniform_tests(wide / peak), -columns * float(np.log(2.0 * peak).sum())),
        (
            NORMAL,
            _normal_tests(z),
            -columns * float(np.log(scale).sum() + rows * 0.5 * math.log(2.0 * math.pi * math.e)),
        ),
    ):
        tests = {**own, **structure, "input norms": inputs.p_value(family)}
        found.append(RowEvidence(evidence=Evidence(family=family, tests=tests), log_likelihood=likelihood))
    return found


def _uniform_tests(relative: np.ndarray) -> dict[str, float]:
    """Given the largest of a unit's n values, the other n-1 are independent and uniform below it: an exact test."""
    others = relative[np.abs(relative) < 1.0]
    if others.size < 2:
        return {"shape": 0.0}
    fourth, square = float((others**4).mean()), float((others**2).mean())
    n = others.size
    return {
        "shape": ks_p_value(ks_distance(np.sort(others), uniform_cdf, 1.0), n),
        "kurtosis": normal_tail((fourth / square**2 - UNIFORM.m4) / math.sqrt(UNIFORM.kurtosis_variance / n)),
        "spread": normal_tail((square - 1.0 / 3.0) / math.sqrt(4.0 / 45.0 / n)),
        "mean": normal_tail(float(others.mean()) * math.sqrt(3.0 * n)),
    }


def _normal_tests(z: np.ndarray) -> dict[str, float]:
    """A unit of unit mean square is a point on the sphere of radius sqrt(inputs), if it was normal."""
    columns, n = z.shape[1], z.size
    grid, table = _sphere_table(columns)
    shape = ks_distance(np.sort(z.reshape(-1)), lambda x: np.interp(x, grid, table), math.sqrt(columns))
    expected = 3.0 * columns / (columns + 2.0)
    return {
        "shape": ks_p_value(shape, n),
        "kurtosis": normal_tail((float((z**4).mean()) - expected) / math.sqrt(24.0 / n)),
        "mean": normal_tail(float(z.mean()) * math.sqrt(n)),
    }


@lru_cache(maxsize=64)
def _sphere_table(dimension: int) -> tuple[np.ndarray, np.ndarray]:
    """Distribution function of one coordinate of a random point on the sphere of radius sqrt(dimension)."""
    end = min(math.sqrt(dimension), 8.0)
    grid = np.linspace(-end, end, 4001)
    density = np.maximum(1.0 - grid * grid / dimension, 0.0) ** ((dimension - 3) / 2.0)
    table = np.concatenate([[0.0], np.cumsum(0.5 * (density[1:] + density[:-1]))])
    return grid, table / table[-1]
