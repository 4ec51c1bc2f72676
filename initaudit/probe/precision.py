"""Precision: how sure the backward probe has to be before it stops drawing."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Precision:
    """Where drawing ends."""

    error: float
    """Relative standard error of a layer's gradient."""
    weight_error: float
    """The same of its weight gradient."""
    draws: int
    """Passes at most, each on one input."""
    is_exact: bool
    """Whether the figures are to be those of the batch: its inputs are no sample then, and the passes may take what the time limit leaves."""


USUAL = Precision(error=0.08, weight_error=0.1, draws=32, is_exact=False)
"""For a judgement on logarithmic scales: no verdict turns on a tenth, and weight gradients are summed over layers."""
EXACT = Precision(error=0.02, weight_error=0.02, draws=2048, is_exact=True)
"""For figures to be compared: a network with a single output takes 1,250 perturbations of each layer, sqrt(2 / 1250) / 2 = 0.02."""


def precision_of(*, exact: bool) -> Precision:
    """The one that was asked for."""
    return EXACT if exact else USUAL
