"""The bytes of a changed model as pieces: of the file that it came from wherever that says the same, and new ones where it does not.

Protobuf writes a message as a sequence of fields, each with its number and, where it is a message again, its length. Only the lists of a model and of its
graph are looked into, entry by entry; every other field, also one that this program does not know, is taken as it stands. So nothing is lost that is not
understood, weights are never held, and a model may be larger than a message that protobuf can write.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from onnx import (
    FunctionProto,
    ModelProto,
    NodeProto,
    SparseTensorProto,
    StringStringEntryProto,
    TensorProto,
    TrainingInfoProto,
    ValueInfoProto,
)

from initaudit.errors import FixRefused
from initaudit.model.outline import GRAPH, INITIALIZER, LENGTH_DELIMITED, RAW_DATA, fields, read_tensor
from initaudit.model.stored import clear_values

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
    from mmap import mmap

    Bytes: TypeAlias = bytes | mmap


@dataclass(frozen=True, slots=True)
class Range:
    """Bytes [start, stop) of the file that the model came from."""

    start: int
    stop: int


WITHIN = "its external data lies within the model file itself, where it would move"
"""Why a model is not written."""

Piece: TypeAlias = "bytes | np.ndarray | Range"
"""What is written next: bytes, the values of a tensor, or a part of the file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _List:
    """One repeated field whose entries are messages."""

    parse: Callable[[bytes], Any]
    key: Callable[[Any], Hashable]
    """What an entry is known by when others were added or removed before it."""


_LISTS_OF_MODEL: dict[int, tuple[str, _List]] = {
    14: ("metadata_props", _List(parse=StringStringEntryProto.FromString, key=lambda e: e.key)),
    20: ("training_info", _List(parse=TrainingInfoProto.FromString, key=lambda _: None)),
    25: ("functions", _List(parse=FunctionProto.FromString, key=lambda f: (f.domain, f.name, f.overload))),
}
_LISTS_OF_GRAPH: dict[int, tuple[str, _List]] = {
    1: ("node", _List(parse=NodeProto.FromString, key=lambda n: tuple(n.output) or n.name)),
    INITIALIZER: ("initializer", _List(parse=TensorProto.FromString, key=lambda t: t.name)),
    11: ("input", _List(parse=ValueInfoProto.FromString, key=lambda v: v.name)),
    13: ("value_info", _List(parse=ValueInfoProto.FromString, key=lambda v: v.name)),
    15: ("sparse_initializer", _List(parse=SparseTensorProto.FromString, key=lambda s: s.values.name)),
}
"""By field number, see onnx.proto: what a fix adds to, removes from or changes."""


def pieces_of(
    model: ModelProto, file: Bytes, changed: Mapping[int, np.ndarray], *, location: str | None
) -> list[Piece] | None:
    """What `model`, read from `file` and changed since, is to be written as; None where the file is laid out as nobody lays out models.

    Args:
        model: the message as it is now.
        file: all of the file.
        changed: new values, in the stored type, of initializers of the main graph by the id of the message.
        location: the name under which initializers of `model` refer to the file itself; None where they hold their values.
    """
    graphs = [(start, stop) for number, _, start, stop in fields(file, 0, len(file)) if number == GRAPH]
    if len(graphs) != 1:
        return None
    splice = _Splice(file=file, changed=changed, location=location)
    of_model = {number: (kind, getattr(model, name)) for number, (name, kind) in _LISTS_OF_MODEL.items()}
    of_graph = {number: (kind, getattr(model.graph, name)) for number, (name, kind) in _LISTS_OF_GRAPH.items()}
    inner = splice.message(*graphs[0], of_graph)
    return _joined(splice.message(0, len(file), of_model, inside={GRAPH: inner}))


