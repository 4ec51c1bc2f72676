"""Origin: where a model and its external files lie, and what tells each from itself rewritten, without a byte of it being read."""

from __future__ import annotations

import abc
import os
import posixpath
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from initaudit.errors import UnreadableModel
from initaudit.fleet.file_system import file_system, info_of

SECOND = 1_000_000_000
"""Nanoseconds."""
COARSE, FINE = 2 * SECOND, SECOND // 20
"""Nanoseconds within which a file may change twice and show one time: two seconds where times are whole ones (FAT), else some ticks of the
kernel's clock (4 to 10 ms)."""


@dataclass(frozen=True, slots=True)
class State:
    """Of one file."""

    size: int
    stamp: str | None
    """None where nothing tells it from itself rewritten."""
    is_settled: bool = field(default=True, compare=False)
    """Whether a change from then on would show in the stamp."""


class Origin(abc.ABC):
    """The model itself has the location `""`."""

    address: str
    """Where the model lies, the same from every folder."""

    @abc.abstractmethod
    def state(self, location: str = "") -> State | None:
        """Of a file beside the model; None where there is none."""


class LocalOrigin(Origin):
    """Files."""

    def __init__(self, path: str) -> None:
        self.address = os.path.abspath(path)  # noqa: PTH100  what pathlib makes of it follows links
        self._folder = Path(os.path.realpath(path)).parent

    def state(self, location: str = "") -> State | None:
        """See `Origin.state`. A file that changed a moment ago may change again without a trace, and is not settled."""
        try:
            found = os.stat(self._folder / location if location else self.address)  # noqa: PTH116  of a path that may be no text
        except (OSError, ValueError):
            return None
        return State(found.st_size, file_stamp(found), is_settled=_is_settled(found))


class RemoteOrigin(Origin):
    """Objects behind a URL that fsspec knows."""

    def __init__(self, url: str) -> None:
        self.address = url
        self._fs, self._path = file_system(url)

    def state(self, location: str = "") -> State | None:
        """See `Origin.state`."""
        path = posixpath.join(posixpath.dirname(self._path), location) if location else self._path
        try:
            info = info_of(self._fs, path)
        except FileNotFoundError:
            return None
        except Exception as error:  # each protocol raises its own
            raise UnreadableModel(f"{self.address}: {type(error).__name__}: {error}") from error
        return State(info["size"] or 0, remote_stamp(info))


def file_stamp(found: os.stat_result) -> str:
    """Inode and times of change of a file, the one that no program can set among them."""
    return f"{found.st_mtime_ns:x}-{found.st_ctime_ns:x}-{found.st_ino:x}"


def _is_settled(found: os.stat_result) -> bool:
    """Whether a change from now on would show in the times."""
    latest = max(found.st_mtime_ns, found.st_ctime_ns)
    return time.time_ns() - latest > (FINE if latest % SECOND else COARSE)


def remote_stamp(info: Mapping[str, Any]) -> str | None:
    """The ETag or what stands for one in what fsspec says of an object; None where it says nothing that would change with the content."""
    for name in ("ETag", "etag", "e_tag", "generation", "md5Hash", "content_md5", "blob_id", "mtime", "created"):
        value = info.get(name)
        if value and not str(value).startswith("W/"):  # a weak one is that of something alike (RFC 9110, 8.8.1)
            return f"{name}:{value}"
    return None


def origin_of(path: str) -> Origin:
    """Of a file or a URL. Raises UsageError where something for the URL is not installed."""
    return RemoteOrigin(path) if is_url(path) else LocalOrigin(path)


def is_url(path: str) -> bool:
    """Whether fsspec is asked for it."""
    scheme, found, _ = path.partition("://")
    return bool(found) and scheme.isascii() and scheme.replace("+", "").replace("-", "").isalnum()
