"""Whether a layer of a trained network still is as it was drawn: the evidence of its weights, its bias and its place, added up.

Each piece of evidence is a log-likelihood ratio in nats, ln P(seen | untrained) - ln P(seen | trained); with the logarithm of the
odds before anything was seen they add up to the logarithm of the odds that the layer is untrained. The frequencies are those of
`benchmarks/untrained`, which trains networks, draws heads and blocks anew, and prints the errors that come of it. Layers that
training moves together (the gates of a cell, the users of one tensor) are weighed together.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, NamedTuple

from initaudit.judgement.freshness import Network, survey
from initaudit.judgement.groups import Group, is_draw
from initaudit.judgement.siblings import siblings_of
from initaudit.kind import Kind
from initaudit.measuring.measure import facts_of
from initaudit.stats.evidence import FAMILIES
from initaudit.stats.laws import candidate_laws

if TYPE_CHECKING:
    from initaudit.measuring.layer_audit import LayerAudit
    from initaudit.stats.bias_origin import BiasOrigin
    from initaudit.stats.provenance import Provenance

HEAD, INNER = 0.2, 0.02
"""Share of the heads, and of the other layers, that were never trained where a trained network is audited. A judgement: a new head on
a loaded body is the usual accident, and whoever audits a trained network has a reason to."""

FITS: Final = 0.98
"""Share of the layers as drawn whose weights fit a law, from 48 values on (`benchmarks/provenance.py`)."""

CERTAIN_FIT: Final = 1e-4
"""Share of the trained layers for which the values alone are taken for certain. A judgement, of what no simulation reaches: see
`stats.provenance.CERTAIN_BELL` and SHARP_LAW."""
LARGE_FIT: Final = 1e-3
"""The same where units were rescaled, or no scheme explains the scale, of more than 4,000 bell-shaped values. A judgement: ten times that."""

BELL_FITS: Final = ((192, 0.5), (768, 0.3), (4000, 0.06))
"""Up to how many values which share of the trained layers fits a bell-shaped law, in networks of which training moved most layers visibly
(`benchmarks/untrained`; tables that start at N(0, 1), which hardly move by their own scale, aside)."""
BELL_FITS_OF_HEADS: Final = ((192, 0.2), (768, 0.15), (4000, 0.02))
"""The same for heads, which get the largest gradients. The last figure is a judgement: none of the heads is so large."""
UNIFORM_FITS: Final = ((96, 0.1), (768, 0.03))
"""The same for uniform laws, heads or not."""
DEFAULT_FITS: Final = ((96, 0.02), (192, 0.004))
"""The same for torch's default, the likeliest of these laws beforehand. A judgement: a tenth to a fifth of the fits of all uniform laws, of
which there are about ten at as many scales."""

GOODNESS: Final = (0.66, 0.38)
"""Exponents a of the density a p^(a-1) of the p-values of untrained, and of trained, layers that fit a law: by their medians of 0.35 and
0.16 (`benchmarks/untrained`)."""

PSEUDO_LAYERS: Final = 2.0
"""Layers that the shares of other networks count for beside those of this one. A judgement: what two layers of the network itself
show weighs as much."""

COMPARABLE: Final = 4
"""How many times smaller a layer may be of which the fit says something of another's: how many times larger, of which the misfit does. A
judgement: half, or twice, the resolution of the tests."""

SAME_SCALE: Final = 0.03
"""Relative difference up to which a trained layer still has the scale of its law: after the short trainings of `benchmarks/untrained` most
have it, after long ones one in ten."""
SAME_SHAPE: Final = 0.1
"""Relative difference up to which it has the kurtosis. A judgement: that of a uniform law after one of normal steps of a quarter its scale."""

STILL: Final = 0.1
"""Share of the trained layers whose bias is one constant, before a layer of the network itself was looked at. A judgement: most
frameworks' converters write zeros for biases that were never there, and then in every layer."""

BIAS: Final[dict[str, dict[BiasOrigin, tuple[float, float]]]] = {
    "torch": {"constant": (0.05, math.nan), "drawn": (0.9, 0.5), "open": (0.04, 0.45), "moved": (0.02, 0.05)},
    "other": {"constant": (0.9, math.nan), "drawn": (0.05, 0.35), "open": (0.04, 0.4), "moved": (0.02, 0.25)},
}
"""Share of the untrained, and of the trained, layers whose bias is so, by the law of the weights: torch draws both. Of the trained
ones `benchmarks/untrained` gives them; those of untrained layers that do not keep to the habit are a judgement: an author's own start,
or weights that were frozen beside a bias that was not."""

