"""The laws of one family whose scale agrees with the values, and how likely each is."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from initaudit.initialisation.schemes import TRUNCATED_STD, TRUNCATION
from initaudit.stats.distributions import normal_tail
from initaudit.stats.evidence import TRUNCATED, UNIFORM, Evidence, Family
from initaudit.stats.laws import Law, candidate_laws

if TYPE_CHECKING:
    from initaudit.stats.facts import LayerFacts
    from initaudit.stats.values import Values

SCALE_ACCEPT: Final = 1e-4
"""A law's scale is kept down to this p-value. A judgement: whether it explains the values better than a free scale, the
likelihood decides."""

WIDENED: Final = 0.3
"""Range, relative, of the bounds that uniform values have after a short training which keeps their shape: how near one of them comes to a
law's by chance. A judgement: a training that moves the bound by more bends the shape as well."""
SCALES: Final = 1.4
"""The same for the standard deviation of bell-shaped values, in nats: from half to twice that of a law. A judgement."""
UNKNOWN_SCALE_COST: Final = 5.0
"""Nats by which a scale that no scheme explains is less usual than the commonest law, besides half the logarithm of n (Schwarz
1978): that of the rarest laws in `stats.laws`, so that a known law is preferred wherever it explains the values as well."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """One law that the evidence allows."""

    family: Family
    law: Law | None
    std: float
    p_value: float
    score: float
    """Logarithm of likelihood and prior."""
    odds: float = 0.0
    """Logarithm of the odds that the scale is the law's, against that of trained values which meet one of the laws by chance."""


def fits_of(values: Values, evidence: Evidence, facts: LayerFacts) -> list[Fit]:
    """The laws of one family whose scale agrees with the values, and the family at a free scale."""
    family, n = evidence.family, values.n
    free_std = values.reach * (n + 1) / n / math.sqrt(3.0) if family is UNIFORM else values.scale
    best = _log_likelihood(values, family, free_std)
    fits = [
        Fit(family=family, law=None, std=free_std, p_value=evidence.p_value, score=best - 0.5 * math.log(n) - UNKNOWN_SCALE_COST)
    ]  # fmt: skip
    laws = [law for law in candidate_laws(facts) if law.distribution == family.name]
    crowd = math.log(sum(math.exp(-law.cost) for law in laws)) if laws else 0.0
    window = 1.0 / (WIDENED * n) if family is UNIFORM else math.sqrt(0.5 * math.pi * (family.m4 - 1.0) / n) / SCALES
    for law in laws:
        if not 0.5 < law.std / free_std < 2.0:  # beyond, no 16 values agree
            continue
        p, loss = _scale_fit(values, family, law.std)
        if p >= SCALE_ACCEPT:
            fits.append(
                Fit(
                    family=family, law=law, std=law.std, p_value=min(p, evidence.p_value), score=best - loss - law.cost,
                    odds=-math.log(window) - crowd - law.cost - loss,
                )
            )  # fmt: skip
    return fits


def _scale_fit(values: Values, family: Family, std: float) -> tuple[float, float]:
    """Whether the values can have this standard deviation (p-value), and the log-likelihood it costs against the best one."""
    n = values.n
    if family is UNIFORM:
        share = values.reach / (math.sqrt(3.0) * std)
        if share > 1.0 + values.rounding:
            return 0.0, math.inf
        share = min(1.0, share * (1.0 + values.rounding))
        return share**n, -n * math.log(share)
    if family is TRUNCATED and values.reach > family.reach * std * (1.0 + values.rounding):
        return 0.0, math.inf
    z = (values.square / (std * std) - 1.0) / math.sqrt((family.m4 - 1.0) / n)
    return normal_tail(z), 0.5 * z * z


def _log_likelihood(values: Values, family: Family, std: float) -> float:
    """Of the values under the family at this standard deviation."""
    n = values.n
    if family is UNIFORM:
        return -n * math.log(2.0 * math.sqrt(3.0) * std)
    sigma = std / TRUNCATED_STD if family is TRUNCATED else std
    mass = math.erf(TRUNCATION / math.sqrt(2.0)) if family is TRUNCATED else 1.0
    return -n * (math.log(sigma * mass) + 0.5 * math.log(2.0 * math.pi) + 0.5 * values.square / (sigma * sigma))
