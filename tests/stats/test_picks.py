"""Values taken along by a pass are those that stand at the places asked for, in whatever order the weight lies."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from initaudit.stats.layout import lay_out
from initaudit.stats.picks import pick
from tests.stats.test_layout import weights


@given(weights(), st.integers(0, 4))
def test_a_pick_is_a_table_of_the_canonical_order(made: tuple[np.ndarray, list[int], list[int]], cut: int) -> None:
    """Rows of all copies by inputs; what lies on both sides of a cut through the memory is all of it."""
    array, units, inputs = made
    layout = lay_out(array, units, inputs, 1)
    rng = np.random.default_rng(cut)
    rows = np.flatnonzero(rng.random(layout.rows) < 0.7)
    columns = np.flatnonzero(rng.random(layout.inputs) < 0.7)
    cut = min(cut, layout.view.shape[0])
    wanted = pick(layout, rows, columns)

    found = np.full(wanted.shape, np.nan)
    for part in (slice(0, cut), slice(cut, layout.view.shape[0])):
        found[np.ix_(*wanted.inside((part,)))] = wanted.within((part,)).take(layout.view[part])

    np.testing.assert_array_equal(found, layout.canonical.reshape(layout.rows, layout.inputs)[np.ix_(rows, columns)])
    np.testing.assert_array_equal(wanted.take(layout.view), found)