LEFT_OUT: Final = (0.5, 0.1)
"""Share of the untrained, and of the trained, heads without a bias in networks all of whose other layers have one. A judgement: most heads are
drawn anew with a bias of zeros, which torch's exporter leaves out, and few are built without one."""
LEAST_BIASES: Final = 2
"""Other layers with a bias from which that is a habit."""

SHARED: Final = 0.5
"""Part of the evidence for the layers of its module that counts for a layer too: half, as a checkpoint lacks some weights alone."""
MOST_OF_SIBLINGS: Final = 3.7
"""Nats that they can add: a factor of 40. A judgement, so that they alone never make a layer untrained."""

CELL: Final = (0.02, 0.9)
"""Share of the untrained, and of the trained, weights of a recurrent cell whose fellow was trained. A judgement, after
`benchmarks/untrained`: no framework freezes one of the two."""

WIDER, NARROWER = (0.02, 0.03), (0.5, 0.05)
"""Share of the untrained, and of the barely trained, layers whose uniform law, at no published scale, is a little wider or is narrower
than a published one. A judgement: an author's own scale can lie there by chance, and training widens (`benchmarks/untrained`)."""

LIKELY: Final = 10.0
"""Odds from which a layer is called untrained: of the layers called so for less than certain, at most one in eleven was trained."""
CERTAIN: Final = 100.0
"""Odds from which that is certain."""
MOST: Final = 46.0
"""Nats beyond which odds are the same to anyone: 10^20 to one."""


class Piece(NamedTuple):
    """One piece of evidence."""

    nats: float
    words: str = ""


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
            _weights(group, others),
            _goodness(group),
            _width(group),
            _bias(group, others),
            _siblings(group, groups, others),
            _cell(group, groups),
        ]
        odds = math.exp(min(sum(piece.nats for piece in pieces), MOST))
        words = [piece.words for piece in pieces if piece.words]
        doubted = group.bias == "moved" or (group.bias in ("drawn", "open") and not group.default)
        weighed |= {id(a): _judged(origin, odds, words, doubted) for a, origin in drawn}
    return weighed


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """Of the other layers of the network, those that training moved."""

    comparable: int
    """That are not much smaller: one that is says nothing of how well a larger one would fit."""
    fitting: int
    """Of these, whose weights fit a law all the same."""
    layers: int
    """That multiply, and so may have a bias."""
    biases: int
    """That have a bias."""
    constant: int
    """Whose bias is one constant all the same."""

    @classmethod
    def of(cls, group: Group, moved: Iterable[Group]) -> Moved:
        """Beside this layer."""
        others = [other for other in moved if other is not group]
        comparable = [other for other in others if other.count >= group.count / COMPARABLE]
        biases = [other.bias for other in others if other.bias is not None]
        strict = any(other.rejected for other in comparable) and not group.wide
        fitting = sum(_would_fit(other, group, strict=strict) for other in comparable)
        return cls(
            comparable=len(comparable),
            fitting=fitting,
            layers=sum(other.parts[0].layer.kind.is_product for other in others),
            biases=len(biases),
            constant=biases.count("constant"),
        )


def _would_fit(other: Group, group: Group, *, strict: bool) -> bool:
    """Whether a layer that training moved fits its law as `group` does its own, or would if it were as small.

    `strict`: training moved layers beyond their law, so that one that is only wider than it does not excuse one that is not.
    """
    if other.fits:
        if group.uniform and not other.uniform and not other.certain:
            return False
        return not (strict and other.wide)
    return other.count > COMPARABLE * group.count and _is_near(other, group)


def _is_near(other: Group, group: Group) -> bool:
    """Whether a layer still has the scale and the kurtosis of the law that `group` fits, as after a short training."""
    name = next((a.provenance.law for a in group.parts if a.provenance is not None), None)
    first = other.parts[0]
    return any(
        abs(first.stats.std / law.std - 1.0) < SAME_SCALE and abs(first.stats.kurtosis / family.m4 - 1.0) < SAME_SHAPE
        for law in candidate_laws(facts_of(first.layer, first.target))
        for family in FAMILIES
        if law.name == name and family.name == law.distribution
    )


def _place(group: Group) -> Piece:
    """A head is what a new task draws anew."""
    share = HEAD if group.is_head else INNER
    return Piece(math.log(share / (1.0 - share)), "it is a head" if group.is_head else "")


