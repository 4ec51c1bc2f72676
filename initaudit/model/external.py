"""External data: which bytes of which file a tensor's values are, checked to lie inside the folder of the model before any is read.

A path that climbs out or follows a link out is refused (CVE-2024-27318, CVE-2025-51480).
"""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from initaudit.errors import ExternalDataError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from onnx import ModelProto, TensorProto

MAX_NAME = 255
"""Bytes of one part of a path: NAME_MAX of Linux's file systems."""

FileVersion = tuple[int, int, int]
"""inode, size in bytes and time of change in ns: another file, or the same one rewritten, has another."""
NOTHING: FileVersion = (0, 0, 0)
"""Stands for a file that is not there, or may not be looked at."""


Supplier: TypeAlias = "Callable[[int, int], np.ndarray]"
"""Gives bytes [offset, offset+length) of a file, read-only, uint8 [length]."""
_suppliers: dict[Path, Supplier] = {}


@contextmanager
def supplied(suppliers: Mapping[Path, Supplier]) -> Iterator[None]:
    """Inside, bytes of these files (real paths) are asked of their suppliers, in this process alone; the files stand for their lengths."""
    _suppliers.update(suppliers)
    try:
        yield
    finally:
        for path in suppliers:
            del _suppliers[path]


@dataclass(frozen=True, slots=True)
class ExternalRange:
    """Bytes [offset, offset+length) of a file that was checked to lie inside the folder of the model."""

    path: Path
    offset: int
    length: int
    version: FileVersion

    def bytes(self) -> np.ndarray:
        """The bytes, read-only, uint8 [length]: a view of a memory map."""
        if (supplier := _suppliers.get(self.path)) is not None:
            return supplier(self.offset, self.length)
        return _mapped(self.path, self.version)[self.offset : self.offset + self.length]

    @property
    def is_here(self) -> bool:
        """Whether any process that opens the file finds the bytes in it."""
        return self.path not in _suppliers

    def unchanged(self) -> ExternalRange:
        """The same. Raises ExternalDataError where the file is not the one that it was."""
        if _version(self.path.parent, self.path.name) != self.version:
            raise ExternalDataError(f"{self.path}: changed while it was read")
        return self


def check_external(proto: TensorProto, folder: Path | None) -> None:
    """Raises ExternalDataError where the data of a tensor lies outside the folder of the model, or would; whether it is there is not asked."""
    folder, location = _folder(proto, folder), _location(proto)
    _inside(proto.name, folder, location, _version(folder, location))


def external_bytes(proto: ModelProto, folder: Path | None) -> int:
    """Bytes on disk of the files that hold the initializers' data; holes of sparse files and files that are not there count nothing."""
    if folder is None:
        return 0
    locations = {_location(t) for t in proto.graph.initializer if t.external_data}
    sizes: dict[tuple[int, int], int] = {}
    for location in locations:
        with suppress(OSError, ValueError):
            status = (folder / location).stat()  # one file may be called by many names
            held = 512 * getattr(status, "st_blocks", status.st_size)  # POSIX counts blocks of 512 bytes
            held = status.st_size if (folder / location).resolve() in _suppliers else held
            sizes[status.st_dev, status.st_ino] = min(status.st_size, held)
    return sum(sizes.values())


def external_range(proto: TensorProto, folder: Path | None, nbytes: int) -> ExternalRange:
    """Where the `nbytes` of a tensor are. Raises ExternalDataError where they are missing, cut short, or outside the folder of the model."""
    name, folder, location = proto.name or "?", _folder(proto, folder), _location(proto)
    entries = {entry.key: entry.value for entry in proto.external_data}
    version = _version(folder, location)
    path = _inside(name, folder, location, version)
    if version == NOTHING:
        raise ExternalDataError(f"tensor {name!r:.100}: external data file {location!r:.100} is missing")
    if not path.is_file():
        raise ExternalDataError(f"tensor {name!r:.100}: external location {location!r:.100} is not a regular file")
    try:
        offset = int(entries.get("offset", "0") or 0)
        length = int(entries["length"]) if entries.get("length") else nbytes
    except ValueError as error:
        raise ExternalDataError(f"tensor {name!r:.100}: external offset or length is not a number") from error
    if offset < 0 or length != nbytes:
        raise ExternalDataError(
            f"tensor {name!r:.100}: external length {length} at offset {offset}, shape needs {nbytes} bytes"
        )
    have = version[1]
    if offset + length > have:
        raise ExternalDataError(
            f"tensor {name!r:.100}: external data {location!r:.100} has {have} bytes, {offset + length} are needed"
        )
    return ExternalRange(path, offset, length, version)


def _folder(proto: TensorProto, folder: Path | None) -> Path:
    """Raises ExternalDataError where there is no folder: whoever opens the location would take it for one in the current directory."""
    if folder is None:
        raise ExternalDataError(
            f"tensor {proto.name or '?'!r:.100}: external data {_location(proto)!r:.100} of a model given without a path"
        )
    return folder


def _location(proto: TensorProto) -> str:
    """Where the data of a tensor lies, relative to the folder of the model. Raises ExternalDataError where it cannot be a path."""
    location = next((entry.value for entry in proto.external_data if entry.key == "location"), "")
    parts = Path(location).parts
    if (
        not location
        or Path(location).is_absolute()
        or "\0" in location
        or any(len(p.encode()) > MAX_NAME for p in parts)
    ):
        raise ExternalDataError(
            f"tensor {proto.name or '?'!r:.100}: external location {location!r:.100} is not a relative path"
        )
    return location


def _version(folder: Path, location: str) -> FileVersion:
    try:
        found = os.stat(os.path.join(folder, location))  # noqa: PTH116, PTH118  asked for every tensor: pathlib takes ten times as long
    except OSError:
        return NOTHING
    return found.st_ino, found.st_size, found.st_mtime_ns


def _inside(name: str, folder: Path, location: str, version: FileVersion) -> Path:
    path, inside = _resolved(folder, location, version)
    if not inside:
        raise ExternalDataError(
            f"tensor {name or '?'!r:.100}: external location {location!r:.100} leads outside the model's folder"
        )
    return path


@lru_cache(maxsize=256)
def _resolved(folder: Path, location: str, version: FileVersion) -> tuple[Path, bool]:
    """The file behind a location, and whether it lies in the folder; asked once for all tensors in it, and again where it changed."""
    path = Path(os.path.realpath(folder / location))  # of links in a circle the path itself, which leads nowhere
    return path, path.is_relative_to(folder.resolve())


@lru_cache(maxsize=8)
def _mapped(path: Path, version: FileVersion) -> np.ndarray:
    """The bytes of a file as a read-only memory map; `version` tells a rewritten file from the one that was mapped."""
    return np.memmap(path, dtype=np.uint8, mode="r").view(np.ndarray)
