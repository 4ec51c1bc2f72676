"""FixOptions: what to change in a model, and how."""

from __future__ import annotations

from dataclasses import dataclass

from initaudit.errors import UsageError
from initaudit.initialisation.schemes import SCHEMES
from initaudit.redrawing.choice import Recipe

MODES = ("resample", "rescale")


@dataclass(frozen=True, slots=True, kw_only=True)
class FixOptions(Recipe):
    """What to change and how."""

    layers: tuple[str, ...] = ()
    """Globs over names and titles; only these layers are changed."""
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
            raise UsageError(f"unknown scheme {self.scheme!r}; there are auto, {', '.join(sorted(SCHEMES))}")
        if self.mode not in MODES:
            raise UsageError(f"mode must be one of {', '.join(MODES)}, not {self.mode!r}")
