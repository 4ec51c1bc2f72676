"""FixOptions: what to change in a model, and how."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from initaudit.errors import UsageError, similar
from initaudit.initialisation.schemes import SCHEMES
from initaudit.options import read_flag, read_text, read_words
from initaudit.redrawing.choice import MODES, Recipe


@dataclass(frozen=True, slots=True, kw_only=True)
class FixOptions(Recipe):
    """What to change and how."""

    layers: tuple[str, ...] = ()
    """Names, titles or globs over them; only these layers are changed."""
    every: bool = False
    """Change every layer that has a target, flagged or not."""
    select: tuple[str, ...] = ()
    """Only what these rules name."""
    force: bool = False
    """Also change layers that were trained."""
    dry_run: bool = False
    """Write nothing."""
    keep_going: bool = False
    """Write the model also where it would still fail."""

    def __post_init__(self) -> None:
        """Raises UsageError; what may be written as text is read."""
        for name, read in _READERS.items():
            try:
                object.__setattr__(self, name, read(getattr(self, name)))
            except UsageError as error:
                raise UsageError(f"option {name.replace('_', '-')!r}: {error}") from error
        if self.scheme != "auto" and self.scheme not in SCHEMES:
            known = ("auto", *sorted(SCHEMES))
            raise UsageError(
                f"unknown scheme {self.scheme!r}{similar(self.scheme, known)}; there are {', '.join(known)}"
            )
        if self.mode not in MODES:
            raise UsageError(f"mode must be one of {', '.join(MODES)}, not {self.mode!r}")


def _read_globs(value: Any) -> tuple[str, ...]:
    """Of a text, which is one: names of layers may hold commas; or of a list."""
    if not isinstance(value, Iterable) or isinstance(value, Mapping):
        raise UsageError(f"{value!r} is no list of names")
    return (value,) if isinstance(value, str) else tuple(map(read_text, value))


_READERS: dict[str, Callable[[Any], Any]] = {
    "scheme": read_text,
    "mode": read_text,
    "layers": _read_globs,
    "every": read_flag,
    "select": read_words,
    "force": read_flag,
    "dry_run": read_flag,
    "keep_going": read_flag,
}
"""How the value of each option is read."""
