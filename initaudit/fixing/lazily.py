"""Values that are read when they are asked for, one after the other, so that never all of them are held."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import TYPE_CHECKING, TypeVar

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

K = TypeVar("K", bound=Hashable)


class Lazily(Mapping[K, np.ndarray]):
    """Arrays by key, each made anew whenever it is looked up."""

    def __init__(self, make: Mapping[K, Callable[[], np.ndarray]]) -> None:
        self._make = make

    def __getitem__(self, key: K) -> np.ndarray:
        """What is called for it gives it."""
        return self._make[key]()

    def __iter__(self) -> Iterator[K]:
        """The keys; nothing is made."""
        return iter(self._make)

    def __len__(self) -> int:
        """How many there are."""
        return len(self._make)
