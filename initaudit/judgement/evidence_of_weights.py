"""What it says that the weights of a layer fit a law: how often those of trained layers do.

Trained weights fit one where training left their shape and their scale meets that of a law, or where it hardly moved them, which the other
layers of the network tell.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from initaudit.judgement.evidence import Piece
from initaudit.judgement.moved import PSEUDO_LAYERS
from initaudit.stats.law_fits import WIDENED

if TYPE_CHECKING:
    from initaudit.judgement.groups import Group
    from initaudit.judgement.moved import Moved

FITS: Final = 0.98
"""Share of the layers as drawn whose weights fit a law, from 48 values on (`benchmarks/provenance.py`)."""

BELLS: Final = ((192, 0.6), (384, 0.27), (768, 0.15), (4000, 0.08), (math.inf, 0.005))
"""Up to how many values which share of the trained layers keeps a bell shape at which laws are drawn, in networks of which training moved
most layers visibly (`benchmarks/untrained`). Aside are tables that start at N(0, 1) and, of the largest, layers beside others that fit as well."""
BELLS_OF_HEADS: Final = ((192, 0.2), (768, 0.1), (4000, 0.02), (math.inf, 0.005))
"""The same for heads, which get the largest gradients. The last two figures are a judgement: few of the heads are so large, and none fits."""
UNIFORMS: Final = ((96, 0.15), (192, 0.1), (768, 0.06), (math.inf, 0.01))
"""The same for uniform shapes, heads or not."""

UNCHANGED: Final = 0.5
"""Standard deviation from which trained layers keep the scale at which they start, as steps do not grow with it. A judgement: tables that start
at N(0, 1) keep it in `benchmarks/untrained`."""

UNEXPLAINED: Final = 1e-3
"""Share of the trained layers of which more than a few values have the shape of a law far from every usual scale, or unit by unit. A
judgement, of what `benchmarks/untrained` does not reach: short trainings, which leave the shape, leave the scale nearby."""
FEW: Final = 192
"""Values up to which shapes are told badly, whatever the scale. A judgement, after `stats.provenance.CERTAIN_SHARP`."""

CERTAIN_FIT: Final = 1e-4
"""Share of the trained layers below which no fit is less likely. A judgement: layers frozen for a reason, or tied to one that is."""

WIDER, NARROWER = (0.02, 0.03), (0.5, 0.05)
"""Share of the untrained, and of the trained, layers whose uniform law, at no published scale, is a little wider or is narrower
than a published one: training widens (`benchmarks/untrained`), and an author's own scale lies there by chance. The others are a judgement."""

GOODNESS: Final = (0.9, 0.5)
"""Exponents a of the density a p^(a-1) of the p-values of untrained, and of trained, layers whose shape fits, by their shares from p = 0.03
on, where nine tenths lie (`benchmarks/untrained`)."""
POOR_FIT: Final = 0.01
"""p-value of the shape below which one draw in two hundred lies, and a trained layer in eight (`benchmarks/untrained`)."""
FITS_POORLY: Final = (0.005, 0.13)
"""Those shares."""


def evidence_of_weights(group: Group, others: Moved) -> Piece:
    """A law fits the weights: by how much less often that happens to trained layers, in this network too."""
    if group.wide:
        return Piece.of(*WIDER, "but it is a little wider than a published law, as after a short training")
    by_chance = _share_that_fits(group) * math.exp(-_scale_nats(group, others))
    share = (PSEUDO_LAYERS * by_chance + others.fitting) / (PSEUDO_LAYERS + others.comparable)
    words = f"but {others.fitting} of {others.comparable} layers that training moved fit one as well"
    return Piece.of(FITS, max(share, CERTAIN_FIT), words if others.fitting else "")


def _share_that_fits(group: Group) -> float:
    """Of trained layers of this size, but for the scale."""
    if group.scale_nats is None and group.width is None:
        if group.certain:
            return CERTAIN_FIT
        if group.count > FEW:
            return UNEXPLAINED
    table = UNIFORMS if group.uniform else BELLS_OF_HEADS if group.is_head else BELLS
    return next(share for limit, share in table if group.count <= limit)


def _scale_nats(group: Group, others: Moved) -> float:
    """What the scale says for a draw; nothing for one of values so large that training hardly changes it.

    The farther the others went from the bound of a uniform law, the less likely would chance have brought this layer back to it.
    """
    nats = group.scale_nats or 0.0
    if group.std > UNCHANGED:
        return min(nats, 0.0)
    return nats + math.log(max(others.widened / WIDENED, 1.0))


def evidence_of_goodness(group: Group) -> Piece:
    """How well the shape fits: that of draws as well as chance has it, that of trained layers mostly barely."""
    origins = [a.provenance for a in group.parts if a.provenance is not None]
    p_value = min(origin.shape_p_value or origin.p_value or 1.0 for origin in origins)
    if p_value < POOR_FIT:
        return Piece.of(*FITS_POORLY)
    untrained, trained = GOODNESS
    return Piece(math.log(untrained / trained) + (untrained - trained) * math.log(p_value))


def evidence_of_width(group: Group) -> Piece:
    """A uniform law that is narrower than a published one, as decay without a gradient leaves it."""
    if group.width is None or group.wide:
        return Piece()
    words = f"{group.width:.2g} times as wide as a published law: weight decay narrows it, training never does"
    return Piece.of(*NARROWER, words)
