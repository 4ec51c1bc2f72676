"""How the probe's parent and child talk: frames of a JSON header followed by raw blobs, over a pipe.

A frame is a magic number of 4 bytes, by which stray output is recognised as garbage; the length of the header in 8
bytes, little-endian; the header, JSON with the keys `kind`, `body` and `blobs` (a list of lengths); and the blobs, one
after the other.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass, field
from typing import Any, BinaryIO

MAGIC = b"IAP\x01"
MAX_HEADER = 1 << 30
"""A header is a plan or a report of a model; anything larger is garbage."""


class GarbledFrameError(Exception):
    """The bytes on the pipe are not a frame."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One message."""

    kind: str
    """`job` from the parent; `progress`, `partial`, `result`, `usage`, `error` or (when it can take another job) `ready` from the child."""
    body: Any
    """Whatever JSON holds; NaN and infinities included."""
    blobs: list[bytes] = field(default_factory=list)
    """Whoever has no more need of one takes it out: a model of some size is not held where it is read already."""


def write_frame(stream: BinaryIO, frame: Frame) -> None:
    """Write and flush one frame. Raises OSError where the other side is gone."""
    header = json.dumps({"kind": frame.kind, "body": frame.body, "blobs": [len(b) for b in frame.blobs]}).encode()
    stream.write(MAGIC + struct.pack("<Q", len(header)) + header)
    stream.writelines(frame.blobs)
    stream.flush()


def read_frame(stream: BinaryIO) -> Frame | None:
    """The next frame, or None at the end of the stream. Raises GarbledFrameError."""
    head = _exactly(stream, len(MAGIC) + 8)
    if not head:
        return None
    if len(head) < len(MAGIC) + 8 or not head.startswith(MAGIC):
        raise GarbledFrameError
    (length,) = struct.unpack("<Q", head[len(MAGIC) :])
    if length > MAX_HEADER:
        raise GarbledFrameError
    raw = _exactly(stream, length)
    try:
        header = json.loads(raw)
        blobs = [_exactly(stream, size) for size in header["blobs"]]
        frame = Frame(kind=header["kind"], body=header["body"], blobs=blobs)
    except (ValueError, LookupError, TypeError) as error:
        raise GarbledFrameError from error
    if [len(b) for b in blobs] != header["blobs"]:
        raise GarbledFrameError
    return frame


def _exactly(stream: BinaryIO, size: int) -> bytes:
    """`size` bytes, or fewer where the stream ends."""
    data = stream.read(size)
    return data or b""
