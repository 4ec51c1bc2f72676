"""Whitening weights give uncorrelated outputs of unit variance, the leading directions first."""

from __future__ import annotations

import numpy as np
import pytest

from initaudit.initialisation.whitening import whitening


def correlated(count: int, inputs: int, mean: float = 2.0) -> np.ndarray:
    """Rows whose variances along random directions fall from 9 to 0.09, off zero."""
    rng = np.random.default_rng(0)
    directions = np.linalg.qr(rng.standard_normal((inputs, inputs)))[0]
    return rng.standard_normal((count, inputs)) * np.geomspace(3, 0.3, inputs) @ directions.T + mean


def test_outputs_have_mean_0_and_covariance_1_over_the_rows():
    """To rounding: the rows are those that the weights were made of."""
    rows = correlated(500, 24)

    weights, biases = whitening(rows, 16, np.random.default_rng(1), centre=True)
    outputs = rows @ weights.T + biases

    assert outputs.mean(axis=0) == pytest.approx(0, abs=1e-12)
    assert outputs.T @ outputs / 500 == pytest.approx(np.eye(16), abs=1e-9)


def test_units_follow_the_directions_of_largest_variance():
    """Variance along the direction of each unit falls from one to the next."""
    rows = correlated(500, 24)
    largest = np.linalg.eigvalsh(np.cov(rows.T, ddof=0))[::-1]

    weights, _ = whitening(rows, 5, np.random.default_rng(1), centre=True)
    along = ((rows - rows.mean(axis=0)) @ (weights / np.linalg.norm(weights, axis=1, keepdims=True)).T).var(axis=0)

    assert along == pytest.approx(largest[:5])


def test_of_more_units_than_directions_each_set_is_white():
    """60 units of 24 inputs: two whole sets and twelve of a third, all of unit variance, no two alike."""
    rows = correlated(500, 24)

    weights, biases = whitening(rows, 60, np.random.default_rng(1), centre=True)
    outputs = rows @ weights.T + biases
    covariance = outputs.T @ outputs / 500

    assert weights.shape == (60, 24)
    for start, stop in ((0, 24), (24, 48), (48, 60)):
        assert covariance[start:stop, start:stop] == pytest.approx(np.eye(stop - start), abs=1e-9)
    assert np.abs(covariance - np.eye(60)).max() < 0.9


def test_without_a_bias_the_weights_are_orthogonal_to_the_mean():
    """So that outputs have mean 0 all the same."""
    rows = correlated(500, 24)

    weights, biases = whitening(rows, 16, np.random.default_rng(1), centre=False)
    outputs = rows @ weights.T

    assert not biases.any()
    assert outputs.mean(axis=0) == pytest.approx(0, abs=1e-9)
    assert outputs.T @ outputs / 500 == pytest.approx(np.eye(16), abs=1e-9)


def test_directions_are_as_many_as_the_rows_can_tell():
    """Of 20 rows, ten; what hardly varies is not blown up."""
    few, _ = whitening(correlated(20, 64), 64, np.random.default_rng(1), centre=True)
    flat = correlated(500, 8)
    flat[:, 3] = 1e-4 * flat[:, 3]

    weights, _ = whitening(flat, 8, np.random.default_rng(1), centre=True)

    assert np.linalg.matrix_rank(few) == 10
    assert np.abs(weights[:, 3]).max() < 1e-2


def test_rows_that_do_not_vary_have_no_directions():
    """A dead layer in front."""
    assert whitening(np.ones((100, 8)), 4, np.random.default_rng(0), centre=True) is None
