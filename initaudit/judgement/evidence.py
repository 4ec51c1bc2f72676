"""A piece of evidence for a layer that still is as it was drawn."""

from __future__ import annotations

import math
from typing import NamedTuple


class Piece(NamedTuple):
    """One piece of evidence: ln P(seen | untrained) - ln P(seen | trained), in nats, and what it says."""

    nats: float = 0.0
    words: str = ""

    @classmethod
    def of(cls, untrained: float, trained: float, words: str = "") -> Piece:
        """From how often the same is seen of untrained, and of trained, layers."""
        return cls(math.log(untrained / trained), words)
