"""Histogram: counts of weights, or of what goes through a layer."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Histogram:
    """Counts of the sampled finite values in equal bins over [low, high]."""

    low: float
    high: float
    counts: tuple[int, ...]
