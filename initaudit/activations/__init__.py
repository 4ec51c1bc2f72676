"""What follows a layer: bias, normalisation, activation, and what the output meets first."""

from __future__ import annotations

from initaudit.activations.following import Following, follow

__all__ = ["Following", "follow"]
