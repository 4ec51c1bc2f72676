"""What the graph demands of each input: sizes of axes, range of ids, and what the values mean.

The way from the input is followed forward through everything that keeps an axis an axis (elementwise operators,
transposition, normalisation, products with constants, embedding), until each axis has met the constants that fix it.
How each operator is passed is said in `initaudit.probe.inputs.propagation`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from initaudit.probe.inputs.scale import Scale


@dataclass(slots=True, kw_only=True)
class Facts:
    """What was found on the way from one input."""

    integer: bool = False
    """Whether the values are integers: sums and products with masks and token types are then still ids."""
    sizes: dict[int, int] = field(default_factory=dict)
    """Axis -> the size that a constant demands."""
    minimum: dict[int, int] = field(default_factory=dict)
    """Axis -> smallest possible size."""
    kinds: dict[int, str] = field(default_factory=dict)
    """Axis -> batch, time, channel, space, past."""
    bound: int | None = None
    """The values index a table of this many rows (the smallest one)."""
    span: tuple[float, float] | None = None
    """Floating-point values are drawn uniformly from this range: the graph makes ids of them, and N(0, 1) leaves its table."""
    scale: Scale | None = None
    """The scale of the values, where something shows it; None where it is that of N(0, 1)."""
    roles: set[str] = field(default_factory=set)
    """weight, state, lengths, last_position, total_length, mask, past, count, condition, filtered."""
    equals: list[float] = field(default_factory=list)
    """Constants that the values are compared with."""

    def demand(self, axis: int | None, size: int, kind: str | None = None) -> None:
        """Note that `axis` must have `size`; the first demand counts."""
        if axis is not None:
            self.sizes.setdefault(axis, size)
            self.mark(axis, kind)

    def mark(self, axis: int | None, kind: str | None) -> None:
        """Note what `axis` is; the first mark counts."""
        if axis is not None and kind is not None:
            self.kinds.setdefault(axis, kind)

    def at_least(self, axis: int | None, size: int) -> None:
        """Note that `axis` must be at least `size`."""
        if axis is not None:
            self.minimum[axis] = max(size, self.minimum.get(axis, 1))

    def index(self, rows: int) -> None:
        """Note that the values index a table of `rows` rows."""
        self.bound = rows if self.bound is None else min(rows, self.bound)
