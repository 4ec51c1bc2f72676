"""LayerAudit: everything known about one layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from initaudit.extraction.layer import Layer
    from initaudit.initialisation.targets import Target
    from initaudit.probe.signal import Signal
    from initaudit.stats import WeightStats
    from initaudit.stats.provenance import Provenance


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LayerAudit:
    """Everything known about one layer."""

    layer: Layer
    stats: WeightStats
    provenance: Provenance | None
    """None for norm scales, slopes and others that no scheme draws."""
    target: Target | None
    """None where no scale is better than another."""
    signal: Signal | None = None
    """None where the layer was not probed, or is a factor."""
    factor_signal: Signal | None = None
    """Of a factor (the scale of a norm, a learned gain): what was measured at it. It repeats the signal of the layer in front of it, so that
    only the gradient of its weight is of use."""
    bias: WeightStats | None = None
    """Of the layer's bias, or the part of it that belongs to this layer."""
    input_mean: float | None = None
    """The mean of its input that its bias takes out, unit by unit; None where the bias says nothing of the kind."""
    trained: bool = False
    """Whether it holds what training taught it: the network was trained, and this layer is not known to be at its initialisation."""
    drawn_by_fix: str | None = None
    """In a network that was trained: the scheme from which a recorded fix drew its weights, where nothing has changed them since."""

    @property
    def probed(self) -> Signal | None:
        """What was measured at it, layer or factor."""
        return self.signal or self.factor_signal

    @property
    def ratio(self) -> float | None:
        """Standard deviation of the weights over that of the target."""
        if self.target is None or not self.target.std:
            return None
        return self.stats.std / self.target.std
