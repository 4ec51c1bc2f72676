"""Single values that a mutation puts in the place of others, and operators to choose from."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import onnx

from initaudit.extraction.find import operators
from initaudit.model.operators import TABLE

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

NUMBERS = (0, 1, -1, 2, 3, 4, 7, 8, 255, 1 << 16, 1 << 24, (1 << 31) - 1, -(1 << 31), 1 << 40, 1 << 62, -(1 << 62))
"""Ends of ranges, and what small models count in."""
REALS = (0.0, -0.0, 0.5, -1.0, 1.0, 1e-40, 1e30, -1e38, float("inf"), float("-inf"), float("nan"))
TEXTS = (
    *("", "x", "y", "w", "0", "N", "main", "a.b.weight", "/l/0/MatMul", "onnx::MatMul_7", "bias", "running_mean"),
    *(
        "a\nb",
        "a\rb",
        "::error::x",
        "##vso[task.complete]",
        "##[group]",
        "=1+1",
        "@a",
        "<script>",
        "\u202e",
        "\x1b[31m",
    ),
    *(
        "../x",
        "/etc/hostname",
        "data.bin",
        "beside.bin",
        "z" * 300,
        "a/" * 150,
        "\0",
        "\u2028",
        "é",
        "0" * 80,
        "." * 80,
    ),
    *("'" * 40, "_" * 80 + "!", "a1" * 40, "[0:4]", "w" * 70 + ".", "aten::", "layer.0." * 30, "%s", "{0}"),
)
"""Names that are usual, of another kind, orders to a terminal or a CI system, paths, and long repetitions that patterns may step back over."""


def value(field: Any, old: Any, rng: random.Random) -> Any:
    """Another value of a field that is no message."""
    if field.type == field.TYPE_STRING:
        return rng.choice(operator_names())[1] if field.name == "op_type" else rng.choice((*TEXTS, f"{old or ''}x"))
    if field.type == field.TYPE_BYTES:
        return changed_bytes(bytes(old or b"x"), rng) if rng.random() < 0.7 else b""
    if field.type in (field.TYPE_FLOAT, field.TYPE_DOUBLE):
        return rng.choice(REALS)
    if field.type == field.TYPE_ENUM:
        return rng.choice([v.number for v in field.enum_type.values])
    return _number(field, int(old or 0), rng)


def _number(field: Any, old: int, rng: random.Random) -> int:
    unsigned = field.type in (field.TYPE_UINT64, field.TYPE_UINT32)
    short = field.type in (field.TYPE_INT32, field.TYPE_UINT32)
    low = 0 if unsigned else -(1 << 31) if short else -(1 << 63)
    high = (1 << 31) - 1 if short else (1 << 63) - 1
    return min(high, max(low, rng.choice((*NUMBERS, old + 1, old - 1, -old, 2 * old))))


def changed_bytes(raw: bytes, rng: random.Random) -> bytes:
    """A few bytes changed, taken out, put in or repeated."""
    changed = bytearray(raw)
    for _ in range(rng.choice((1, 2, 4, 16))):
        at = rng.randrange(len(changed)) if changed else 0
        steps: list[Callable[[], Any]] = [
            lambda at=at: changed.__setitem__(slice(at, at), rng.randbytes(rng.randrange(1, 9)))
        ]
        if changed:
            steps += [
                lambda at=at: changed.__setitem__(at, rng.randrange(256)),
                lambda at=at: changed.__delitem__(slice(at, at + rng.randrange(1, 9))),
                lambda at=at: changed.__setitem__(at, changed[at] ^ 1 << rng.randrange(8)),
                lambda at=at: changed.__setitem__(slice(at, at), changed[at // 2 : at // 2 + rng.randrange(1, 65)]),
            ]
        rng.choice(steps)()
    return bytes(changed)


@cache
def operator_names() -> tuple[tuple[str, str], ...]:
    """Domain and name of every operator that ONNX defines or initaudit knows."""
    known = {(schema.domain, schema.name) for schema in onnx.defs.get_all_schemas()}
    for key in (*TABLE, *operators()):
        domain, _, name = key.rpartition(":")
        known.add((domain, name))
    return tuple(sorted(known))


def operator(rng: random.Random) -> tuple[str, str]:
    """Any operator, those of which initaudit knows something more often."""
    if rng.random() < 0.5:
        domain, _, name = rng.choice(sorted({*TABLE, *operators()})).rpartition(":")
        return domain, name
    return rng.choice(operator_names())
