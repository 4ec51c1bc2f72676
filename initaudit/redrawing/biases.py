"""Setting the stored bias of a layer, or of the part of it that the layer owns."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from initaudit.extraction.layer import Layer
    from initaudit.model.tensors import Tensor
    from initaudit.redrawing.contents import Contents


def writable_bias(layer: Layer) -> Tensor | None:
    """The bias of a layer, where others can be stored in its place."""
    return layer.bias if layer.bias is not None and layer.bias.is_writable else None


def reset_bias(layer: Layer, value: float | None, layers: Iterable[Layer], contents: Contents) -> str | None:
    """The name of the bias that is set to `value`; None where there is none to set.

    A forget gate adds a second bias, that of its recurrent weights, which is set to zero so that the sum is `value`.
    """
    bias = writable_bias(layer)
    if value is None or bias is None:
        return None
    set_bias(layer, value, contents)
    if layer.is_forget_gate:
        for other in layers:
            if other.node is layer.node and other.weight.part == layer.weight.part and other.role == "R":
                set_bias(other, 0.0, contents)
    return bias.name


def set_bias(layer: Layer, values: np.ndarray | float, contents: Contents) -> None:
    """The layer's own elements of its bias."""
    assert layer.bias is not None
    index = _index(layer)
    size = layer.bias.size if index is None else index.size
    contents.put(layer.bias, index, np.broadcast_to(np.asarray(values, np.float64).reshape(-1), (size,)))


def bias_of(layer: Layer, contents: Contents) -> np.ndarray:
    """The layer's own elements of its bias as they are to be, flat float64."""
    assert layer.bias is not None
    held = contents.values.get(id(layer.bias))
    values = np.array(layer.bias.array(), np.float64).reshape(-1) if held is None else held
    index = _index(layer)
    return values if index is None else values[index]


def size_of_bias(layer: Layer, contents: Contents) -> float:
    """Mean of the bias as it is to be."""
    return float(bias_of(layer, contents).mean())


def _index(layer: Layer) -> np.ndarray | None:
    return None if layer.bias_slice is None else np.arange(*layer.bias_slice)
