"""A remote model brought to this machine with its external files, as long as it is worked on."""

from __future__ import annotations

import mmap
import posixpath
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from initaudit.errors import InitauditError, ModelError, UnreadableModel
from initaudit.fleet.bucket import file_system
from initaudit.process import size_in_words

if TYPE_CHECKING:
    from collections.abc import Callable

PIECE = 8 << 20
"""Bytes asked for at once: what a request costs beside its bytes (some 20 ms) is a tenth of their time at 40 MB/s and more."""


@contextmanager
def fetched(url: str, most: int, tell: Callable[[int], None] = lambda size: None) -> Iterator[Path]:
    """The model's file in a folder of its own, its external files beside it; gone at the end.

    Args:
        url: of the model.
        most: bytes that all its files may have together; a model with more is refused before they are fetched.
        tell: called with the bytes of each file that is about to be fetched.

    Raises:
        UnreadableModel: a file cannot be had, or they are too large.
    """
    system, path = file_system(url)
    with tempfile.TemporaryDirectory(prefix="initaudit-") as folder:
        name = PurePosixPath(path).name or "model.onnx"
        fetcher = _Fetcher(url, system, Path(folder), most, tell)
        file = fetcher.fetch(path, name)
        for location in _locations(file):
            fetcher.fetch(posixpath.join(posixpath.dirname(path), location), location, may_be_missing=True)
        yield file


class _Fetcher:
    def __init__(self, url: str, system: Any, folder: Path, most: int, tell: Callable[[int], None]) -> None:
        self._url, self._system, self._folder, self._tell = url, system, folder, tell
        self._most = self._left = most

    def fetch(self, path: str, name: str, *, may_be_missing: bool = False) -> Path:
        """Copy one file. One that is missing is left out where it may be: the audit says what lacks."""
        target = self._folder / name
        try:
            self._copy(path, target)
        except InitauditError:
            raise
        except Exception as error:  # each protocol raises its own
            if not (may_be_missing and isinstance(error, FileNotFoundError)):
                what = "no such object" if isinstance(error, FileNotFoundError) else f"{type(error).__name__}: {error}"
                raise UnreadableModel(f"{self._url}: {what}") from error
        return target

    def _copy(self, path: str, target: Path) -> None:
        size = self._system.info(path).get("size")
        if size is not None:
            self._take(size, charge=False)
            self._tell(size)
        target.parent.mkdir(parents=True, exist_ok=True)
        with (
            self._system.open(path, "rb", block_size=PIECE, cache_type="readahead") as source,
            target.open("xb") as copy,
        ):
            while piece := source.read(PIECE):
                self._take(len(piece))
                copy.write(piece)

    def _take(self, size: int, *, charge: bool = True) -> None:
        if size > self._left:
            raise UnreadableModel(f"{self._url}: larger than the {size_in_words(self._most)} of --max-bytes")
        self._left -= size if charge else 0


def _locations(file: Path) -> list[str]:
    """Of external files that lie inside the folder of the model; none where the file is no model, which its audit says."""
    from google.protobuf.message import DecodeError

    from initaudit.model.external import check_external
    from initaudit.model.outline import MalformedError, read_outline
    from initaudit.model.stored import stored_tensors

    found: dict[str, None] = {}
    try:
        with file.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as raw:
            outline = read_outline(raw, file.name)
    except (ValueError, MalformedError, DecodeError):  # an empty file, or no model
        return []
    for tensor in stored_tensors(outline):
        with suppress(ModelError):
            check_external(tensor, file.parent)
            found |= {entry.value: None for entry in tensor.external_data if entry.key == "location"}
    return [location for location in found if location != file.name]  # the file itself holds those of the outline
