"""Place: where a store keeps its files: a folder, or a URL that fsspec knows. Readers see a whole file or none."""

from __future__ import annotations

import abc
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from initaudit.errors import UsageError

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
    is_lasting: bool = True
    """Whether another process finds anything there."""

    @abc.abstractmethod
    def read(self, name: str) -> bytes | None:
        """The whole file; None where there is none."""

    @abc.abstractmethod
    def write(self, name: str, data: bytes, *, lasting: bool = True) -> None:
        """A file that appears whole, in the place of one of this name; what is not `lasting` may be lost where the machine crashes."""

    @abc.abstractmethod
    def create(self, name: str, data: bytes) -> bool:
        """The same, where there is no such file; whether there was none: of several that create it at once, one is told so."""

    @abc.abstractmethod
    def mark(self, name: str, text: str) -> bool:
        """The same for a word to people, of which only counts that it is there: it may be seen before it is whole."""

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
        """A file that appears whole, from one of this machine, which need not be held in memory."""


class Folder(Place):
    """A folder of this machine, or of a file system that all workers see."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.address = str(self.path)
        self._made: set[str] = set()
        """Folders in it that are there."""

    def read(self, name: str) -> bytes | None:
        """See `Place.read`."""
        try:
            return (self.path / name).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise self._failed(name, error) from error

    def write(self, name: str, data: bytes, *, lasting: bool = True) -> None:
        """See `Place.write`."""
        with self._spare(name, data, lasting=lasting) as (temporary, target):
            temporary.replace(target)

    def create(self, name: str, data: bytes) -> bool:
        """See `Place.create`."""
        with self._spare(name, data) as (temporary, target):
            try:
                target.hardlink_to(temporary)
            except FileExistsError:
                return False
        return True

    def mark(self, name: str, text: str) -> bool:
        """See `Place.mark`."""
        try:
            with self._target(name).open("x", encoding="utf-8") as stream:
                stream.write(text)
        except FileExistsError:
            return False
        except OSError as error:
            raise self._failed(name, error) from error
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
        with file.open("rb") as source, self._spare(name, b"", lasting=False) as (temporary, target):
            with temporary.open("wb") as copy:
                shutil.copyfileobj(source, copy)
                copy.flush()
                os.fsync(copy.fileno())
            temporary.replace(target)

    def sweep(self) -> None:
        """Remove what killed processes left half written."""
        for name in self.names(PARTIAL):
            with suppress(OSError):
                if time.time() - (self.path / PARTIAL / name).stat().st_mtime > STALE:
                    self.remove(f"{PARTIAL}/{name}")

    @contextmanager
    def _spare(self, name: str, data: bytes, *, lasting: bool = True) -> Iterator[tuple[Path, Path]]:
        """A file that holds the data, and the path that it shall have; gone at the end if it is not moved."""
        try:
            target, temporary = self._target(name), self._target(f"{PARTIAL}/{os.getpid()}-{secrets.token_hex(8)}")
            try:
                with temporary.open("xb") as stream:
                    stream.write(data)
                    if lasting:
                        stream.flush()
                        os.fsync(stream.fileno())  # a name without its content must not survive a crash of the machine
                yield temporary, target
            finally:
                with suppress(FileNotFoundError):
                    temporary.unlink()
        except OSError as error:
            raise self._failed(name, error) from error

    def _target(self, name: str) -> Path:
        """The path of a file, whose folder is there."""
        folder = name.rpartition("/")[0]
        if folder not in self._made:
            (self.path / folder).mkdir(parents=True, exist_ok=True)
            self._made.add(folder)
        return self.path / name

    def _failed(self, name: str, error: OSError) -> StoreError:
        return StoreError(f"store {self.address}: {name}: {error.strerror or error}")
