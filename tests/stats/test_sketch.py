"""The sketch of a matrix is its products with known vectors, however its rows are cut into chunks."""

from dataclasses import replace

import numpy as np
import pytest

from initaudit.stats.layout import lay_out
from initaudit.stats.plan import merged, plan, scan_range
from initaudit.stats.sketch import GAUSSIANS, Sketch, project, refine


def sketch_of(array: np.ndarray) -> Sketch:
    """The one sketch of a matrix."""
    layout = lay_out(array, (0,), None, 1)
    reading = replace(plan(layout, 0), sketched=True)
    (sketch,) = reading.sketches(merged([scan_range(layout.view, part) for part in reading.ranges()]))
    return sketch


@pytest.mark.parametrize("shape", [(900, 700), (40, 40_000), (3, 70_000), (70_000, 3)])
@pytest.mark.parametrize("odd", [None, np.nan, 1e12])
def test_products_are_those_of_the_whole_matrix(shape: tuple[int, int], odd: float | None) -> None:
    """R A' and R A' A, the sums of squares of the rows; what is not finite counts as zero."""
    array = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    if odd is not None:
        array[shape[0] // 2, shape[1] - 1] = odd

    sketch = sketch_of(array)

    wide = np.where(np.isfinite(array), array, 0).astype(np.float64)
    image = sketch.vectors.astype(np.float64) @ wide.T
    close = {"rtol": 1e-4, "atol": 1e-5 * np.abs(image).max()}
    assert np.allclose(sketch.image, image, **close)
    pullback = sketch.image.astype(np.float64) @ wide
    assert np.allclose(sketch.pullback, pullback, rtol=1e-4, atol=1e-5 * np.abs(pullback).max())
    assert np.allclose(sketch.row_energy, np.square(wide).sum(axis=1), rtol=1e-5)
    assert (sketch.vectors[GAUSSIANS:] == 1).all()


def test_a_power_step_multiplies_with_what_was_pulled_back() -> None:
    """Its vectors are orthonormal and span the rows of R A' A; project() is one product alone."""
    array = np.random.default_rng(0).standard_normal((300, 40_000)).astype(np.float32)
    before = sketch_of(array)

    after = refine(before)

    assert np.allclose(after.vectors @ after.vectors.T, np.eye(len(after.vectors)), atol=1e-5)
    inside = (before.pullback @ after.vectors.T) @ after.vectors
    assert np.allclose(inside, before.pullback, atol=1e-4 * np.abs(before.pullback).max())
    assert np.allclose(after.image, project(before.layout, after.vectors), atol=1e-3)
    assert np.allclose(after.image, after.vectors @ array.T, atol=1e-3)
