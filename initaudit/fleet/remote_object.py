"""One object behind a URL: read by ranges, and the same before and after each of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from initaudit.errors import ExternalDataError, ModelError, UnreadableModel
from initaudit.fleet.file_system import info_of
from initaudit.fleet.origin import remote_stamp
from initaudit.process import size_in_words

PIECE = 64 << 20
"""Bytes of one request at most: what it costs beside its bytes is nothing then, and so much memory is at hand."""


@dataclass(frozen=True, slots=True)
class RemoteObject:
    """One object, as it was when the model was opened."""

    url: str
    """As messages name it."""
    system: Any
    """fsspec's file system."""
    path: str
    """In it."""
    size: int
    stamp: str | None
    """None where nothing would tell it from itself rewritten but its size."""

    @classmethod
    def find(cls, url: str, system: Any, path: str) -> RemoteObject:
        """Raises FileNotFoundError, and UnreadableModel where it cannot be had for another reason."""
        try:
            return cls(url, system, path, *_state(url, system, path))
        except (FileNotFoundError, ModelError):
            raise
        except Exception as error:  # each protocol raises its own
            raise UnreadableModel(f"{url}: {_reason(error)}") from error

    def pieces(self, part: range) -> Iterator[bytes]:
        """The bytes of a range, in order. Raises ExternalDataError where they cannot be had, or are those of another object."""
        for low in range(part.start, part.stop, PIECE):
            high = min(low + PIECE, part.stop)
            try:
                piece = self.system.cat_file(self.path, start=low, end=high)
                state = _state(self.url, self.system, self.path)
            except Exception as error:  # each protocol raises its own
                raise ExternalDataError(f"{self.url}: {_reason(error)}") from error
            if state != (self.size, self.stamp):
                raise ExternalDataError(f"{self.url}: changed while it was read")
            if len(piece) != high - low:
                raise ExternalDataError(f"{self.url}: {high - low} bytes were asked for, {len(piece)} came")
            yield piece

    def copy(self, target: Path, parts: Iterator[range]) -> None:
        """Write parts to a file in their places; between them there are holes."""
        with target.open("r+b") as file:
            for part in parts:
                file.seek(part.start)
                for piece in self.pieces(part):
                    file.write(piece)

    def too_large(self, most: int) -> ExternalDataError:
        """The error where it does not fit."""
        return ExternalDataError(f"{self.url}: larger than the {size_in_words(most)} of --max-bytes")


def _state(url: str, system: Any, path: str) -> tuple[int, str | None]:
    """Size and stamp of an object as it is now."""
    info = info_of(system, path)
    if info.get("size") is None:
        raise UnreadableModel(f"{url}: the server does not say how many bytes it has")
    return int(info["size"]), remote_stamp(info)


def _reason(error: Exception) -> str:
    return "no such object" if isinstance(error, FileNotFoundError) else f"{type(error).__name__}: {error}"
