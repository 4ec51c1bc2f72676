"""A remote model and its external files: brought to this machine as long as it is worked on, or read where they are, by ranges.

Each object must be, after each of its bytes was read, the one that it was before the first; external files lie below the folder of the model.
"""

from __future__ import annotations

import posixpath
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import quote

from initaudit.errors import ExternalDataError, ModelError, UnreadableModel
from initaudit.fleet.file_system import HTTP, file_system, protocols
from initaudit.fleet.remote_object import RemoteObject
from initaudit.fleet.segments import Shelf, segments

if TYPE_CHECKING:
    from collections.abc import Callable


@contextmanager
def fetched(
    url: str, most: int, tell: Callable[[int], None] = lambda size: None, *, in_place: bool = False
) -> Iterator[Path]:
    """The model's file in a folder of its own, its external files beside it; gone at the end.

    Args:
        url: of the model.
        most: bytes that may be on this machine at a time; a model of which more is needed at once is refused.
        tell: called with the numbers of bytes that are about to be fetched.
        in_place: external files only stand for their lengths, and this process reads a tensor as it asks for its values. Whoever else opens
            them would read zeros: no probe may follow. Where nothing tells whether an object changed, all is fetched nonetheless.

    Raises:
        ModelError: an object cannot be had, changed, or they are too large.
        UsageError: something for the protocol is not installed.
    """
    system, path = file_system(url)
    if "file" in protocols(system):  # whose links the audit follows, or refuses
        yield Path(path)
        return
    try:
        head = RemoteObject.find(url, system, path)
    except FileNotFoundError as error:
        raise UnreadableModel(f"{url}: no such object") from error
    if head.size > most:
        raise head.too_large(most)
    with tempfile.TemporaryDirectory(prefix="initaudit-") as name:
        folder = Path(name).resolve()
        file = folder / (PurePosixPath(path).name or "model.onnx")
        tell(head.size)
        file.touch()
        head.copy(file, iter([range(head.size)]))
        beside = _beside(head, file)
        if in_place and all(remote.stamp is not None for remote, _ in beside.values()):
            yield from _in_place(file, beside, Shelf(folder, most - head.size, tell))
            return
        _whole(beside, head, most, tell)
        yield file


def _in_place(file: Path, beside: Mapping[Path, tuple[RemoteObject, list[range]]], shelf: Shelf) -> Iterator[Path]:
    from initaudit.model.external import supplied

    with supplied({target: shelf.supplier(*what) for target, what in beside.items()}):
        yield file
    if shelf.failure is not None:
        raise shelf.failure


def _whole(
    beside: Mapping[Path, tuple[RemoteObject, list[range]]], head: RemoteObject, most: int, tell: Callable[[int], None]
) -> None:
    """Fetch all that the model refers to."""
    wanted = {target: list(segments(parts)) for target, (_, parts) in beside.items()}
    size = sum(len(part) for parts in wanted.values() for part in parts)
    if head.size + size > most:
        raise head.too_large(most)
    tell(size)
    for target, (remote, _) in beside.items():
        remote.copy(target, iter(wanted[target]))


def _beside(head: RemoteObject, file: Path) -> dict[Path, tuple[RemoteObject, list[range]]]:
    """The external files of a model, each standing for its length on this machine, and which of their bytes it refers to.

    One that is missing is left out, and so is a place that no file may have, or that is no number: the audit says so.
    """
    from initaudit.model.external import check_external
    from initaudit.model.load import load_proto
    from initaudit.model.stored import stored_tensors
    from initaudit.model.tensors import tensor_from_proto

    ranges: defaultdict[str, list[range]] = defaultdict(list)
    with suppress(ModelError):  # of what is no model
        for tensor in stored_tensors(load_proto(file)):
            if tensor.data_location != tensor.EXTERNAL:
                continue
            entries = {entry.key: entry.value for entry in tensor.external_data}
            with suppress(ModelError, ValueError):
                check_external(tensor, file.parent)
                start = int(entries.get("offset") or 0)
                length = tensor_from_proto(tensor, name=tensor.name, folder=None).nbytes()
                if start >= 0:
                    ranges[posixpath.normpath(entries["location"])].append(range(start, start + length))
    found: dict[Path, tuple[RemoteObject, list[range]]] = {}
    for location, parts in ranges.items():
        target = file.parent / location
        if target.exists() or "://" in location:  # the file itself holds some of a large model
            continue
        with suppress(FileNotFoundError):
            where = quote(location) if protocols(head.system) & HTTP else location
            remote = RemoteObject.find(
                posixpath.join(posixpath.dirname(head.url), location),
                head.system,
                posixpath.join(posixpath.dirname(head.path), where),
            )
            _hold(target, remote)
            found[target] = remote, [range(part.start, min(part.stop, remote.size)) for part in parts]
    return found


def _hold(target: Path, remote: RemoteObject) -> None:
    """A file of the object's length, without its bytes."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("xb") as stream:
            stream.truncate(remote.size)
    except OSError as error:
        raise ExternalDataError(f"{remote.url}: {error.strerror}") from error
