"""The verdict on where the values of a weight came from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from initaudit.initialisation.schemes import Distribution

Confidence = Literal["high", "medium", "low"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """The verdict on one weight."""

    law: str | None
    """Name of the scheme whose law the values follow; None where none does or its scale is unknown."""
    distribution: Distribution | None
    std: float | None
    """Standard deviation of the law; of the values where the law's scale is unknown; None without a distribution."""
    gain: float | None
    p_value: float | None
    """How well the law fits: corrected for the number of tests; None where nothing was tested."""
    untrained: bool | None
    """True: still as drawn. False: certainly not. None: cannot be told."""
    confidence: Confidence
    why: str
    candidates: tuple[str, ...] = ()
    """Other laws that fit."""
    shape_p_value: float | None = None
    """How well the shape of the law fits, whatever its scale; corrected likewise."""
    scale_nats: float | None = None
    """ln P(scale | drawn by a law) - ln P(scale | trained), for the likeliest law at a known scale that fits; None without one."""
    odds: float | None = None
    """To one, that the layer is as drawn, from all evidence of its network; None where the values alone are judged."""
