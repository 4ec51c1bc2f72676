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
    return misfit(layer) is not None


def misfit(layer: LayerAudit) -> str | None:
    """The same in words, a sentence; None where it starts as recommended."""
    facts, ratio = layer.layer, layer.ratio
    if not facts.kind.is_mixing or facts.untrainable is not None or ratio is None or layer.target is None:
        return None
    if layer.target.of_chain:
        return None
    if ratio == 0 or (facts.gives_offsets and ratio < 1):
        deliberate = facts.is_head or facts.ends_residual_branch or facts.gives_offsets
        return None if deliberate else "All its weights are equal."
    fits = ADDED_FITS if facts.ends_residual_branch else FITS
    if not 1 / fits <= ratio <= fits:
        return f"Its std is {ratio:.3g} times the {layer.target.std:.3g} that fits."
    return "Its bias is not what a new layer starts with." if _has_wild_bias(layer) else None


def _has_wild_bias(layer: LayerAudit) -> bool:
    """Whether the bias is neither zero nor what a new draw would make it."""
    bias, new = layer.bias, new_bias(layer, Recipe())
    if bias is None or new is None or bias.nonfinite:
        return False
    return bias.std > 0 or bias.mean not in (0.0, new)
