"""Units that repeat each other (equal incoming weights, or one a positive multiple of the other), are one value, or sum to zero."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

SIGNATURE_WIDTH: Final = 4
"""Products per signature. A judgement: two give the angle by which units are sorted, the others confirm it."""
SIGNATURE_SEED: Final = 19870101
"""Any number; fixed, so that a report repeats."""

SAME_DIRECTION: Final = 1e-5
"""Two directions are one when no component of the unit vectors differs by more: a rescaling in float32 leaves 1e-7."""

SAME_SIGNATURE: Final = 1e-4
"""The same for signatures, which are float32 sums of up to a million products."""

VERIFIED_VALUES: Final = 1 << 21
"""Values read again to compare candidates in full; more candidates than that are believed on their signatures. A judgement: 8
MiB in float32."""


ZERO_MEAN: Final = 1e-5
"""Units whose mean is below this share of their rms were centred: the mean of 1,000 independent values is 3 % of their rms."""


def are_flat(units: np.ndarray) -> bool:
    """Whether the weights of each of these units [units, inputs] are one value, not zero."""
    if units.shape[0] < 2 or units.shape[1] < 2 or not (units[:, 0] == units[:, -1]).all():
        return False
    return bool((units == units[:, :1]).all()) and bool(units[:, 0].all())


def are_centred(units: np.ndarray) -> bool:
    """Whether the weights of each of these units [units, inputs] sum to zero; zero units aside."""
    alive = units[units.any(axis=1)].astype(np.float64)
    if alive.shape[0] < 2 or alive.shape[1] < 4:
        return False
    return bool((np.abs(alive.mean(axis=1)) <= ZERO_MEAN * np.sqrt(np.square(alive).mean(axis=1))).all())


@lru_cache(maxsize=64)
def signature_vectors(inputs: int) -> np.ndarray:
    """Random vectors whose products with a unit's weights are its signature: float64 [inputs, SIGNATURE_WIDTH]."""
    return np.random.default_rng(SIGNATURE_SEED).standard_normal((inputs, SIGNATURE_WIDTH))


def duplicate_shares(
    signatures: np.ndarray, copy: np.ndarray, fetch: Callable[[np.ndarray], np.ndarray], inputs: int
) -> tuple[float, float]:
    """Share of the units that repeat another one of their copy exactly, and up to a positive factor.

    The rows w and -w of a two-class head are no repeats: they see the two sides of one plane. `signatures` is [units, SIGNATURE_WIDTH], linear in the weights; `copy` names the copy each unit belongs to; `fetch` gives the
    weights [n, inputs] of the units with the given numbers. Zero units do not count as repeats (pruning and padding make
    them), nor do units with a single input, whose directions are all alike.
    """
    total = signatures.shape[0]
    if total < 2 or inputs < 2:
        return 0.0, 0.0
    size = np.sqrt(np.square(signatures).sum(axis=1))
    alive = np.flatnonzero(size > 0)
    if alive.size < 2:
        return 0.0, 0.0
    angle = np.arctan2(signatures[alive, 0], signatures[alive, 1])
    key = angle + 10.0 * copy[alive]
    order = np.argsort(key)
    at = np.flatnonzero(np.diff(key[order]) < SAME_SIGNATURE)
    if at.size == 0:
        return 0.0, 0.0
    first, second = alive[order[at]], alive[order[at + 1]]
    exact, scaled = _compare(signatures[first], signatures[second], SAME_SIGNATURE, SAME_SIGNATURE)
    candidates = np.flatnonzero(scaled)[: max(1, VERIFIED_VALUES // inputs)]
    if candidates.size:
        exact[candidates], scaled[candidates] = _compare(
            fetch(first[candidates]), fetch(second[candidates]), 0.0, SAME_DIRECTION
        )  # fmt: skip
    return _members(at[exact & scaled], alive.size) / total, _members(at[scaled], alive.size) / total


def _compare(a: np.ndarray, b: np.ndarray, exactly: float, direction: float) -> tuple[np.ndarray, np.ndarray]:
    """Which rows of a and b are equal (relatively, within `exactly`), and which point one way (within `direction`)."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    largest = np.abs(a).max(axis=1)
    equal = np.abs(a - b).max(axis=1) <= exactly * largest
    a /= np.sqrt(np.square(a).sum(axis=1, keepdims=True))
    b /= np.sqrt(np.square(b).sum(axis=1, keepdims=True))
    return equal, np.abs(a - b).max(axis=1) <= direction


def _members(pairs: np.ndarray, size: int) -> int:
    """How many units belong to one of the neighbouring pairs (i, i + 1)."""
    member = np.zeros(size, bool)
    member[pairs] = True
    member[pairs + 1] = True
    return int(np.count_nonzero(member))
