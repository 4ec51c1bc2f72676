"""Mutations of any message, field by field, without knowing what it means."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.fuzz.mutation.values import value

if TYPE_CHECKING:
    import random

MANY = 300
"""Copies of one element at most."""


def mutate_field(message: Any, rng: random.Random) -> None:
    """Go down to a random field of a random message in it, and change that."""
    while True:
        present = [f for f, _ in message.ListFields()]
        inside = [f for f in present if f.type == f.TYPE_MESSAGE]
        if not inside or rng.random() < 0.15:
            break
        field = rng.choice(inside)
        held = getattr(message, field.name)
        if not is_repeated(field):
            message = held
        elif len(held):
            if rng.random() < 0.2:
                _mutate_list(held, rng)
                return
            message = rng.choice(held)
    fields = list(message.DESCRIPTOR.fields) if rng.random() < 0.3 else present
    if fields:
        _mutate(message, rng.choice(fields), rng)


def _mutate_list(held: Any, rng: random.Random) -> None:
    """Drop, repeat or exchange elements."""
    at = rng.randrange(len(held))
    match rng.randrange(4):
        case 0:
            del held[at]
        case 1:
            held.add().CopyFrom(held[at])
        case 2 if rng.random() < 0.2:
            for _ in range(rng.randrange(MANY)):
                held.add().CopyFrom(held[at])
        case _:
            other = rng.randrange(len(held))
            first = type(held[at])()
            first.CopyFrom(held[at])
            held[at].CopyFrom(held[other])
            held[other].CopyFrom(first)


def _mutate(message: Any, field: Any, rng: random.Random) -> None:
    if field.type == field.TYPE_MESSAGE:
        _mutate_message(message, field, rng)
    elif rng.random() < 0.2:
        message.ClearField(field.name)
    elif not is_repeated(field):
        setattr(message, field.name, value(field, getattr(message, field.name), rng))
    else:
        values = list(getattr(message, field.name))
        if values and rng.random() < 0.7:
            at = rng.randrange(len(values))
            values[at] = value(field, values[at], rng)
        else:
            values.insert(rng.randrange(len(values) + 1), value(field, values[0] if values else None, rng))
        del getattr(message, field.name)[:]
        getattr(message, field.name).extend(values)


def _mutate_message(message: Any, field: Any, rng: random.Random) -> None:
    """Clear it, or put one of another place, or an empty one, into it."""
    if rng.random() < 0.5:
        message.ClearField(field.name)
    elif is_repeated(field):
        getattr(message, field.name).add()
    else:
        getattr(message, field.name).SetInParent()


def is_repeated(field: Any) -> bool:
    """Whether a field holds a list: the newest protobuf says it in another way than those before."""
    return bool(field.is_repeated) if hasattr(field, "is_repeated") else field.label == field.LABEL_REPEATED
