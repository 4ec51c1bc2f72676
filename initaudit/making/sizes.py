"""How the sizes of a network are written: `784,100x5,10`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from initaudit.errors import UsageError

if TYPE_CHECKING:
    from initaudit.making.architectures import Architecture

DEEPEST = 1000
"""Layers or blocks of one network. A judgement: deeper ones teach nothing more, and take minutes to write and to measure."""

DIGITS = 9
"""Of one number. A judgement: more are no size."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """What goes in, the hidden part, and what comes out."""

    first: tuple[int, ...]
    """Of one input."""
    middle: tuple[tuple[int, int], ...]
    """(width, how often) of each group of hidden layers."""
    last: int

    @property
    def widths(self) -> list[int]:
        """Of every hidden layer."""
        return [width for width, count in self.middle for _ in range(count)]


def read_sizes(text: str, kind: Architecture) -> Sizes:
    """The sizes that are written so; a width without a number of layers counts once.

    Raises UsageError where an architecture has no such sizes, and how they are written.
    """
    groups = [_numbers(group) for group in text.lower().split(",")]
    middle = groups[1:-1]
    fits = all(groups) and len(groups) > 1 and len(groups[0]) == kind.numbers and len(groups[-1]) == 1
    fits = fits and all(len(group) <= 2 for group in middle)
    if not fits or not kind.fewest <= len(middle) <= (kind.most or len(middle)):
        raise UsageError(f"{text!r} are no sizes of {kind.name}; they are written {kind.form}")
    counted = tuple((group[0], group[1] if len(group) == 2 else 1) for group in middle)
    if sum(count for _, count in counted) > DEEPEST:
        raise UsageError(f"{text!r} has more than {DEEPEST} layers")
    return Sizes(tuple(groups[0]), counted, groups[-1][0])


def _numbers(group: str) -> list[int]:
    """Those of a part, above zero; none where it holds anything else."""
    words = [word.strip() for word in group.split("x")]
    good = all(word.isascii() and word.isdigit() and len(word) <= DIGITS and int(word) > 0 for word in words)
    return [int(word) for word in words] if good else []
