"""Whether a layer of a trained network still is as it was drawn: the evidence of its weights, its bias and its place, added up.

Each piece of evidence is a log-likelihood ratio in nats, ln P(seen | untrained) - ln P(seen | trained); with the logarithm of the
odds before anything was seen they add up to the logarithm of the odds that the layer is untrained. The frequencies are those of
`benchmarks/untrained`, which trains networks, draws heads and blocks anew, and prints the errors that come of it. Layers that
training moves together (the gates of a cell, the users of one tensor) are weighed together.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from initaudit.judgement.evidence import Piece
from initaudit.judgement.evidence_of_bias import evidence_of_bias
from initaudit.judgement.evidence_of_weights import evidence_of_goodness, evidence_of_weights, evidence_of_width
from initaudit.judgement.freshness import Network, survey
from initaudit.judgement.groups import Group, is_draw
from initaudit.judgement.moved import Moved
from initaudit.judgement.siblings import siblings_of

if TYPE_CHECKING:
    from initaudit.measuring.layer_audit import LayerAudit
    from initaudit.stats.provenance import Provenance

HEAD, INNER = 0.2, 0.02
"""Share of the heads, and of the other layers, that were never trained where a trained network is audited. A judgement: a new head on
a loaded body is the usual accident, and whoever audits a trained network has a reason to."""

SHARED: Final = 0.5
"""Part of the evidence for the layers of its module that counts for a layer too: half, as a checkpoint lacks some weights alone."""
MOST_OF_SIBLINGS: Final = 3.7
"""Nats that they can add: a factor of 40. A judgement, so that they alone never make a layer untrained."""

CELL: Final = (0.02, 0.9)
"""Share of the untrained, and of the trained, weights of a recurrent cell whose fellow was trained. A judgement, after
`benchmarks/untrained`: no framework freezes one of the two."""

LIKELY: Final = 6.0
"""Odds from which a layer is called untrained. A judgement: a warning is to be right six times in seven. On the networks of `benchmarks/untrained`
it is so more often: of the layers with odds of 6 to 10, 22 were untrained and 2 trained."""
CERTAIN: Final = 100.0
"""Odds from which that is certain."""
MOST: Final = 46.0
"""Nats beyond which odds are the same to anyone: 10^20 to one."""


def with_evidence(layers: Sequence[LayerAudit]) -> tuple[LayerAudit, ...]:
    """The layers, each that fits a law with what all evidence says of it, where the network shows any training."""
    weighed = weigh_evidence(survey(layers))
    return tuple(replace(a, provenance=weighed[id(a)]) if id(a) in weighed else a for a in layers)


def weigh_evidence(network: Network) -> dict[int, Provenance]:
    """By the identity of the layer: what all evidence says of those that fit a law; of none in a fresh network."""
    groups, moved = network.groups, network.moved
    weighed: dict[int, Provenance] = {}
    for group in groups if moved else ():
        drawn = [(a, a.provenance) for a in group.parts if a.provenance is not None and is_draw(a.provenance)]
        if not drawn:
            continue
        others = Moved.of(group, moved)
        pieces = [
            _place(group),
            evidence_of_weights(group, others),
            evidence_of_goodness(group),
            evidence_of_width(group),
            evidence_of_bias(group, others),
            _siblings(group, groups, others),
            _cell(group, groups),
        ]
        odds = math.exp(min(sum(piece.nats for piece in pieces), MOST))
        words = [piece.words for piece in pieces if piece.words]
        doubted = (
            not _has_contrast(group, others)
            or group.bias == "moved"
            or (group.bias in ("drawn", "open") and not group.default)
        )
        weighed |= {id(a): _judged(origin, odds, words, doubted) for a, origin in drawn}
    return weighed


def _place(group: Group) -> Piece:
    """A head is what a new task draws anew."""
    share = HEAD if group.is_head else INNER
    return Piece.of(share, 1.0 - share, "it is a head" if group.is_head else "")


def _has_contrast(group: Group, others: Moved) -> bool:
    """Whether a bias, or a comparable layer that left its law, tells this layer from those that a short training hardly moves."""
    return group.bias is not None or (group.certain and group.uniform) or others.comparable > others.fitting


def _siblings(group: Group, groups: Sequence[Group], others: Moved) -> Piece:
    """Every other layer of its module fits a law as well: a checkpoint lacks a module rather than a weight."""
    fellows = [other for other in groups if other is not group and other.cell == group.cell]
    family = fellows or siblings_of(group.title, [(other.title, other) for other in groups])
    if not family or not _has_contrast(group, others) or not all(other.fits and not other.moved for other in family):
        return Piece()
    nats = sum(evidence_of_weights(other, others).nats for other in family)
    return Piece(min(SHARED * nats, MOST_OF_SIBLINGS), f"the {len(family)} others of its module fit one as well")


def _cell(group: Group, groups: Sequence[Group]) -> Piece:
    """Another part of the same weight, or another weight of the same recurrent cell, was trained, and nobody trains one of the two."""
    if not any(other.rejected and other.cell == group.cell for other in groups):
        return Piece()
    return Piece.of(*CELL, "but other weights beside it in the same tensor or cell were trained")


def _judged(origin: Provenance, odds: float, words: Sequence[str], doubted: bool) -> Provenance:
    """`doubted`: its bias speaks against it, or nothing but its values for it, so that it is never certain."""
    certain = odds >= CERTAIN and not doubted and (origin.law is not None or origin.confidence == "high")
    return replace(
        origin,
        untrained=True if odds >= LIKELY else None,
        confidence="high" if certain else "medium" if odds >= LIKELY else "low",
        odds=odds,
        why="; ".join((origin.why, *words)),
    )
