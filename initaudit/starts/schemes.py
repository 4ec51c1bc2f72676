"""Which initialisations are compared: names, and what the tutorials show."""

from __future__ import annotations

from collections.abc import Iterable

from initaudit.errors import UsageError
from initaudit.initialisation.spelling import BY_INPUTS, read_schemes, scheme_of
from initaudit.options import read_text

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
    """Checked schemes, each once, whichever of its names it has. A text may name several with commas between, of which those with numbers keep their own commas.

    Raises UsageError, with the nearest name.
    """
    if not isinstance(texts, Iterable):
        raise UsageError(f"schemes: {texts!r} is no list of texts")
    found: list[str] = []
    for text in map(read_text, texts):
        words = [word.strip() for word in text.split(",") if word.strip()]
        while words:
            taken, words = _one(words)
            found.append(taken)
    if not found:
        raise UsageError("no scheme is given to compare")
    each: dict[object, str] = {}
    for text in found:
        each.setdefault(_meaning(text), text)
    return tuple(each.values())


def _meaning(text: str) -> object:
    """What two ways to write one start have in common."""
    if text in (AS_IS, AUTO):
        return text
    parts = [part.rpartition("=") for part in read_schemes(text)]
    return tuple((glob.strip(), _law(scheme.strip())) for glob, _, scheme in parts)


def _law(scheme: str) -> object:
    if scheme in (AUTO, *BY_INPUTS):
        return scheme
    law = scheme_of(scheme)
    return law.name, law.distribution, law.factor


def _one(words: list[str]) -> tuple[str, list[str]]:
    """The longest beginning of the words that is one scheme, and the rest."""
    failure: UsageError | None = None
    longest = len(words) if ":" in words[0] else 1  # only numbers behind a colon hold commas
    for count in range(longest, 0, -1):
        text = ",".join(words[:count])
        if text.lower() in (AS_IS, AUTO):
            return text.lower(), words[count:]
        if AS_IS in text.lower().split():
            raise UsageError(
                f"{text!r}: {AS_IS} is the network as the file holds it, and stands alone; --exclude keeps layers as they are"
            )
        try:
            read_schemes(text)
        except UsageError as error:
            failure = error
        else:
            return text, words[count:]
    assert failure is not None
    raise failure
