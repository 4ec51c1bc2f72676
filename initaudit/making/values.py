"""Values: what the weights and biases of a network under construction are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from initaudit.making.net import Array

Shape: TypeAlias = tuple[int, ...]


def zero_bias(name: str, shape: Shape) -> Array:
    """Zeros."""
    return np.zeros(shape[0])


@dataclass(frozen=True, slots=True, kw_only=True)
class Values:
    """Called once a layer, in topological order."""

    weight: Callable[[str, Shape], Array]
    """Of the layer's name and the weight's shape: [out, in] or [out, in, kh, kw], of recurrent layers [gates x units, in]."""
    bias: Callable[[str, Shape], Array | None] = zero_bias
    """Of the layer's name and the shape of its weight: a value for each output; None where the layer has no bias."""
