"""A few mutations of a file, and what they were."""

from __future__ import annotations

from typing import TYPE_CHECKING

from google.protobuf.message import DecodeError
from onnx import ModelProto

from tests.fuzz.mutation.attributes import mutate_attributes
from tests.fuzz.mutation.graph import mutate_graph
from tests.fuzz.mutation.message import mutate_field
from tests.fuzz.mutation.parts import mutate_parts
from tests.fuzz.mutation.splice import splice
from tests.fuzz.mutation.tensors import mutate_tensors
from tests.fuzz.mutation.wire import mutate_bytes, mutate_wire

if TYPE_CHECKING:
    import random

KINDS = {"bytes": 3, "wire": 7, "field": 20, "graph": 30, "tensors": 15, "parts": 15, "splice": 8, "attributes": 15}
"""How often each is taken, of their sum. A judgement: what leaves most files readable reaches furthest."""


def mutated(raw: bytes, other: bytes, rng: random.Random) -> tuple[bytes, str]:
    """Another file a few mutations away from this one, and their kinds; `other` is what may be mixed in."""
    count = rng.choice((1, 1, 1, 1, 1, 2, 2, 3, 5))
    kinds = rng.choices(list(KINDS), list(KINDS.values()), k=count)
    for kind in kinds:
        raw = _mutated(raw, other, kind, rng)
    return raw, "+".join(sorted(set(kinds)))


def _mutated(raw: bytes, other: bytes, kind: str, rng: random.Random) -> bytes:
    model = parsed(raw) if kind not in ("bytes", "wire") else None
    if model is None:
        return mutate_wire(raw, rng) if kind == "wire" else mutate_bytes(raw, rng)
    try:
        if kind == "splice":
            splice(model, parsed(other) or ModelProto(), rng)
        elif kind == "attributes":
            if model.graph.node:
                mutate_attributes(rng.choice(model.graph.node), rng)
        else:
            {"field": mutate_field, "graph": mutate_graph, "tensors": mutate_tensors, "parts": mutate_parts}[kind](
                model, rng
            )
        return model.SerializeToString()
    except (UnicodeError, TypeError, ValueError, DecodeError):  # a text that an earlier mutation made no text of
        return mutate_wire(raw, rng)


def parsed(raw: bytes) -> ModelProto | None:
    """The message, or None where the bytes are none."""
    model = ModelProto()
    try:
        model.ParseFromString(raw)
    except (DecodeError, ValueError, RecursionError):
        return None
    return model
