"""FixOptions: what to change in a model, and how."""

from __future__ import annotations

from dataclasses import dataclass

from initaudit.errors import UsageError, similar
from initaudit.initialisation.schemes import SCHEMES
from initaudit.redrawing.choice import Recipe

MODES = ("resample", "rescale")


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

    def __post_init__(self) -> None:
        """Raises UsageError."""
        if self.scheme != "auto" and self.scheme not in SCHEMES:
            known = ("auto", *sorted(SCHEMES))
            raise UsageError(
                f"unknown scheme {self.scheme!r}{similar(self.scheme, known)}; there are {', '.join(known)}"
            )
        if self.mode not in MODES:
            raise UsageError(f"mode must be one of {', '.join(MODES)}, not {self.mode!r}")