def _weights(group: Group, others: Moved) -> Piece:
    """A law fits the weights: by how much less often that happens to trained layers, in this network too."""
    if group.wide:
        return Piece(
            math.log(WIDER[0] / WIDER[1]), "but it is a little wider than a published law, as after a short training"
        )
    share = _share_that_fits(group)
    if not others.fitting:
        return Piece(math.log(FITS / share))
    share = (PSEUDO_LAYERS * share + others.fitting) / (PSEUDO_LAYERS + others.comparable)
    return Piece(
        math.log(FITS / share),
        f"but {others.fitting} of {others.comparable} layers that training moved fit one as well",
    )


def _share_that_fits(group: Group) -> float:
    """Of trained layers of this size."""
    if group.certain:
        return CERTAIN_FIT
    uniform = all(a.provenance is None or a.provenance.distribution == "uniform" for a in group.parts)
    table = (
        DEFAULT_FITS
        if group.default
        else UNIFORM_FITS
        if uniform
        else BELL_FITS_OF_HEADS
        if group.is_head
        else BELL_FITS
    )
    return next((share for limit, share in table if group.count <= limit), CERTAIN_FIT if uniform else LARGE_FIT)


def _goodness(group: Group) -> Piece:
    """How well the law fits: draws fit as well as chance has it, trained layers mostly barely."""
    p_value = min(a.provenance.p_value or 1.0 for a in group.parts if a.provenance is not None)
    untrained, trained = GOODNESS
    return Piece(math.log(untrained / trained) + (untrained - trained) * math.log(p_value))


def _width(group: Group) -> Piece:
    """A uniform law is a little wider than a published one, as a short training leaves it, or narrower, as decay without a gradient does."""
    if group.width is None or group.wide:
        return Piece(0.0)
    untrained, trained = NARROWER
    words = f"{group.width:.2g} times as wide as a published law: weight decay narrows it, training never does"
    return Piece(math.log(untrained / trained), words)


def _bias(group: Group, others: Moved) -> Piece:
    """A bias that is still one constant, or still drawn, where those of other layers have moved; or one that has moved itself."""
    if group.bias is None:
        return _left_out(group, others)
    untrained, trained = BIAS["torch" if group.default else "other"][group.bias]
    if group.bias == "constant":
        trained = (STILL + others.constant) / (1.0 + others.biases)
    changed = others.biases - others.constant
    words = {
        "constant": f"its bias is one constant, as at the start, while {changed} of {others.biases} others have changed",
        "drawn": "its bias still fits a law as well" if group.default else "",
        "open": "",
        "moved": "but its bias has left every law at which one starts",
    }
    return Piece(math.log(untrained / trained), words[group.bias])


def _left_out(group: Group, others: Moved) -> Piece:
    """A head without a bias where everything else has one: of zeros, it would have been left out."""
    has_none = all(a.layer.kind is Kind.LINEAR and a.bias is None for a in group.parts)
    if not (group.is_head and has_none) or group.default or others.biases < max(LEAST_BIASES, others.layers):
        return Piece(0.0)
    untrained, trained = LEFT_OUT
    return Piece(
        math.log(untrained / trained), "it has no bias, as all others have, and exporters leave out one of zeros"
    )


def _siblings(group: Group, groups: Sequence[Group], others: Moved) -> Piece:
    """Every other layer of its module fits a law as well: a checkpoint lacks a module rather than a weight."""
    family = siblings_of(group.title, [(other.title, other) for other in groups])
    if not family or not all(other.fits and not other.moved for other in family):
        return Piece(0.0)
    nats = sum(_weights(other, others).nats for other in family)
    return Piece(min(SHARED * nats, MOST_OF_SIBLINGS), f"the {len(family)} others of its module fit one as well")


def _cell(group: Group, groups: Sequence[Group]) -> Piece:
    """Another part of the same weight, or another weight of the same recurrent cell, was trained, and nobody trains one of the two."""
    if not any(other.rejected and other.cell == group.cell for other in groups):
        return Piece(0.0)
    untrained, trained = CELL
    return Piece(math.log(untrained / trained), "but other weights beside it in the same tensor or cell were trained")


def _judged(origin: Provenance, odds: float, words: Sequence[str], doubted: bool) -> Provenance:
    """`doubted`: its bias speaks against it, so that it is never certain."""
    certain = odds >= CERTAIN and not doubted and (origin.law is not None or origin.confidence == "high")
    return replace(
        origin,
        untrained=True if odds >= LIKELY else None,
        confidence="high" if certain else "medium" if odds >= LIKELY else "low",
        odds=odds,
        why="; ".join((origin.why, *words)),
    )
