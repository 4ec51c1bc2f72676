"""Place: where a store keeps its files: a folder, or a URL that fsspec knows. Readers see a whole file or none."""

from __future__ import annotations

import abc
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from initaudit.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

PARTIAL = "partial"
"""Folder of files that are being written."""
STALE = 3600.0
"""Seconds after which a file there was left behind: a result takes milliseconds to be written. A judgement."""


class StoreError(UsageError):
    """The place cannot be read or written; the text names it."""


class Place(abc.ABC):
    """Files by name, such as `results/ab.json.gz`. What cannot be done raises StoreError."""

    address: str
    """As given: what finds it again from another process."""

    @abc.abstractmethod
    def read(self, name: str) -> bytes | None:
        """The whole file; None where there is none."""

    @abc.abstractmethod
    def write(self, name: str, data: bytes) -> None:
        """A file that appears whole, in the place of one of this name."""

    @abc.abstractmethod
    def create(self, name: str, data: bytes) -> bool:
        """The same, where there is no such file; whether there was none: of several that create it at once, one is told so."""

    @abc.abstractmethod
    def has(self, name: str) -> bool:
        """Whether there is such a file."""

    @abc.abstractmethod
    def remove(self, name: str) -> None:
        """Remove a file; harmless where there is none."""

    @abc.abstractmethod
    def names(self, folder: str) -> list[str]:
        """Names in a folder, without it, sorted; none where there is no such folder."""

    @abc.abstractmethod
    def lines(self, name: str) -> Iterator[bytes]:
        """Lines of a file, one at a time in memory; none where there is no such file."""

    @abc.abstractmethod
    def upload(self, name: str, file: Path) -> None:
        """A file that appears whole, from one of this machine, which need not be held in memory; that one may be gone then."""


class Folder(Place):
    """A folder of this machine, or of a file system that all workers see."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.address = str(self.path)

    def read(self, name: str) -> bytes | None:
        """See `Place.read`."""
        try:
            return (self.path / name).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise self._failed(name, error) from error

    def write(self, name: str, data: bytes) -> None:
        """See `Place.write`."""
        self._written(name, data, os.replace)

    def create(self, name: str, data: bytes) -> bool:
        """See `Place.create`."""
        try:
            self._written(name, data, os.link)
        except FileExistsError:
            return False
        return True

    def has(self, name: str) -> bool:
        """See `Place.has`."""
        return (self.path / name).exists()

    def remove(self, name: str) -> None:
        """See `Place.remove`."""
        with suppress(FileNotFoundError):
            (self.path / name).unlink()

    def names(self, folder: str) -> list[str]:
        """See `Place.names`."""
        try:
            return sorted(entry.name for entry in os.scandir(self.path / folder))
        except (FileNotFoundError, NotADirectoryError):
            return []

    def lines(self, name: str) -> Iterator[bytes]:
        """See `Place.lines`."""
        with suppress(FileNotFoundError), (self.path / name).open("rb") as stream:
            yield from stream

    def upload(self, name: str, file: Path) -> None:
        """See `Place.upload`."""
        target = self.path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        file.replace(target)

    def spare(self) -> Path:
        """Where a file may be written that is not whole yet."""
        folder = self.path / PARTIAL
        folder.mkdir(parents=True, exist_ok=True)
        return folder / f"{os.getpid()}-{secrets.token_hex(8)}"

    def sweep(self) -> None:
        """Remove what killed processes left half written."""
        for name in self.names(PARTIAL):
            with suppress(OSError):
                if time.time() - (self.path / PARTIAL / name).stat().st_mtime > STALE:
                    self.remove(f"{PARTIAL}/{name}")

    def _written(self, name: str, data: bytes, into: Callable[[Path, Path], None]) -> None:
        target = self.path / name
        try:
            temporary = self.spare()
            try:
                with temporary.open("xb") as stream:
                    stream.write(data)
                    stream.flush()
                    os.fsync(stream.fileno())  # a name without its content must not survive a crash of the machine
                target.parent.mkdir(parents=True, exist_ok=True)
                into(temporary, target)
            finally:
                with suppress(FileNotFoundError):
                    temporary.unlink()
        except FileExistsError:
            raise
        except OSError as error:
            raise self._failed(name, error) from error

    def _failed(self, name: str, error: OSError) -> StoreError:
        return StoreError(f"store {self.address}: {name}: {error.strerror or error}")
