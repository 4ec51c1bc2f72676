"""What provenance needs to know about the layer a weight belongs to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from initaudit.kind import Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerFacts:
    """The place of a weight in its network."""

    kind: Kind
    shape: tuple[int, ...]
    """Shape of the weight that was weighed."""
    fan_in: float | None
    """Values that enter one output value, per group and per gate; None where the layer has no fans."""
    fan_out: float | None
    groups: int = 1
    hidden_size: int | None = None
    """Width of a recurrent layer's state."""
    unit_axes: tuple[int, ...] = (0,)
    input_axes: tuple[int, ...] | None = None
    activation: str | None = None
    target_scheme: str | None = None
    """Entry of SCHEMES that is recommended here; None where no scale is better than another."""
    target_std: float | None = None
    dtype: str = "float32"
    """Type the values are stored in."""
    packed_units: int | None = None
    """Units of the whole stored tensor when this weight is a part of it (3 D for fused query, key and value)."""
    may_be_folded: bool = True
    """Whether an exporter may have folded a normalisation into the layer."""