def length_of(piece: Piece) -> int:
    """In bytes."""
    if isinstance(piece, Range):
        return piece.stop - piece.start
    return piece.nbytes if isinstance(piece, np.ndarray) else len(piece)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Splice:
    file: Bytes
    changed: Mapping[int, np.ndarray]
    location: str | None

    def message(
        self,
        start: int,
        stop: int,
        lists: Mapping[int, tuple[_List, Sequence[Any]]],
        inside: Mapping[int, list[Piece]] | None = None,
    ) -> list[Piece]:
        """The message that stands there, with these entries in its lists and these contents in its messages."""
        found = list(fields(self.file, start, stop))
        slots = {
            number: iter(self.entries(number, kind, [f[1:] for f in found if f[0] == number], edited))
            for number, (kind, edited) in lists.items()
        }
        pieces: list[Piece] = []
        for number, begin, _, end in found:
            if inside is not None and number in inside:
                pieces += _field(number, inside[number])
            elif number in slots:
                pieces += next(slots[number])
            else:
                pieces.append(Range(begin, end))
        for rest in slots.values():
            pieces += next(rest, [])
        return pieces

    def entries(
        self, number: int, kind: _List, places: Sequence[tuple[int, int, int]], edited: Sequence[Any]
    ) -> list[list[Piece]]:
        """What comes in the place of each entry of a list; where there was none, what the list becomes."""
        originals = [self.parsed(number, kind, start, stop) for _, start, stop in places]
        known = {key: index for index, key in enumerate(_numbered(kind.key(entry) for entry in originals))}
        slots: list[list[Piece]] = [[] for _ in range(max(1, len(places)))]
        at = 0
        for entry, key in zip(edited, _numbered(map(kind.key, edited)), strict=True):
            index = known.get(key)
            at = max(at, index or 0)
            if index is not None and id(entry) not in self.changed and _is_same(originals[index], entry):
                slots[at].append(Range(places[index][0], places[index][2]))
            else:
                slots[at] += _field(number, self.written(number, entry))
        return slots

    def parsed(self, number: int, kind: _List, start: int, stop: int) -> Any:
        """An entry as the model first held it."""
        if number != INITIALIZER or self.location is None:
            return kind.parse(self.file[start:stop])
        tensor = read_tensor(self.file, start, stop, self.location)
        place = self.inside(tensor)
        if place is not None and not start <= place.start <= place.stop <= stop:
            raise FixRefused(f"tensor {tensor.name!r:.100}: {WITHIN}")
        return tensor

    def written(self, number: int, entry: Any) -> list[Piece]:
        """An entry as it is now."""
        if number != INITIALIZER:
            return [entry.SerializeToString()]
        new = self.changed.get(id(entry))
        if new is not None:
            return [_without_values(entry), *_field(RAW_DATA, [new])]
        place = self.inside(entry)
        return [entry.SerializeToString()] if place is None else [_without_values(entry), *_field(RAW_DATA, [place])]

    def inside(self, tensor: TensorProto) -> Range | None:
        """Where in the file the values of a tensor stand that refers to them there."""
        if self.location is None or tensor.data_location != TensorProto.EXTERNAL:
            return None
        entries = {entry.key: entry.value for entry in tensor.external_data}
        if entries.get("location") != self.location:
            return None
        start = int(entries["offset"])
        return Range(start, start + int(entries["length"]))


def _numbered(keys: Iterable[Hashable]) -> list[tuple[Hashable, int]]:
    """Keys that occur more than once with which occurrence it is."""
    seen: Counter[Hashable] = Counter()
    numbered = []
    for key in keys:
        numbered.append((key, seen[key]))
        seen[key] += 1
    return numbered


def _is_same(original: Any, entry: Any) -> bool:
    """Also where a NaN stands in both, which is not equal to itself."""
    return original == entry or original.SerializeToString() == entry.SerializeToString()


def _without_values(tensor: TensorProto) -> bytes:
    bare = TensorProto()
    bare.CopyFrom(tensor)
    clear_values(bare)
    return bare.SerializeToString()


def _field(number: int, content: list[Piece]) -> list[Piece]:
    """A field that holds these pieces."""
    length = sum(map(length_of, content))
    return [_varint(number << 3 | LENGTH_DELIMITED) + _varint(length), *content]


def _varint(value: int) -> bytes:
    """As protobuf writes an integer: seven bits a byte, lowest first."""
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _joined(pieces: Iterable[Piece]) -> list[Piece]:
    """The same with neighbouring parts of the file as one."""
    joined: list[Piece] = []
    for piece in pieces:
        last = joined[-1] if joined else None
        if isinstance(piece, Range) and isinstance(last, Range) and last.stop == piece.start:
            joined[-1] = Range(last.start, piece.stop)
        else:
            joined.append(piece)
    return joined
