"""What follows a layer: bias, normalisation, activation, and what the output meets first."""

from __future__ import annotations

from initaudit.activations.branches import values_in_branches
from initaudit.activations.following import Following, follow

__all__ = ["Following", "follow", "values_in_branches"]
