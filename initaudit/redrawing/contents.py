"""Contents: what the stored tensors of a model are to hold, collected weight by weight before anything is written."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from initaudit.model.tensors import Tensor


class Contents:
    """New values of stored tensors, by the identity of the tensor; several weights may lie in one tensor."""

    def __init__(self) -> None:
        self.values: dict[int, np.ndarray] = {}
        """Flat, whole tensors, in the type that each is stored in."""
        self.tensors: dict[int, Tensor] = {}

    def put(self, tensor: Tensor, index: np.ndarray | None, new: np.ndarray) -> None:
        """Place `new` at the flat positions `index` of `tensor`, or all over it where that is None; the rest keeps its values."""
        if id(tensor) not in self.values:
            held = tensor.array()
            self.values[id(tensor)] = np.empty(held.size, held.dtype) if index is None else np.array(held).reshape(-1)
            self.tensors[id(tensor)] = tensor
        flat = self.values[id(tensor)]
        if index is None:
            flat[:] = new.reshape(-1)
        else:
            flat[index.reshape(-1)] = new.reshape(-1)

    def take(self, others: Contents) -> None:
        """Place what others hold of whole tensors."""
        self.values |= others.values
        self.tensors |= others.tensors
