"""Writing the index of a run: a row is there as soon as its model is finished, whatever becomes of this process then."""

from __future__ import annotations

import abc
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from initaudit.files import lock
from initaudit.fleet.place import Folder, Place, StoreError

if TYPE_CHECKING:
    from pathlib import Path
    from typing import BinaryIO

    from initaudit.fleet.row import Row

MOST_ROWS, LONGEST = 1000, 20.0
"""Rows, and seconds, after which a piece of an index behind a URL is written: what a killed driver can lose, and finds again among the results.
A judgement: a request a second costs a run nothing, and ten thousand rows are ten pieces."""


class IndexWriter(abc.ABC):
    """Takes rows."""

    @abc.abstractmethod
    def add(self, row: Row) -> None:
        """Keep a row. Raises StoreError."""


@contextmanager
def index_writer(place: Place, folder: str, name: str) -> Iterator[IndexWriter]:
    """Adds to the index called `name`. Raises StoreError where another process of this machine does, or it cannot be written."""
    if isinstance(place, Folder):
        with _locked(place.path / folder / f"{name}.jsonl") as stream:
            yield _Appending(stream)
        return
    pieces = _Pieces(place, folder, name)
    try:
        yield pieces
    finally:
        pieces.flush()


class _Appending(IndexWriter):
    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def add(self, row: Row) -> None:
        """See `IndexWriter.add`."""
        try:
            self._stream.write(row.line().encode())
            self._stream.flush()
        except OSError as error:
            raise StoreError(f"{self._stream.name}: cannot be written: {error.strerror or error}") from error


class _Pieces(IndexWriter):
    def __init__(self, place: Place, folder: str, name: str) -> None:
        self._place, self._stem = place, f"{folder}/{name}"
        taken = [re.fullmatch(rf"{re.escape(name)}\.(\d+)\.jsonl", found) for found in place.names(folder)]
        self._number = max((int(found[1]) for found in taken if found), default=0)
        self._lines: list[str] = []
        self._since = time.monotonic()

    def add(self, row: Row) -> None:
        """See `IndexWriter.add`."""
        self._lines.append(row.line())
        if len(self._lines) >= MOST_ROWS or time.monotonic() - self._since > LONGEST:
            self.flush()

    def flush(self) -> None:
        """Write what is not written yet."""
        if self._lines:
            self._number += 1
            self._place.write(f"{self._stem}.{self._number:06}.jsonl", "".join(self._lines).encode())
        self._lines.clear()
        self._since = time.monotonic()


def _locked(path: Path) -> BinaryIO:
    """The file, to append to, after a whole line."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        stream = path.open("a+b")
        if not lock(stream.fileno()):
            stream.close()
            raise StoreError(f"{path}: another process is at work on this run")
        if stream.tell() > 0:
            stream.seek(-1, 2)
            if stream.read(1) != b"\n":  # its writer was killed in the middle of a line
                stream.write(b"\n")
                stream.flush()
    except OSError as error:
        raise StoreError(f"{path}: cannot be written: {error.strerror or error}") from error
    return stream
