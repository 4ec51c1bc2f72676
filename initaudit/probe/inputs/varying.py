"""Which inputs differ from sample to sample: without one that does there is no signal to follow."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from initaudit.probe.inputs.feeds import Feeds


def varying(feeds: Feeds) -> dict[str, bool]:
    """Input -> whether its values differ between samples."""
    draws = list(feeds.runs())
    return {name: _differs([draw[name] for draw in draws], feeds.batch_axes[name]) for name in feeds.arrays}


def why_nothing_varies(feeds: Feeds, varies: Mapping[str, bool]) -> str | None:
    """Why no signal can be measured with these inputs; None where one of them differs between samples."""
    if any(varies.values()):
        return None
    if not varies:
        return "the network has no input"
    if feeds.batch * (1 + len(feeds.more)) < 2:
        return "one input alone was fed; what distinguishes inputs shows with two or more"
    told = ", ".join(f"{d['name']}: {d['how']}" for d in feeds.descriptions[:4])
    return f"no input differs from sample to sample ({told}); give --input-data"


def _differs(arrays: list[np.ndarray], axis: int | None) -> bool:
    first = arrays[0]
    if any(not np.array_equal(first, other) for other in arrays[1:]):
        return True
    return axis is not None and first.size > 0 and bool((first != first.take([0], axis=axis)).any())
