"""Siblings: the layers of the same module, by the paths that a person gave them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")


def siblings_of(title: str, named: Sequence[tuple[str, T]]) -> list[T]:
    """What else bears a path in the nearest module around `title` that holds more than this one layer.

    Of `blocks.0.attn.q` these are `blocks.0.attn`, then `blocks.0`; a module that is the whole network is none.
    """
    for module in _modules(title):
        inside = [other for path, other in named if path != title and path.startswith(f"{module}.")]
        if inside:
            return inside
    return []


def _modules(title: str) -> Iterator[str]:
    """The path of the parent, then up to the last number in it: the block of a stack."""
    parts = title.partition("[")[0].split(".")[:-1]
    if not parts:
        return
    yield ".".join(parts)
    numbers = [i for i, part in enumerate(parts[:-1]) if part.isdigit()]
    if numbers:
        yield ".".join(parts[: numbers[-1] + 1])
