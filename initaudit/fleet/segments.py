"""Segments: what is asked for at once of the bytes that a model refers to in a remote object; every byte belongs to one of them."""

from __future__ import annotations

import tempfile
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from initaudit.errors import ExternalDataError
from initaudit.fleet.ranges import joined

if TYPE_CHECKING:
    from initaudit.fleet.remote_object import RemoteObject

SEGMENT: Final = 16 << 20
"""Bytes up to which neighbouring tensors are asked for together: what a request costs beside its bytes (some 20 ms) is a tenth of their
time at 80 MB/s."""
GAP: Final = 1 << 12
"""Bytes between two tensors, at most, that are fetched with them: exporters begin tensors at pages."""


def segments(parts: Iterable[range]) -> Iterator[range]:
    """Of the bytes of tensors; a tensor is never cut."""
    return joined(parts, gap=GAP, most=SEGMENT)


class Shelf:
    """Segments that were read, as maps of files without a name: so many bytes of those used last, and what anybody still looks at."""

    def __init__(self, folder: Path, most: int, tell: Callable[[int], None]) -> None:
        self._folder, self._most, self._tell = folder, most, tell
        self._kept: OrderedDict[tuple[str, int], np.ndarray] = OrderedDict()
        self.failure: ExternalDataError | None = None
        """The first one, whoever passed over it."""

    def supplier(self, remote: RemoteObject, parts: Iterable[range]) -> Callable[[int, int], np.ndarray]:
        """What gives the bytes of an object; see `initaudit.model.external.Supplier`."""
        held = list(segments(parts))
        starts = [segment.start for segment in held]

        def supply(offset: int, length: int) -> np.ndarray:
            segment = held[bisect_right(starts, offset) - 1] if starts and offset >= starts[0] else range(0)
            if offset + length > segment.stop:
                segment = range(offset, offset + length)
            begin = offset - segment.start
            return self._segment(remote, segment)[begin : begin + length]

        return supply

    def _segment(self, remote: RemoteObject, segment: range) -> np.ndarray:
        key = remote.url, segment.start
        found = self._kept.get(key)
        if found is None or found.size != len(segment):
            try:
                found = self._read(remote, segment)
            except ExternalDataError as error:
                self.failure = self.failure or error
                raise
        self._kept[key] = found
        self._kept.move_to_end(key)
        while sum(array.size for array in self._kept.values()) > self._most and len(self._kept) > 1:
            self._kept.popitem(last=False)
        return found

    def _read(self, remote: RemoteObject, segment: range) -> np.ndarray:
        if len(segment) > self._most:
            raise remote.too_large(self._most)
        self._tell(len(segment))
        with tempfile.TemporaryFile(dir=self._folder) as file:
            for piece in remote.pieces(segment):
                file.write(piece)
            file.flush()
            return np.memmap(file, np.uint8, "r", shape=(len(segment),)).view(np.ndarray)
