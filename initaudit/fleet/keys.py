"""The content key: equal where an audit would find the same; and what lets a later run tell it without a look into the files.

It is made of the .onnx file, of the bytes of external files that its tensors refer to, of initaudit's version and of the options that matter.
Filters, baselines, severities and gates are applied afterwards and are no part of it.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections import defaultdict
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any

from initaudit.config import FILTERS
from initaudit.errors import UsageError
from initaudit.fleet.origin import LocalOrigin, State
from initaudit.fleet.ranges import joined
from initaudit.report.run import circumstances
from initaudit.version import __version__

if TYPE_CHECKING:
    from initaudit.config import Config
    from initaudit.fleet.origin import Origin
    from initaudit.fleet.place import Place
    from initaudit.model.load import Model

LARGEST_HASHED = 1 << 30
"""Bytes of an external file on this machine up to which its content is hashed; beyond, its inode and times stand for it. A judgement: a file
of this size is still in memory when the audit reads it, and of a larger one the second pass over the storage would double the time."""
LARGEST_FILE = 1 << 62
"""Stands for the end of a file where a tensor does not say how many bytes it has."""
CHUNK = 1 << 20
"""Bytes hashed at once: enough for the hash to be all that takes time."""
DIGITS = 40
"""Hexadecimal digits of a key: two of 10^12 contents have the same one with a probability of 10^-24."""
ADDING_GROUPS = ("initaudit.rules", "initaudit.ops")
"""Entry points by which other packages change what an audit finds."""


@dataclasses.dataclass(frozen=True, slots=True)
class Content:
    """What a model's files hold."""

    digest: str
    states: dict[str, State | None]
    """Of the model (`""`) and each external file, before it was read; None of one that is not there."""


def content_of(model: Model, origin: Origin, before: State | None) -> Content:
    """From a model whose files are at hand; `before` is the state of its own file before that was read.

    Raises nothing for external files that are missing or lie elsewhere: the audit says what is wrong with them.
    """
    digest = hashlib.sha256(model.sha256.encode())
    states = {"": before}
    for location, ranges in sorted(_ranges(model).items()):
        states[location] = state = origin.state(location)
        digest.update(f"\0{location}\0{_external(model, location, ranges, state, origin)}".encode())
    return Content(digest.hexdigest()[:DIGITS], states)


def _external(model: Model, location: str, ranges: list[range], state: State | None, origin: Origin) -> str:
    if state is None:
        return "missing"
    is_local = isinstance(origin, LocalOrigin)
    lasting = state.stamp is not None and state.is_settled
    if lasting and (not is_local or state.size > LARGEST_HASHED):
        return f"{state.size} {state.stamp} {ranges}"
    assert model.folder is not None
    return _hashed(model.folder / location, ranges)


def _hashed(path: Path, ranges: list[range]) -> str:
    digest = hashlib.sha256()
    buffer = memoryview(bytearray(CHUNK))
    try:
        with path.open("rb", buffering=0) as stream:
            for part in ranges:
                stream.seek(part.start)
                left = len(part)
                while left > 0 and (got := stream.readinto(buffer[: min(left, CHUNK)])):
                    digest.update(buffer[:got])
                    left -= got
    except OSError as error:
        return f"unreadable: {error.strerror}"
    return digest.hexdigest()


def _ranges(model: Model) -> dict[str, list[range]]:
    """Bytes by location, overlaps joined; of files inside the folder of the model only, for no other is read."""
    from initaudit.errors import ExternalDataError
    from initaudit.model.external import check_external
    from initaudit.model.stored import stored_tensors

    if model.folder is None:
        return {}
    itself = None if model.path is None else model.path.resolve().name
    found: defaultdict[str, list[range]] = defaultdict(list)
    for tensor in stored_tensors(model.proto):
        if not tensor.external_data:
            continue
        entries = {entry.key: entry.value for entry in tensor.external_data}
        try:
            check_external(tensor, model.folder)
            start, length = int(entries.get("offset") or 0), int(entries.get("length") or LARGEST_FILE)
        except (ExternalDataError, ValueError):
            continue
        if entries["location"] != itself:  # of a large file the weights in it are read as if they were external
            found[entries["location"]].append(range(start, start + max(length, 0)))
    return {location: list(joined(ranges)) for location, ranges in found.items()}


def key_of(content: str, options: str) -> str:
    """Of a content under options, by the digests of both."""
    return hashlib.sha256(f"{content}\0{options}".encode()).hexdigest()[:DIGITS]


def digest_of(config: Config) -> str:
    """Of the options that matter, of what the files hold that they name, of initaudit's version and of packages that add to it.

    Raises UsageError where such a file cannot be read, and ModelError where the model to compare with cannot be.
    """
    options = {name: value for name, value in circumstances(config, None)["options"].items() if name not in FILTERS}
    files: dict[str, Any] = {}
    if isinstance(config.input_data, bytes):
        files["input_data"] = hashlib.sha256(config.input_data).hexdigest()
    elif config.input_data is not None:
        files["input_data"] = _whole(Path(config.input_data))
    if config.against is not None:
        from initaudit.model.load import load_model

        origin = LocalOrigin(config.against)
        files["against"] = content_of(load_model(config.against), origin, None).digest
    text = json.dumps([__version__, options, files, _additions()], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:DIGITS]


def _whole(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or error}") from error


def _additions() -> list[str]:
    found = (entry for group in ADDING_GROUPS for entry in entry_points(group=group))
    return sorted(f"{e.group} {e.name} {e.value} {e.dist.version if e.dist else ''}" for e in found)


def remember(place: Place, origin: Origin, content: Content) -> None:
    """Note what the files held, so that a later run need not read them; nothing where one of them could change without a trace."""
    if content.states[""] is not None and all(
        s is None or (s.stamp is not None and s.is_settled) for s in content.states.values()
    ):
        files = [[location, s and s.size, s and s.stamp] for location, s in content.states.items()]
        note = {"path": origin.address, "files": files, "content": content.digest}
        place.write(_name(origin), json.dumps(note).encode(), lasting=False)


def recall(place: Place, origin: Origin) -> str | None:
    """The digest of the content noted for a model, where none of its files changed since; None where it must be read."""
    data = place.read(_name(origin))
    try:
        note = json.loads(data or b"null")
        before = {location: None if size is None else State(size, stamp) for location, size, stamp in note["files"]}
        same = all(origin.state(location) == state for location, state in before.items())
        return str(note["content"]) if same and note["path"] == origin.address else None
    except (ValueError, TypeError, KeyError):
        return None


def _name(origin: Origin) -> str:
    return f"stamps/{hashlib.sha256(origin.address.encode(errors='surrogateescape')).hexdigest()[:DIGITS]}.json"
