"""Which layers do not start as recommended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from initaudit.redrawing.choice import Recipe
from initaudit.redrawing.draw import new_bias

if TYPE_CHECKING:
    from initaudit.measuring.layer_audit import LayerAudit

FITS = 1.25
"""Factor in std within which a layer counts as drawn as recommended. A judgement: Xavier's and He's, which are told apart, differ by 1.41."""
ADDED_FITS = 1.5
"""The same at the end of a residual branch, which is added to what bypasses it. Twelve layers at 1.4 of their target make 1 % of steps in a ResNet-18
with He's weights throughout."""


def is_misfit(layer: LayerAudit) -> bool:
    """Neither a deliberate zero nor within FITS of its target with a constant bias of zero."""
    facts, ratio = layer.layer, layer.ratio
    if not facts.kind.is_mixing or facts.untrainable is not None or ratio is None or layer.target is None:
        return False
    if layer.target.of_chain:
        return False
    if ratio == 0 or (facts.gives_offsets and ratio < 1):
        return not (facts.is_head or facts.ends_residual_branch or facts.gives_offsets)
    fits = ADDED_FITS if facts.ends_residual_branch else FITS
    return not 1 / fits <= ratio <= fits or _has_wild_bias(layer)


def _has_wild_bias(layer: LayerAudit) -> bool:
    """Whether the bias is neither zero nor what a new draw would make it."""
    bias, new = layer.bias, new_bias(layer, Recipe())
    if bias is None or new is None or bias.nonfinite:
        return False
    return bias.std > 0 or bias.mean not in (0.0, new)
