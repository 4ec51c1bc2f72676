"""load_model(): from a path, bytes, a ModelProto or an onnx_ir Model to a `Model` ready to be audited."""

from __future__ import annotations

import hashlib
import mmap
import os
import stat
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias

from initaudit.errors import UnreadableModel

if TYPE_CHECKING:
    from onnx import ModelProto

    from initaudit.model.external import FileVersion
    from initaudit.model.graph import Graph

    Source: TypeAlias = str | os.PathLike[str] | bytes | ModelProto | Any


HEAD = 1 << 16
"""Bytes that are read first, to tell what else a file may be."""
LARGEST_MESSAGE = (1 << 31) - 1
"""Bytes that a protobuf message may have (protobuf encoding)."""
MAPPED_FROM = 1 << 24
"""Bytes from which the weights inside a file are mapped rather than parsed: below, parsing takes milliseconds and little memory."""

SPECIAL = {
    stat.S_IFDIR: "a directory",
    stat.S_IFIFO: "a pipe, not a file",
    stat.S_IFSOCK: "a socket, not a file",
    stat.S_IFCHR: "a device, not a file",
    stat.S_IFBLK: "a device, not a file",
}
"""What is at a path and no file."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Model:
    """A parsed model with its navigable graph. Large external data stays on disk until somebody asks for values."""

    path: Path | None
    """File it was read from; None when it came from memory."""
    proto: ModelProto = field(repr=False)
    """The message as parsed, in a large file with references to the weights in place of their values; never changed by an audit."""
    graph: Graph = field(repr=False)
    """Main graph with functions inlined."""
    folder: Path | None
    """Where external data lies; None when the model came from memory."""
    sha256: str
    """Of the .onnx file itself; external data files are not hashed, they can be many GB."""
    size: int
    """Bytes of the .onnx file."""
    name: str = "<memory>"
    """What a model is called that came from memory."""
    mapped: bool = False
    """Whether the larger initializers are references to where their values stand in the file itself."""
    version: FileVersion | None = None
    """Of the file when it was read; None when the model came from memory."""

    @property
    def label(self) -> str:
        """How messages name the model."""
        return str(self.path) if self.path is not None else self.name

    @property
    def bytes_on_disk(self) -> int:
        """Of the file and of those that hold its weights: what must be read."""
        from initaudit.model.external import external_bytes

        return self.size + external_bytes(self.proto, self.folder)

    @property
    def opset(self) -> dict[str, int]:
        """Operator set versions by domain; the default domain is the empty string."""
        return {"" if o.domain == "ai.onnx" else o.domain: o.version for o in self.proto.opset_import}


def load_model(source: Source, *, name: str = "<memory>") -> Model:
    """Parse a model. Raises UnreadableModel, InvalidModel or ExternalDataError, each naming the file.

    Weights inside a large file are mapped, not read. What comes from memory is called `name`.
    """
    path: Path | None = None
    if isinstance(source, Model):
        return source
    if isinstance(source, str | os.PathLike):
        path = Path(source)
        outlined = _outline(path)
        if outlined is not None:
            return outlined
        raw, version = _read(path)
        return replace(_model(_parse(raw, str(path)), path, raw), version=version)
    if isinstance(source, bytes | bytearray | memoryview):
        raw = bytes(source)
    else:
        proto = _as_proto(source)
        raw = proto.SerializeToString()
        return _model(proto, None, raw, name)
    return _model(_parse(raw, name), None, raw, name)


def load_proto(path: Path) -> ModelProto:
    """The message of a file, in a large one with references to the weights in place of their values. Raises UnreadableModel."""
    from google.protobuf.message import DecodeError

    from initaudit.model.outline import MalformedError, read_outline

    with suppress(OSError, MalformedError, DecodeError):
        if path.stat().st_size >= MAPPED_FROM:
            with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as raw:
                return read_outline(raw, path.resolve().name)
    return _parse(_read(path)[0], str(path))


def private_copy(model: Model) -> Model:
    """The same model in a message of its own, whose stored values may be changed. No file holds it; large weights stay in theirs."""
    from onnx import ModelProto

    from initaudit.model.build import build_graph

    proto = ModelProto()
    proto.CopyFrom(model.proto)
    return replace(model, path=None, proto=proto, graph=build_graph(proto, model.folder))


def _outline(path: Path) -> Model | None:
    """A large file with its weights left where they are; None for a small file, and for bytes that the plain way must explain."""
    from google.protobuf.message import DecodeError

    from initaudit.model.outline import MalformedError, read_outline

    try:
        if not path.is_file() or path.stat().st_size < MAPPED_FROM:
            return None
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as raw:
            if _foreign(raw[:HEAD]):
                return None
            proto = read_outline(raw, path.resolve().name)
            _check_graph(proto, str(path))
            return replace(_model(proto, path, raw), mapped=True, version=version_of(os.fstat(file.fileno())))
    except (OSError, MalformedError, DecodeError):
        return None


def _model(proto: ModelProto, path: Path | None, raw: bytes | mmap.mmap, name: str = "<memory>") -> Model:
    from initaudit.errors import InitauditError
    from initaudit.model.build import build_graph

    label = str(path or name)
    folder = path.resolve().parent if path else None
    try:
        graph = build_graph(proto, folder)
    except InitauditError as error:
        raise type(error)(f"{label}: {error}") from error
    digest = hashlib.sha256(raw).hexdigest()
    return Model(path=path, proto=proto, graph=graph, folder=folder, sha256=digest, size=len(raw), name=name)


def version_of(status: os.stat_result) -> FileVersion:
    """What tells a file from another, and from itself rewritten."""
    return status.st_ino, status.st_size, status.st_mtime_ns


def _read(path: Path) -> tuple[bytes, FileVersion]:
    """The content of a file, and which version of it that is."""
    try:
        kind = stat.S_IFMT(path.stat().st_mode)
        if kind != stat.S_IFREG:  # a pipe may never have a writer, and a device never end
            raise UnreadableModel(f"{path}: is {SPECIAL.get(kind, 'not a file')}")
        with path.open("rb") as file:
            version = version_of(os.fstat(file.fileno()))
            return read_model(file, str(path)), version
    except (OSError, ValueError) as error:  # a null character in the name
        raise UnreadableModel(f"{path}: {getattr(error, 'strerror', None) or error}") from error


def read_model(file: BinaryIO, label: str) -> bytes:
    """The bytes of a stream that may be a model; of one that is none its head, which says what it is. Raises UnreadableModel, and OSError."""
    head = file.read(HEAD)
    if head and not _may_be_protobuf(head):
        return head  # the rest of a large file would say no more
    raw = _rest(head, file)
    if len(raw) > LARGEST_MESSAGE:
        raise UnreadableModel(f"{label}: larger than a protobuf may be (2 GB)")
    return raw


def _rest(head: bytes, file: BinaryIO) -> bytes:
    """All bytes, or more than a protobuf may have; read piece by piece, for memory is taken for what is asked, there or not."""
    pieces, size = [head], len(head)
    while size <= LARGEST_MESSAGE and (piece := file.read(MAPPED_FROM)):
        pieces.append(piece)
        size += len(piece)
    return b"".join(pieces)


def _may_be_protobuf(head: bytes) -> bool:
    """Whether the first key is one: a field number and a wire type that exist."""
    from initaudit.model.outline import WIRE_TYPES

    return head[0] & 7 in WIRE_TYPES and (head[0] >> 3 > 0 or head[0] >= 0x80)


def _parse(raw: bytes, label: str) -> ModelProto:
    from google.protobuf.message import DecodeError
    from onnx import ModelProto

    from initaudit.model.nesting import DEEPEST, is_nested_too_deep

    reason = _foreign(raw)
    if reason:
        raise UnreadableModel(f"{label}: {reason}")
    proto = ModelProto()
    try:
        proto.ParseFromString(raw)
    except (DecodeError, ValueError, RecursionError) as error:
        if is_nested_too_deep(raw):
            raise UnreadableModel(
                f"{label}: graphs are nested deeper than protobuf reads ({DEEPEST} messages in messages)"
            ) from error
        detail = "looks like text" if _is_text(raw) else "truncated or damaged protobuf"
        raise UnreadableModel(f"{label}: not an ONNX model: {detail}") from error
    _check_graph(proto, label)
    return proto


def _check_graph(proto: ModelProto, label: str) -> None:
    """Other messages parse as a model, too: unknown fields are passed over."""
    if not proto.HasField("graph") or not (proto.graph.node or proto.graph.initializer or proto.graph.output):
        raise UnreadableModel(f"{label}: not an ONNX model: it holds no graph")


def _foreign(raw: bytes) -> str | None:
    """Why these bytes are certainly something else, or None."""
    if not raw:
        return "the file is empty"
    if raw.startswith(b"version https://git-lfs"):
        return "a Git LFS pointer, not the model itself; run `git lfs pull`"
    if raw[:2] == b"\x1f\x8b":
        return "gzip-compressed; decompress it first"
    if raw[:4] == b"PK\x03\x04":
        return "a zip archive (a PyTorch checkpoint?), not ONNX"
    if raw[4:8] == b"ORTM":
        return "ONNX Runtime's own .ort format, not ONNX; audit the .onnx file it was made from"
    if raw[4:8] == b"TFL3":
        return "a TensorFlow Lite model, not ONNX"
    return None


def _is_text(raw: bytes) -> bool:
    head = raw[:4096]
    return b"\0" not in head and sum(b >= 32 or b in (9, 10, 13) for b in head) > 0.95 * len(head)


def _as_proto(source: Any) -> ModelProto:
    from onnx import ModelProto

    if isinstance(source, ModelProto):
        return source
    if type(source).__module__.split(".")[0] == "onnx_ir":
        import onnx_ir

        proto = onnx_ir.to_proto(source)
        if isinstance(proto, ModelProto):
            return proto
    raise UnreadableModel(f"<memory>: cannot audit an object of type {type(source).__name__}")
