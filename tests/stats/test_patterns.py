"""Matrices that are drawn as a whole, and those that are built by hand and look alike."""

from __future__ import annotations

import math

import numpy as np
import pytest

from initaudit.kind import Kind
from initaudit.stats import weigh
from initaudit.stats.provenance import LayerFacts, Provenance, recognise


def verdict(array: np.ndarray, kind: str = "linear") -> Provenance:
    """On a weight [units, inputs, ...]."""
    kernel = math.prod(array.shape[2:])
    about = LayerFacts(kind=Kind(kind), shape=array.shape, fan_in=array.shape[-1] * kernel, fan_out=array.shape[0])
    return recognise(weigh(array.astype(np.float32)), about)


def haar(units: int, inputs: int) -> np.ndarray:
    """Orthonormal rows or columns, in random directions."""
    tall = np.linalg.qr(np.random.default_rng(0).standard_normal((max(units, inputs), min(units, inputs))))[0]
    return tall if units >= inputs else tall.T


def selector(units: int, inputs: int, value: float = 1.0) -> np.ndarray:
    """Each unit passes on an input of its own, in no order."""
    array = np.zeros((units, inputs))
    array[np.random.default_rng(1).permutation(units)[:inputs], np.arange(inputs)] = value
    return array


def cosines(side: int) -> np.ndarray:
    """The orthonormal cosine transform of type II."""
    k, n = np.meshgrid(np.arange(side), np.arange(side), indexing="ij")
    matrix = np.cos(np.pi * k * (2 * n + 1) / (2 * side)) * math.sqrt(2 / side)
    matrix[0] /= math.sqrt(2)
    return matrix


def hadamard(side: int) -> np.ndarray:
    """Sylvester's, of orthonormal rows."""
    matrix = np.ones((1, 1))
    while len(matrix) < side:
        matrix = np.block([[matrix, matrix], [matrix, -matrix]]) / math.sqrt(2)
    return matrix


@pytest.mark.parametrize(
    "array",
    [
        selector(14, 11),
        selector(32, 32, 0.5),
        np.eye(4),
        np.array([1.75, 0.0]),
        hadamard(16),
        cosines(16),
        cosines(48),
        np.array([[math.cos(1), -math.sin(1)], [math.sin(1), math.cos(1)]]),
        np.random.default_rng(0).choice([-1.0, 0.0, 0.25], (20, 30)),
    ],
    ids=["selector", "permutation", "small", "threshold", "hadamard", "cosines", "many cosines", "rotation", "tree"],
)
def test_what_is_built_by_hand_is_no_draw(array: np.ndarray) -> None:
    """Selectors, transforms, rotations and the matrices of a decision tree say nothing of training."""
    found = verdict(array)

    assert found.distribution not in {"identity", "orthogonal"}
    assert found.untrained is not True


def test_a_table_of_one_hot_codes_is_no_draw() -> None:
    """Rows of the identity in a table are codes."""
    assert verdict(np.eye(16), "embedding").untrained is None


@pytest.mark.parametrize(
    ("array", "kind", "confidence"),
    [
        (np.eye(24), "rnn", "high"),
        (np.eye(24), "linear", "medium"),
        (0.5 * np.eye(24, 40), "linear", "low"),
        (np.eye(12)[..., None, None] * np.array([0.0, 1.0, 0.0]), "conv", "high"),
    ],
)
def test_an_identity_start_is_recognised(array: np.ndarray, kind: str, confidence: str) -> None:
    """All along the diagonal; beyond cells and kernels, where it is a known start, a selector of the first inputs looks the same."""
    found = verdict(array, kind)

    assert (found.law, found.untrained, found.confidence) == ("identity", True, confidence)


@pytest.mark.parametrize("shape", [(40, 40), (24, 90), (90, 24)])
def test_random_directions_are_an_orthogonal_draw(shape: tuple[int, int]) -> None:
    """Whichever side is the shorter."""
    assert verdict(haar(*shape)).law == "orthogonal"
