"""The weights that a race starts from: those that `fix` would write, one draw a seed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from initaudit.fixing.candidate import tensors
from initaudit.starts.measure import check_starts, draw_start, start_under
from initaudit.starts.schemes import AUTO

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from initaudit.config import Config
    from initaudit.fixing.options import FixOptions
    from initaudit.model.load import Model
    from initaudit.report.report import Report
    from initaudit.starts.start import Start

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


def draw(itself: Report, scheme: str, config: Config, drawn: FixOptions, *, predict: bool) -> Draw:
    """The network under a scheme.

    Args:
        itself: audit of the network as it is.
        scheme: as for `initaudit.starts.measure.draw_start`, which draws it, and so `drawn`.
        config: options of the audit; its seed decides about the draw.
        drawn: gain, biases and spared layers.
        predict: whether the signal is measured; where not, it is so only as far as the scheme needs it.

    Raises:
        UsageError, ProbeError: as for `initaudit.starts.measure.check_starts`.
    """
    check_starts(itself, (scheme,), drawn)
    own = config if predict or scheme == AUTO else replace(config, probe="none")
    there = draw_start(itself, scheme, own, drawn)
    start = start_under(scheme, there)
    if isinstance(there, str):
        return Draw(start=start, model=None, split={})
    return Draw(start=start, model=there.model, split=there.split)


def lighter(draw: Draw, count: int) -> Draw:
    """Without its model, where so many of that size would be too much."""
    if draw.model is None or draw.model.bytes_on_disk * count <= KEPT:
        return draw
    return replace(draw, model=None)


def _plain(array: np.ndarray) -> np.ndarray:
    """As torch takes it."""
    return np.array(array if array.dtype.kind == "f" else array.astype(np.float32))
