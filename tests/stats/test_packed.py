"""An orthogonal draw is recognised over all the parts of a packed weight, also after it has moved."""

from __future__ import annotations

import numpy as np
import pytest

from initaudit.kind import Kind
from initaudit.stats import weigh
from initaudit.stats.packed import independent_range, packed_orthogonal
from initaudit.stats.provenance import LayerFacts, recognise

SHAPES = [(64, 4, 64), (32, 3, 32), (16, 4, 100), (128, 3, 40)]
"""Units of a gate, gates, inputs: recurrent and input weights of LSTM and GRU."""


def drawn(units: int, gates: int, inputs: int) -> np.ndarray:
    """Orthogonal, [gates * units, inputs]."""
    rows = gates * units
    tall = np.linalg.qr(np.random.default_rng(0).standard_normal((max(rows, inputs), min(rows, inputs))))[0]
    return tall if rows >= inputs else tall.T


@pytest.mark.parametrize(("units", "gates", "inputs"), SHAPES)
@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("cell", [True, False])
def test_parts_of_an_orthogonal_draw(units: int, gates: int, inputs: int, dtype: str, cell: bool) -> None:
    """Keras' [u, 4u] has orthonormal rows, which no gate shows."""
    whole = 0.7 * drawn(units, gates, inputs)

    found = packed_orthogonal(np.split(whole.astype(dtype), gates), dtype, cell=cell)

    assert found is not None
    assert (found.law, found.untrained) == ("orthogonal", True)
    assert found.gain == pytest.approx(0.7, rel=1e-3)
    assert found.std == pytest.approx(whole.std(), rel=1e-2)


@pytest.mark.parametrize(("units", "gates", "inputs"), SHAPES)
@pytest.mark.parametrize("size", [0.02, 0.3, 1.0])
def test_an_orthogonal_draw_that_moved_was_trained(units: int, gates: int, inputs: int, size: float) -> None:
    """A step of low rank leaves most singular values where they were."""
    rng = np.random.default_rng(1)
    whole = drawn(units, gates, inputs)
    step = np.outer(rng.standard_normal(len(whole)), rng.standard_normal(inputs))
    moved = (whole + size * step / np.linalg.norm(step) * np.linalg.norm(whole)).astype(np.float32)

    found = packed_orthogonal(np.split(moved, gates), "float32", cell=True)

    assert found is not None
    assert found.untrained is False


@pytest.mark.parametrize(("units", "gates", "inputs"), SHAPES)
def test_independent_draws_are_no_orthogonal_ones(units: int, gates: int, inputs: int) -> None:
    """Their singular values spread as Marchenko and Pastur say."""
    whole = np.random.default_rng(2).standard_normal((gates * units, inputs))
    singular = np.linalg.svd(whole, compute_uv=False)
    low, high = np.quantile(singular, (0.25, 0.75))

    assert packed_orthogonal(np.split(whole.astype(np.float32), gates), "float32", cell=True) is None
    aspect = min(whole.shape) / max(whole.shape)
    assert (high - low) / np.sqrt(np.square(singular).mean()) == pytest.approx(independent_range(aspect), rel=0.25)


def test_one_gate_of_an_orthogonal_draw_is_not_independent() -> None:
    """Its largest singular value is below one, that of independent values of its scale at the sum of both roots."""
    gate = drawn(100, 4, 100)[:100].astype(np.float32)
    about = LayerFacts(kind=Kind.LSTM, shape=gate.shape, fan_in=100, fan_out=100)

    assert recognise(weigh(gate), about).untrained is False
