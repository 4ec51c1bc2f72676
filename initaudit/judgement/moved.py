"""The other layers of a network that training moved: what they say of how a trained layer looks in it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Final

from initaudit.measuring.measure import facts_of
from initaudit.stats.evidence import FAMILIES
from initaudit.stats.laws import candidate_laws

if TYPE_CHECKING:
    from initaudit.judgement.groups import Group
    from initaudit.measuring.layer_audit import LayerAudit
    from initaudit.stats.laws import Law

COMPARABLE: Final = 4
"""How many times smaller a layer may be of which the fit says something of another's: how many times larger, of which the misfit does. A
judgement: half, or twice, the resolution of the tests."""

PSEUDO_LAYERS: Final = 1.0
"""Layers that the shares of other networks count for beside those of this one. A judgement: what one layer of the network itself
shows weighs as much."""

SAME_SCALE: Final = 0.03
"""Relative difference up to which a trained layer still has the scale of its law: after the short trainings of `benchmarks/untrained` most
have it, after long ones one in ten."""
SAME_SHAPE: Final = 0.1
"""Relative difference up to which it has the kurtosis. A judgement: that of a uniform law after one of normal steps of a quarter its scale."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """Of the other layers of the network, those that training moved."""

    comparable: int
    """That are not much smaller: one that is says nothing of how well a larger one would fit. Nor do smaller values that left their law say
    that larger ones would, which steps change by less of their scale."""
    fitting: int
    """Of these, whose weights fit a law all the same."""
    layers: int
    """That multiply, and so may have a bias."""
    biases: int
    """That have a bias."""
    constant: int
    """Whose bias is one constant all the same."""
    widened: float
    """How far, in nats, the median of them reaches beyond the bound of the uniform law that this layer fits, or stays short of it."""
    telling: int
    """Whose bias would show as this one does whether it still is drawn: those that are, and of the others those that are not much larger."""
    drawn: int
    """Whose bias still is drawn."""

    @classmethod
    def of(cls, group: Group, moved: Iterable[Group]) -> Moved:
        """Beside this layer."""
        others = [other for other in moved if other is not group]
        alike = [other for other in others if other.std >= group.std / COMPARABLE]
        comparable = [o for o in others if o.count >= group.count / COMPARABLE and (o.fits or o in alike)]
        biases = [other.bias for other in others if other.bias is not None]
        drawn = sum(other.bias == "drawn" for other in others)
        left = sum(
            other.bias in ("open", "moved") and other.bias_count <= COMPARABLE * group.bias_count for other in alike
        )
        strict = any(other.rejected for other in comparable) and not group.wide
        return cls(
            comparable=len(comparable),
            fitting=sum(_would_fit(other, group, strict=strict) for other in comparable),
            layers=sum(other.parts[0].layer.kind.is_product for other in others),
            biases=len(biases),
            constant=biases.count("constant"),
            widened=median(reaches) if (reaches := _reaches(others, group)) else 0.0,
            telling=drawn + left,
            drawn=drawn,
        )


def _would_fit(other: Group, group: Group, *, strict: bool) -> bool:
    """Whether a layer that training moved fits its law as `group` does its own, or would if it were as small.

    `strict`: training moved layers beyond their law, so that one that is only wider than it does not excuse one that is not. Nor does
    a bell shape excuse the edges of a uniform law, as layers that training moved far have one as well.
    """
    if other.fits:
        alike = other.uniform or other.certain or not group.uniform
        return alike and not (strict and other.wide)
    return other.count > COMPARABLE * group.count and _is_near(other, group)


def _reaches(others: Iterable[Group], group: Group) -> list[float]:
    """The largest value of each over the bound that the uniform law of `group` would have there; absolute logarithms."""
    if not group.uniform:
        return []
    return [
        abs(math.log(max(-first.stats.min, first.stats.max) / (math.sqrt(3.0) * law.std)))
        for first in (other.parts[0] for other in others)
        for law in _same_law(first, group)
    ]


def _same_law(audit: LayerAudit, group: Group) -> Iterator[Law]:
    """The law that `group` fits, at the scale that it has in another layer; none where that layer has no such law."""
    name = next((a.provenance.law for a in group.parts if a.provenance is not None), None)
    return (law for law in candidate_laws(facts_of(audit.layer, audit.target)) if law.name == name)


def _is_near(other: Group, group: Group) -> bool:
    """Whether a layer still has the scale and the kurtosis of the law that `group` fits, as after a short training."""
    stats = other.parts[0].stats
    return any(
        abs(stats.std / law.std - 1.0) < SAME_SCALE and abs(stats.kurtosis / family.m4 - 1.0) < SAME_SHAPE
        for law in _same_law(other.parts[0], group)
        for family in FAMILIES
        if family.name == law.distribution
    )
