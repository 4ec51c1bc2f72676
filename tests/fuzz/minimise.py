"""The smallest file that ends as a given one: first without parts of the message, then without bytes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

from onnx import ModelProto

from tests.fuzz.mutation.message import is_repeated
from tests.fuzz.mutation.mutate import parsed

Step = Callable[[], None]


def smallest(raw: bytes, same: Callable[[bytes], bool], *, seconds: float = 60.0) -> bytes:
    """A file without every part that it ends in the same way without, as far as the time allows.

    Args:
        raw: the file.
        same: whether another file ends in the same way.
        seconds: how long to try.
    """
    ends = time.monotonic() + seconds
    return _fewer_bytes(_fewer_parts(raw, same, ends), same, ends)


def _fewer_parts(raw: bytes, same: Callable[[bytes], bool], ends: float) -> bytes:
    model = parsed(raw)
    if model is None or not same(model.SerializeToString()):
        return raw
    again = True
    while again:
        again = False
        position = 0
        while time.monotonic() < ends:
            copy = ModelProto()
            copy.CopyFrom(model)
            step = next((s for at, s in enumerate(_steps(copy)) if at == position), None)
            if step is None:
                break
            step()
            if same(copy.SerializeToString()):
                model, again = copy, True  # what follows has moved up
            else:
                position += 1
    return model.SerializeToString()


def _steps(message: Any) -> Iterator[Step]:
    """Ways to make a message smaller, large ones first: half of a list, one of its elements, a field; then those of its parts."""
    present = list(message.ListFields())
    for field, held in present:
        if is_repeated(field):
            size = len(held) // 2
            while size:
                yield from (
                    lambda h=held, a=at, s=size: h.__delitem__(slice(a, a + s)) for at in range(0, len(held), size)
                )
                size //= 2
            if len(held) == 1:
                yield lambda h=held: h.__delitem__(slice(0, 1))
        else:
            yield lambda m=message, n=field.name: m.ClearField(n)
            if field.type in (field.TYPE_STRING, field.TYPE_BYTES) and len(held) > 1:
                yield lambda m=message, n=field.name, h=held: setattr(m, n, h[: len(h) // 2])
    for field, held in present:
        if field.type == field.TYPE_MESSAGE:
            for inner in held if is_repeated(field) else [held]:
                yield from _steps(inner)


def _fewer_bytes(raw: bytes, same: Callable[[bytes], bool], ends: float) -> bytes:
    size = len(raw) // 2
    while size and time.monotonic() < ends:
        at = 0
        while at < len(raw) and time.monotonic() < ends:
            shorter = raw[:at] + raw[at + size :]
            if same(shorter):
                raw = shorter
            else:
                at += size
        size //= 2
    return raw
