"""The private copy of a model's external data: what the model refers to, copied once into one file, with new values patched in.

A tensor keeps its place relative to the blocks of the file system, so that a file system that can share blocks shares all that is not patched. Where two
tensors refer to the same bytes and one of them changes, it gets bytes of its own at the end.
"""

from __future__ import annotations

import hashlib
import os
from bisect import bisect_right
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING

from initaudit.errors import InvalidModel
from initaudit.files import atomic_file
from initaudit.fixing.copying import BLOCK, copy_range, put
from initaudit.fixing.generations import ALIGNMENT, first_line
from initaudit.model.digest import raw
from initaudit.model.tensors import tensor_from_proto

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    import numpy as np
    from onnx import TensorProto

    from initaudit.model.external import ExternalRange

NEAR = 1 << 16
"""Bytes between two tensors of a file up to which what lies there is copied with them. A judgement: padding is copied, the weights of another model that
uses the same file are not."""


@dataclass(frozen=True, slots=True)
class _Extent:
    """Bytes [start, stop) of a file, which come to lie at `offset` of the copy."""

    path: Path
    start: int
    stop: int
    offset: int


def places_of(tensors: Iterable[TensorProto], folder: Path | None) -> list[tuple[TensorProto, ExternalRange]]:
    """The bytes that each of these messages refers to. Raises ExternalDataError where they are not there."""
    found = []
    for proto in tensors:
        place = tensor_from_proto(proto, name=proto.name, folder=folder).external()
        assert place is not None
        found.append((proto, place))
    return found


def write_data(
    data: Path,
    output: Path,
    places: Sequence[tuple[TensorProto, ExternalRange]],
    changed: Mapping[int, np.ndarray],
    *,
    replaced: Iterable[Path],
    like: Path | None,
) -> None:
    """Write the data file of `output`, and make the messages refer to it.

    Args:
        data: the file to write.
        output: the model that it belongs to.
        places: the messages with the bytes that they refer to now.
        changed: new values, in the stored type, by the id of the message.
        replaced: files that nobody needs once the model is written.
        like: a file that this one is no more open to others than.
    """
    start = first_line(output, replaced)
    extents = _extents([place for _, place in places], -(-len(start) // BLOCK) * BLOCK)
    shared = _shared(places)
    with atomic_file(data, like=like) as stream:
        target = stream.fileno()
        put(target, start, 0)
        end = -(-len(start) // BLOCK) * BLOCK
        for extent in extents:
            _copy(extent, target)
            end = max(end, extent.offset + extent.stop - extent.start)
        for proto, place in places:
            new = changed.get(id(proto))
            offset = _moved(place, extents)
            if new is not None and id(proto) in shared:
                offset = end = -(-end // ALIGNMENT) * ALIGNMENT
                end += place.length
            if new is not None:
                put(target, raw(new), offset)
            _refer(proto, data.name, offset, place.length)
        if os.fstat(target).st_size < end:
            os.ftruncate(target, end)
        _keep_checksums(target, [proto for proto, _ in places])


def _extents(places: Sequence[ExternalRange], first: int) -> list[_Extent]:
    """What is copied, sorted by file and place: the ranges with what lies between near ones, from one block to another."""
    found: list[_Extent] = []
    offset = first
    ordered = sorted(places, key=attrgetter("path", "offset"))
    for path, inside in groupby(ordered, key=attrgetter("path")):
        size = path.stat().st_size
        bounds: list[list[int]] = []
        for place in inside:
            stop = place.offset + place.length
            if bounds and place.offset <= bounds[-1][1] + NEAR:
                bounds[-1][1] = max(bounds[-1][1], stop)
            else:
                bounds.append([place.offset, stop])
        for low, high in bounds:
            start, stop = low // BLOCK * BLOCK, min(-(-high // BLOCK) * BLOCK, max(size, high))
            found.append(_Extent(path, start, stop, offset))
            offset += -(-(stop - start) // BLOCK) * BLOCK
    return found


def _moved(place: ExternalRange, extents: Sequence[_Extent]) -> int:
    """Where in the copy the first byte of a range lies."""
    index = bisect_right(extents, (place.path, place.offset), key=lambda e: (e.path, e.start)) - 1
    extent = extents[index]
    return extent.offset + place.offset - extent.start


def _shared(places: Sequence[tuple[TensorProto, ExternalRange]]) -> set[int]:
    """Messages, by id, whose bytes another one refers to as well."""
    found: set[int] = set()
    holder, path, reach = 0, None, 0
    for proto, place in sorted(places, key=lambda entry: (entry[1].path, entry[1].offset)):
        stop = place.offset + place.length
        if place.length and place.path == path and place.offset < reach:
            found |= {holder, id(proto)}
        if place.path != path or stop > reach:
            holder, path, reach = id(proto), place.path, stop
    return found


def _copy(extent: _Extent, target: int) -> None:
    with extent.path.open("rb", buffering=0) as source:
        try:
            copy_range(source.fileno(), extent.start, extent.stop - extent.start, target, extent.offset)
        except InvalidModel as error:
            raise InvalidModel(f"{extent.path}: external data ended early while it was copied") from error


def _refer(proto: TensorProto, location: str, offset: int, length: int) -> None:
    """Make the message say where its data is; entries that say something else stay."""
    entries = {entry.key: entry for entry in proto.external_data}
    for key, value in (("location", location), ("offset", str(offset)), ("length", str(length))):
        entry = entries[key] if key in entries else proto.external_data.add(key=key)
        entry.value = value


def _keep_checksums(target: int, protos: Iterable[TensorProto]) -> None:
    """Where a message states the SHA-1 of its data file, as ONNX defines it, make it that of the copy."""
    stated = [entry for proto in protos for entry in proto.external_data if entry.key == "checksum"]
    if not stated:
        return
    with open(target, "rb", closefd=False, buffering=0) as stream:
        stream.seek(0)
        checksum = hashlib.file_digest(stream, lambda: hashlib.sha1(usedforsecurity=False)).hexdigest()
    for entry in stated:
        entry.value = checksum
