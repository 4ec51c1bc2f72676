"""The weights that a race starts from: those that `fix` would write, one draw a seed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from initaudit.fixing.candidate import Candidate, tensors
from initaudit.starts.measure import draw_starts
from initaudit.starts.schemes import AUTO
from initaudit.starts.start import Start, start_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from initaudit.config import Config
    from initaudit.fixing.options import FixOptions
    from initaudit.model.load import Model
    from initaudit.report.report import Report


KEPT = 512 << 20
"""Bytes that the first draws of all starts may take together; beyond, each is drawn again when it is trained. A judgement: a part of what one training takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draw:
    """A network drawn by a scheme."""

    start: Start
    """What is predicted of it."""
    model: Model | None
    """With these weights; None where it could not be drawn, or is not kept."""
    split: Mapping[str, str]
    """Copies that have tensors of their own in the model, each with the name under which the file stores it."""

    def values(self, wanted: Collection[str], split: Mapping[str, str]) -> dict[str, np.ndarray]:
        """The stored values of these tensors of floats, in a type that torch knows; `split` as here, of the model that they are named after."""
        assert self.model is not None
        held = {name: tensor for (graph, name), tensor in tensors(self.model) if graph == 0 and tensor.is_floating}
        stored = {name: name if name in held else split.get(name, "") for name in wanted}
        return {name: _plain(held[own].array()) for name, own in stored.items() if own in held}


def draw(
    itself: Report,
    schemes: Sequence[str],
    config: Config,
    drawn: FixOptions,
    *,
    predict: bool,
) -> Iterator[Draw]:
    """The network under each scheme.

    Args:
        itself: audit of the network as it is.
        schemes: as for `initaudit.starts.measure.draw_starts`, which draws them, and so `drawn`.
        config: options of the audits; its seed decides about the draw.
        drawn: gain, biases and spared layers.
        predict: whether the signal of each is measured; where not, it is so only as far as a scheme needs it.
    """
    for scheme in schemes:
        own = config if predict or scheme == AUTO else replace(config, probe="none")
        for _, there in draw_starts(itself, (scheme,), own, drawn, lambda _: None):
            if isinstance(there, Candidate):
                start = start_of(scheme, there.report, changes=there.changes, refusals=there.refusals)
                yield Draw(start=start, model=there.model, split=there.split)
            else:
                yield Draw(start=Start(scheme=scheme, why=there), model=None, split={})


def lighter(draw: Draw, count: int) -> Draw:
    """Without its model, where so many of that size would be too much."""
    if draw.model is None or draw.model.bytes_on_disk * count <= KEPT:
        return draw
    return replace(draw, model=None)


def _plain(array: np.ndarray) -> np.ndarray:
    """As torch takes it."""
    return np.array(array if array.dtype.kind == "f" else array.astype(np.float32))
