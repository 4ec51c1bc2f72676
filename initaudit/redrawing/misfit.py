"""Which layers do not start as recommended."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from initaudit.measuring.layer_audit import LayerAudit

FITS = 1.1
"""Factor in std within which a layer counts as drawn as recommended."""


def is_misfit(layer: LayerAudit) -> bool:
    """Neither a deliberate zero nor within FITS of its target with a constant bias of zero."""
    facts, ratio = layer.layer, layer.ratio
    if not facts.kind.is_mixing or facts.untrainable is not None or ratio is None:
        return False
    if ratio == 0:
        return not (facts.is_head or facts.ends_residual_branch)
    wild_bias = layer.bias is not None and not layer.bias.nonfinite and (layer.bias.std > 0 or layer.bias.mean != 0)
    return not 1 / FITS <= ratio <= FITS or wild_bias
