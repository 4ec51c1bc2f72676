"""A place behind a URL that fsspec knows: an object store, or another file system."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from initaudit.fleet.file_system import Unreachable, file_system, protocols
from initaudit.fleet.place import PARTIAL, Place, StoreError

WHOLE = frozenset({"s3", "s3a", "gs", "gcs", "abfs", "az", "abfss", "memory"})
"""Protocols whose objects appear when they are complete; others are written beside their name and moved."""


class Bucket(Place):
    """Objects below a URL."""

    def __init__(self, url: str) -> None:
        """Raises UsageError where fsspec, or what it needs for this protocol, is not installed, and StoreError where nothing answers."""
        self.address = url.rstrip("/")
        try:
            self._fs, self._root = file_system(url)
        except Unreachable as error:
            raise StoreError(f"store {error}") from error
        self.is_lasting = "memory" not in protocols(self._fs)

    def read(self, name: str) -> bytes | None:
        """See `Place.read`."""
        with suppress(FileNotFoundError):
            return bytes(self._do("cat_file", name))
        return None

    def write(self, name: str, data: bytes, *, lasting: bool = True) -> None:
        """See `Place.write`."""
        with self._appearing(name) as path:
            self._fs.pipe_file(path, data)

    def create(self, name: str, data: bytes) -> bool:
        """See `Place.create`; of a file system that cannot tell, whether there was none a moment ago."""
        if self.has(name):
            return False
        with self._appearing(name) as path:
            try:
                self._fs.pipe_file(path, data, mode="create")
            except FileExistsError:
                return False
        return True

    def mark(self, name: str, text: str) -> bool:
        """See `Place.mark`."""
        return self.create(name, text.encode())

    def has(self, name: str) -> bool:
        """See `Place.has`."""
        self._fs.invalidate_cache()
        return bool(self._do("exists", name))

    def remove(self, name: str) -> None:
        """See `Place.remove`."""
        with suppress(FileNotFoundError):
            self._do("rm_file", name)

    def names(self, folder: str) -> list[str]:
        """See `Place.names`."""
        self._fs.invalidate_cache()
        with suppress(FileNotFoundError):
            return sorted(str(found).rstrip("/").rpartition("/")[2] for found in self._do("ls", folder, detail=False))
        return []

    def lines(self, name: str) -> Iterator[bytes]:
        """See `Place.lines`."""
        with suppress(FileNotFoundError), self._do("open", name, "rb") as stream:
            yield from stream

    def upload(self, name: str, file: Path) -> None:
        """See `Place.upload`."""
        with self._appearing(name) as path:
            self._fs.put_file(str(file), path)

    @property
    def _is_whole(self) -> bool:
        return not WHOLE.isdisjoint(protocols(self._fs))

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}"

    @contextmanager
    def _appearing(self, name: str) -> Iterator[str]:
        """Where to write a file that has its name when the block ends. Raises StoreError for whatever the protocol raises."""
        try:
            if self._is_whole:
                yield self._path(name)
                return
            temporary = f"{PARTIAL}/{secrets.token_hex(8)}"
            for file in (name, temporary):
                self._fs.makedirs(self._path(file).rpartition("/")[0], exist_ok=True)
            yield self._path(temporary)
            self._fs.mv(self._path(temporary), self._path(name))
        except Exception as error:  # each protocol raises its own
            raise self._failed(name, error) from error

    def _do(self, what: str, name: str, *arguments: Any, **options: Any) -> Any:
        try:
            return getattr(self._fs, what)(self._path(name), *arguments, **options)
        except FileNotFoundError:
            raise
        except Exception as error:  # each protocol raises its own
            raise self._failed(name, error) from error

    def _failed(self, name: str, error: Exception) -> StoreError:
        return StoreError(f"store {self.address}: {name}: {type(error).__name__}: {error}")
