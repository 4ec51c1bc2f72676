"""Networks whose chain was shaped as a whole: their layers are at their target, though it is not that of a layer alone."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from initaudit.redrawing.chain import links

if TYPE_CHECKING:
    from collections.abc import Sequence

    from initaudit.measuring.layer_audit import LayerAudit
    from initaudit.redrawing.chain import Link

SAME = 0.02
"""Relative difference in std within which a layer is as the chain asks: rounding to bfloat16 makes 0.4 %."""
MOST = 0.9
"""Share of the layers of a chain that must be; the others may have been drawn again."""
SCHEME = "orthogonal"


def with_shapes(layers: Sequence[LayerAudit]) -> tuple[LayerAudit, ...]:
    """The layers, with a target of their own those of a chain that is shaped as a whole.

    It is recognised by its values: orthogonal (or centred) weights of just the std that the mean-field theory of the whole chain gives each of them.
    """
    drawn = [a for a in layers if a.layer.kind.is_mixing and a.target is not None]
    if not drawn or 2 * sum(_is_orthogonal(a) for a in drawn) < len(drawn):
        return tuple(layers)
    chain = links(layers)
    fitting = {id(link.audit): link for link in chain if _fits(link)}
    if not chain or len(fitting) < MOST * len(chain):
        return tuple(layers)
    return tuple(_at_target(a, fitting[id(a)]) if id(a) in fitting else a for a in layers)


def _is_orthogonal(audit: LayerAudit) -> bool:
    return audit.provenance is not None and audit.provenance.distribution == "orthogonal"


def _fits(link: Link) -> bool:
    """Whether the layer has the std, or being the head at most the std, that the chain gives it."""
    ratio = link.audit.stats.std / link.std
    return 1.0 - SAME <= ratio <= 1.0 + SAME or (link.audit.layer.is_head and 0.0 < ratio < 1.0)


def _at_target(audit: LayerAudit, link: Link) -> LayerAudit:
    assert audit.target is not None
    std = audit.stats.std
    shape = link.shape
    why = (
        f"It is one of a chain that was shaped as a whole: orthogonal, so that the pre-activation has mean {shape.shift:.3g} and std {shape.spread:.3g} "
        f"for an input of mean {link.arriving.mean:.3g} and variance {link.arriving.variance:.3g}: std = {std:.3g}."
    )
    target = replace(
        audit.target, scheme=SCHEME, std=std, gain=std * math.sqrt(audit.layer.fan_in), why=why, of_chain=True
    )
    return replace(audit, target=target)
