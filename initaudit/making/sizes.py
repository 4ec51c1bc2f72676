"""How the sizes of a network are written: `784,100x5,10`."""

from __future__ import annotations

from dataclasses import dataclass

from initaudit.errors import UsageError

DEEPEST = 1000
"""Layers or blocks of one network. A judgement: deeper ones teach nothing more, and take minutes to write and to measure."""


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


def read_sizes(text: str, form: str) -> Sizes:
    """The sizes that are written so; a width without a number of layers counts once.

    Args:
        text: numbers with commas and `x` between.
        form: what is expected, for messages; how many numbers its first part has, and whether it has more than three parts, is demanded of the text.

    Raises:
        UsageError: it is written otherwise, and how it should be.
    """
    groups = [_numbers(group, text, form) for group in text.lower().split(",")]
    parts = form.split(",")
    fits = len(groups[0]) == parts[0].count("x") + 1 and len(groups[-1]) == 1
    fits = fits and all(len(group) <= 2 for group in groups[1:-1])
    if not fits or not (len(groups) == len(parts) or (len(groups) > 1 and "..." in parts)):
        raise _wrong(text, form)
    middle = tuple((group[0], group[1] if len(group) == 2 else 1) for group in groups[1:-1])
    if sum(count for _, count in middle) > DEEPEST:
        raise UsageError(f"{text!r} has more than {DEEPEST} layers")
    return Sizes(tuple(groups[0]), middle, groups[-1][0])


def _numbers(group: str, text: str, form: str) -> list[int]:
    words = [word.strip() for word in group.split("x")]
    if not all(word.isascii() and word.isdigit() and len(word) < 10 and int(word) > 0 for word in words):
        raise _wrong(text, form)
    return [int(word) for word in words]


def _wrong(text: str, form: str) -> UsageError:
    return UsageError(f"{text!r} are no sizes of such a network; they are written {form}")
