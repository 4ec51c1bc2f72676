"""WeightView: the way from stored tensors to the operand of an operator."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    from initaudit.model.tensors import Tensor


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WeightView:
    """The way from the stored tensor(s) to the operand that the operator multiplies by, or to one part of it."""

    tensors: tuple[Tensor, ...]
    """Stored tensors the values come from (weight first; scales and zero points of a quantised weight after it)."""
    steps: tuple[str, ...] = ()
    """What stands between, in order, e.g. `transpose(1,0)`, `dequantize(axis=0)`, `slice`, `cast(float16)`."""
    computed: str | None = None
    """The first of them that computes (scales, dequantises, repeats) instead of moving values or changing their type."""
    shape: tuple[int, ...]
    """Of the operand (or part) as `array()` gives it."""
    dtype: str
    """Stored element type of the first tensor, e.g. `float32`, `int4`."""
    part: str | None = None
    """Which part of a packed tensor: `q`, `k`, `v`, `gate:forget`, `forward/gate:input`, `expert`, ...; None for the whole."""
    unit_axes: tuple[int, ...]
    """Axes of `shape` that count output units."""
    input_axes: tuple[int, ...]
    """Axes of `shape` that are summed over for one output unit; the axes in neither tuple are independent copies (experts)."""
    evaluate: Callable[[], np.ndarray] = field(repr=False)
    """Gives the operand's values; a strided view of a memory map wherever the steps allow it."""

    def array(self) -> np.ndarray:
        """Values of the operand, shape `self.shape`, in the stored dtype, or float where dequantised or computed.

        Raises UnsupportedWeight, ExternalDataError or InvalidModel.
        """
        return self.evaluate()
