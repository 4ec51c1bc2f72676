"""Mutations of the bytes: blind ones, and of the fields as protobuf lays them out, which no message in memory can hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

from initaudit.model.outline import LENGTH_DELIMITED, MalformedError, fields
from tests.fuzz.mutation.values import changed_bytes

if TYPE_CHECKING:
    import random

NO_TEXT = (b"\xff\xfe", b"\xed\xa0\x80", b"\xc0\xaf", b"\xf4\x90\x80\x80", b"\x80")
"""What UTF-8 never holds: no lead byte, a surrogate, an overlong slash, beyond the last character, a lonely continuation."""


def mutate_bytes(raw: bytes, rng: random.Random) -> bytes:
    """Without a look at what they mean; cut off; or with bytes behind."""
    match rng.randrange(6):
        case 0:
            return raw[: rng.randrange(len(raw) + 1)]
        case 1:
            return raw + rng.randbytes(rng.randrange(1, 40))
        case 2:
            return raw + raw  # messages that are joined are merged
        case _:
            return changed_bytes(raw, rng)


def mutate_wire(raw: bytes, rng: random.Random) -> bytes:
    """One field, somewhere deep: its text no UTF-8, itself repeated, gone, empty, of another number or type, or its length a lie."""
    place = _place(raw, rng)
    if place is None:
        return mutate_bytes(raw, rng)
    begin, start, stop = place
    if rng.random() < 0.15:  # the messages around it keep their lengths, which are then wrong
        return raw[:begin] + changed_bytes(raw[begin:stop], rng) + raw[stop:]
    key, content = raw[begin:start], raw[start:stop]
    match rng.randrange(6):
        case 0 if content:
            bad = rng.choice(NO_TEXT)[: len(content)]
            at = rng.randrange(len(content) - len(bad) + 1)
            return raw[: start + at] + bad + raw[start + at + len(bad) :]
        case 1:
            return _spliced(raw, begin, stop, (key + content) * rng.choice((2, 3, 50)))
        case 2:
            return _spliced(raw, begin, stop, b"")
        case 3:
            return _spliced(
                raw, begin, stop, bytes([raw[begin] & 0xF8 | rng.choice((0, 1, 2, 3, 5, 7))]) + raw[begin + 1 : stop]
            )
        case 4:
            return _spliced(
                raw, begin, stop, bytes([rng.randrange(1, 30) << 3 & 0xFF | raw[begin] & 7]) + raw[begin + 1 : stop]
            )
        case _:
            inner = changed_bytes(content, rng) if rng.random() < 0.5 else rng.randbytes(len(content))
            return _spliced(raw, begin, stop, raw[begin : begin + 1] + varint(len(inner)) + inner)


def varint(number: int) -> bytes:
    """As protobuf writes whole numbers."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _place(raw: bytes, rng: random.Random) -> tuple[int, int, int] | None:
    """Where a field begins, where its content starts and stops; deeper with every coin that falls so."""
    start, stop, found = 0, len(raw), None
    while True:
        try:
            inside = [(b, s, e) for _, b, s, e in fields(raw, start, stop) if raw[b] & 7 == LENGTH_DELIMITED]
        except MalformedError:
            return found
        if not inside:
            return found
        found = rng.choice(inside)
        if rng.random() < 0.3:
            return found
        _, start, stop = found


def _spliced(raw: bytes, begin: int, stop: int, new: bytes) -> bytes:
    """With `new` in the place of a field, and the lengths of all messages around it mended."""
    around = []
    start, end = 0, len(raw)
    while True:
        inner = next(((b, s, e) for _, b, s, e in fields(raw, start, end) if b <= begin and e >= stop), None)
        if inner is None or inner[0] == begin:
            break
        around.append(inner)
        _, start, end = inner
    head, tail = raw[:begin], raw[stop:]
    body = new
    for outer_begin, outer_start, outer_stop in reversed(around):
        content = raw[outer_start:begin] + body + raw[stop:outer_stop]
        key = raw[outer_begin : outer_begin + 1]
        begin, stop, body = outer_begin, outer_stop, key + varint(len(content)) + content
        head, tail = raw[:begin], raw[stop:]
    return head + body + tail
