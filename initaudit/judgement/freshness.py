"""Whether a network was trained at all, and which of its layers: what weights, biases and norms say together.

In nats, as in `judgement.untrained`: ln P(seen | fresh network) - ln P(seen | trained network), summed over the layers. A fresh network must be
likelier than two others: one that training changed, of which some layers may be left as drawn, and one that it hardly moved, of
which all weights still fit their laws, so that they say nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from initaudit.judgement.groups import Group, biases_law, grouped
from initaudit.judgement.running_statistics import never_trained
from initaudit.kind import Kind
from initaudit.stats.strays import is_constant

if TYPE_CHECKING:
    from initaudit.measuring.layer_audit import LayerAudit
    from initaudit.stats.bias_origin import BiasOrigin, SharedLaw

REJECTED: Final = -3.45
"""Of weights that are certainly no draw: 2 % of the layers of fresh networks, where an author has laws of his own, and two thirds of
those of trained ones. A judgement: four certain draws outweigh one such layer, three do not."""

CERTAIN_DRAW: Final = 1.0
"""Of weights that are certainly drawn: a third of the layers of trained networks may be, as a backbone is frozen at random."""
DRAW: Final = 0.5
"""Of weights of 1,000 values and more that fit a law. A judgement, half of the above, as trained ones of that size do too."""
SMALL_DRAW: Final = 0.25
"""Of fewer values: most trained layers of 200 values fit a law (`benchmarks/untrained`)."""

BIASES: Final[dict[BiasOrigin, float]] = {"constant": 0.5, "drawn": 0.25, "open": -1.6, "moved": -3.0}
"""Of biases. Constant ones are less than they seem, as converters write zeros where there was no bias; fresh ones follow no common law
in one network of twenty, trained ones mostly (`benchmarks/untrained`)."""
ONE_LAW: Final[dict[SharedLaw, float]] = {"published": -0.5, "own": -2.3}
"""Of all biases that are neither constant nor torch's default, where one law explains them. A law of the author's own has one fresh
network in thirty, and Adam's first steps leave something like it in one trained network of three (`benchmarks/untrained`)."""

WIDE: Final = -3.0
"""Of a uniform law that is a little wider than a published one: so in one fresh layer of twenty at most, for an author's own scale."""

NORM_MOVED, NORM_STILL = -1.6, 0.5
"""Of a norm whose scales and shifts both vary, and of one that is constant: as for biases."""

HARDLY_MOVED: Final = 1.6
"""Before anything was seen, of a fresh network against one that training hardly moved. A judgement: five to one."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Network:
    """The layers of a network, weighed together."""

    groups: tuple[Group, ...]
    freshness: float
    """Positive where all evidence together speaks for a fresh network, negative where it speaks for training; nats."""

    @property
    def moved(self) -> list[Group]:
        """What training moved; in a network of which no weight departs from its law, all that has no still bias."""
        if self.freshness > 0:
            return []
        rejected = any(group.rejected for group in self.groups)
        return [g for g in self.groups if g.moved or (g.fits and g.bias is None and not rejected)]


def survey(layers: Sequence[LayerAudit]) -> Network:
    """Group the layers and weigh them."""
    groups = tuple(grouped(layers))
    shifts = _biases(groups) + sum(map(_of_norm, layers))
    changed = sum(map(_of_weights, groups)) + shifts
    hardly = HARDLY_MOVED + shifts + sum(WIDE for group in groups if group.wide)
    return Network(groups=groups, freshness=min(changed, hardly))


def _of_weights(group: Group) -> float:
    if group.rejected:
        return REJECTED
    if not group.fits:
        return 0.0
    if group.wide:
        return WIDE
    return CERTAIN_DRAW if group.certain else DRAW if group.vote.untrained is True else SMALL_DRAW


def _biases(groups: Sequence[Group]) -> float:
    common = sum(BIASES[group.bias] for group in groups if group.bias in ("constant", "drawn"))
    strange = sum(BIASES[group.bias] for group in groups if group.bias in ("open", "moved"))
    law = biases_law(groups) if strange else None
    return common + (strange if law is None else max(strange, ONE_LAW[law]))


def _of_norm(audit: LayerAudit) -> float:
    """Scales that vary beside shifts that do not were drawn so: DCGAN starts them at N(1, 0.02) (Radford et al. 2016)."""
    if audit.layer.kind is not Kind.NORM or audit.layer.untrainable is not None or audit.stats.count < 2:
        return 0.0
    scales, shifts = not is_constant(audit.stats), audit.bias is None or not is_constant(audit.bias)
    if scales != shifts:
        return 0.0
    if not scales:
        return NORM_STILL
    return 0.0 if never_trained(audit.layer) else NORM_MOVED
