"""Which initialisations are compared: names, and what the tutorials show."""

from __future__ import annotations

from typing import TYPE_CHECKING

from initaudit.errors import UsageError
from initaudit.initialisation.spelling import read_schemes

if TYPE_CHECKING:
    from collections.abc import Iterable

AS_IS = "as-is"
"""The network as the file holds it."""
AUTO = "auto"
"""What `initaudit fix` would write."""

DEFAULT = (
    AS_IS,
    AUTO,
    "xavier_uniform",
    "xavier_normal",
    "he_uniform",
    "he_normal",
    "lecun_normal",
    "orthogonal",
    "uniform:0.1",
    "normal:0.01",
    "normal:0.1",
    "normal:1",
    "zeros",
    "constant:0.1",
)
"""The recommended ones, then the naive ones of the tutorials, then those that leave all units alike."""


def read_starts(texts: Iterable[str]) -> tuple[str, ...]:
    """Checked schemes, each once. A text may name several with commas between, of which those with numbers keep their own commas.

    Raises UsageError, with the nearest name.
    """
    found: list[str] = []
    for text in map(str, texts):
        words = [word.strip() for word in text.split(",") if word.strip()]
        while words:
            taken, words = _one(words)
            found.append(taken)
    if not found:
        raise UsageError("no scheme is given to compare")
    return tuple(dict.fromkeys(found))


def _one(words: list[str]) -> tuple[str, list[str]]:
    """The longest beginning of the words that is one scheme, and the rest."""
    failure: UsageError | None = None
    longest = len(words) if ":" in words[0] else 1  # only numbers behind a colon hold commas
    for count in range(longest, 0, -1):
        text = ",".join(words[:count])
        if text in (AS_IS, AUTO):
            return text, words[count:]
        try:
            read_schemes(text)
        except UsageError as error:
            failure = error
        else:
            return text, words[count:]
    assert failure is not None
    raise failure
