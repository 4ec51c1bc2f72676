"""How the inputs are spread over runs of the network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from initaudit.probe.inputs import Feeds

STATISTICS_ROWS = 16
"""Inputs that share batch statistics in one run; the batch of a small training run, and a bound on memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Runs:
    """What the network is fed."""

    feeds: Sequence[Mapping[str, np.ndarray]]
    """One entry per run; all of the same shapes."""
    rows: int = 1
    """Inputs in one run that are told apart along the batch axis of each value; 1 where a run counts as one input."""

    @property
    def inputs(self) -> int:
        """Inputs in all."""
        return len(self.feeds) * self.rows


def single_runs(feeds: Feeds) -> Runs:
    """One input per run where the model takes any batch; else its own batch, as often as there are draws of it."""
    if feeds.batch_is_free and feeds.batch > 1:
        return Runs(feeds=[_rows(feeds, i, i + 1) for i in range(feeds.batch)])
    draws = list(feeds.runs())
    return Runs(feeds=draws, rows=feeds.batch if len(draws) == 1 else 1)


def batched_runs(feeds: Feeds) -> Runs:
    """Whole batches, of at most STATISTICS_ROWS inputs where the model takes any batch."""
    if feeds.batch_is_free and feeds.batch > STATISTICS_ROWS:
        pieces = -(-feeds.batch // STATISTICS_ROWS)
        rows = feeds.batch // pieces
        return Runs(feeds=[_rows(feeds, i * rows, (i + 1) * rows) for i in range(pieces)], rows=rows)
    draws = list(feeds.runs())
    return Runs(feeds=draws, rows=feeds.batch if len(draws) == 1 else 1)


def _rows(feeds: Feeds, start: int, stop: int) -> dict[str, np.ndarray]:
    cut: dict[str, np.ndarray] = {}
    for name, array in feeds.arrays.items():
        axis = feeds.batch_axes[name]
        cut[name] = array if axis is None else np.ascontiguousarray(array.take(range(start, stop), axis=axis))
    return cut


def widened(runs: Runs) -> Runs:
    """The same inputs with float32 in place of float16."""
    return Runs(
        feeds=[
            {n: a.astype(np.float32) if a.dtype == np.float16 else a for n, a in feed.items()} for feed in runs.feeds
        ],
        rows=runs.rows,
    )
