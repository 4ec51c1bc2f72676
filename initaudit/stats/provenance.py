"""Where the values of a weight came from: the law of a scheme, or training.

Fresh values are independent draws from a known distribution, often at a scale that the fans fix; trained ones are not. The
verdict combines the evidence of `evidence.py` with the laws of `laws.py`, by likelihood where several fit.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np

from initaudit.kind import Kind
from initaudit.stats.evidence import TRUNCATED, UNIFORM, Evidence, gather
from initaudit.stats.facts import LayerFacts
from initaudit.stats.hidden import hidden_by
from initaudit.stats.law_fits import Fit, fits_of
from initaudit.stats.patterns import few_values, identity, orthogonal
from initaudit.stats.rowscaled import row_scaled_evidence
from initaudit.stats.strays import is_constant, settled, without_strays
from initaudit.stats.values import COARSEST_ROUNDING, Values, values_of
from initaudit.stats.verdicts import Confidence, Provenance

if TYPE_CHECKING:
    from initaudit.stats.weigh import WeightStats

ACCEPT: Final = 2e-3
"""A family is kept when no test, corrected for their number, gives a smaller p-value: one fresh tensor in 500 is lost
(`benchmarks/provenance.py`)."""

BORDERLINE: Final = 1e-5
"""Between this p-value and ACCEPT the likeliest law is named, but nothing is concluded from it: one fresh tensor in 500 and the
trained layers that moved least meet here."""

REJECT: Final = 1e-6
"""Below this p-value for every family the values are called trained; between the two the verdict stays open. A judgement: no
fresh tensor of a model of a thousand is called trained but once in a thousand models."""

SHARP_LAW: Final = 48
"""Values needed to tell a uniform law at a known scale: each of them speaks against the closest bell shape with 0.18 nats
(Kullback-Leibler divergence of a uniform from a normal of equal variance), so 48 of them with odds of 5,000 to 1."""

BELL_LAW: Final = 1000
"""Values needed to take a normal law at a known scale for fresh. A judgement: most trained layers are bell-shaped too, and of
fewer values the tests cannot tell them from draws."""
CERTAIN_BELL: Final = 4000
"""Values needed to be certain of it. Of 600 trained layers of 47 networks some of every size up to 2,304 values pass for
normal, and one 1x1 convolution of 4,096, barely (p = 0.0025); the few larger ones have every mark of a fresh draw
(`benchmarks/thresholds.py trained`)."""

CERTAIN_SHARP: Final = 192
"""Values needed to be certain of a uniform law at a known scale. A judgement: four times SHARP_LAW."""

LIKELY_ODDS: Final = -1.0
"""Logarithm of the odds against such a coincidence below which a known scale is none. A judgement."""
USUAL_COST: Final = 1.0
"""Cost in nats up to which a law is so usual that meeting it is not put down to chance: what frameworks draw unasked, and their named
schemes (`stats.laws`)."""
SURE_ODDS: Final = 1.0
"""The same from which the scale speaks for the law: odds of 3 to 1. A judgement."""

SCALE_FREE: Final = 1000
"""Values needed to take a law for fresh at a scale that no scheme explains; enough for a uniform one, whose edges no training
keeps. A judgement, after BELL_LAW."""
CERTAIN_SCALE_FREE: Final = 16_000
"""Values needed to be certain of a normal law at such a scale. A judgement: four times CERTAIN_BELL, as nothing but the shape
speaks for it."""

FEWEST: Final = 16
"""Below this many values nothing is said about a distribution. A judgement: the Kolmogorov-Smirnov test of 16 values cannot
tell a uniform law from a normal one."""

ROW_SCALED_UNIFORM: Final = 1000
"""Values needed to believe in fresh uniform draws whose units were rescaled: of 600 trained layers none of more than 320 values
passes for them (`benchmarks/thresholds.py trained`)."""
ROW_SCALED_BELL: Final = 4000
"""The same for normal draws, for which trained layers of 2,304 values pass, and one 1x1 convolution of 4,096, barely (p =
0.005)."""

ROW_SCALED_ODDS: Final = 8.0
"""Nats by which the uniform law must beat the normal one per unit: odds of 3,000 to 1."""


def recognise(stats: WeightStats, facts: LayerFacts, bias: WeightStats | None = None) -> Provenance:
    """Name the law of a weight from what was measured, on it and on the layer's bias."""
    others = without_strays(stats)
    found = _recognise(others, facts)
    if others is not stats:
        found = replace(found, why=f"{found.why}; what lies far beyond all other values is left out")
    if found.untrained is True and stats.count < SCALE_FREE and bias is not None and _has_moved(bias, facts):
        why = f"{found.why}; but its bias, up to {_reach(bias):.3g}, has left every range in which one starts"
        return replace(found, untrained=None, confidence="low", why=why)
    return found


def _has_moved(bias: WeightStats, facts: LayerFacts) -> bool:
    """Whether a bias is neither constant nor within torch's default, U(+-1/sqrt(fan_in)) or, in a cell, U(+-1/sqrt(hidden))."""
    bound = max(1.0 / math.sqrt(n) for n in (facts.fan_in, facts.hidden_size) if n) if facts.fan_in else math.inf
    return not is_constant(bias) and _reach(bias) > bound * (1.0 + COARSEST_ROUNDING)


def _reach(bias: WeightStats) -> float:
    return float(np.abs(settled(bias)).max())


def _recognise(stats: WeightStats, facts: LayerFacts) -> Provenance:
    if stats.nonfinite:
        return _nothing(f"{stats.nonfinite} values are not finite")
    if stats.count < 2:
        return _nothing("too few values")
    if stats.min == stats.max:
        value = stats.min
        name = {0.0: "zeros", 1.0: "ones"}.get(value, "constant")
        return Provenance(
            law=name, distribution="constant", std=0.0, gain=None, p_value=None, untrained=None, confidence="high",
            why=f"all {stats.count} values are {value:g}",
        )  # fmt: skip
    diagonal = identity(stats, facts)
    built = None if diagonal else _built(stats)
    if built:
        return _nothing(built)
    whole = diagonal or orthogonal(stats, facts)
    if whole:
        return whole
    values = values_of(stats, facts)
    if values is None or values.n < FEWEST:
        return _nothing("too few values that are not zero")
    found = _judge(values, gather(values), facts)
    if found.untrained is False:
        narrow = values.rounding >= COARSEST_ROUNDING
        why = hidden_by(stats, facts, values.kernel, narrow=narrow, plausible=BORDERLINE)
        if why is not None:
            return _nothing(why)
    return found


def _built(stats: WeightStats) -> str | None:
    """How a weight was made whose values no scheme draws, in words; None of any other."""
    if np.array_equal(stats.block, np.rint(stats.block)):
        return "all values are whole numbers: codes, counts or indices rather than draws"
    distinct = few_values(stats)
    return f"{distinct} different sizes of values: built by hand or coded rather than drawn" if distinct else None


def _nothing(why: str) -> Provenance:
    return Provenance(
        law=None, distribution=None, std=None, gain=None, p_value=None, untrained=None, confidence="low", why=why
    )


def _judge(values: Values, evidence: list[Evidence], facts: LayerFacts) -> Provenance:
    kept = [e for e in evidence if e.p_value >= ACCEPT]
    accepted = bool(kept)
    if not accepted:
        kept = [e for e in evidence if e.p_value >= BORDERLINE]
        if not kept:
            return _rescaled(values, facts) or _rejected(values, evidence)
    fits = [fit for e in kept for fit in fits_of(values, e, facts)]
    fits.sort(key=lambda fit: -fit.score)
    best = fits[0]
    others = tuple(
        dict.fromkeys(
            fit.law.name for fit in fits[1:] if fit.law and (best.law is None or fit.law.name != best.law.name)
        )
    )
    untrained, confidence = _untrained(values, best) if accepted else (None, "low")
    name = best.law.name if best.law else f"{best.family.name.replace('_', ' ')} of unexplained scale"
    return Provenance(
        law=best.law.name if best.law else None,
        distribution=best.family.name,  # type: ignore[arg-type]
        std=best.std,
        gain=best.law.gain if best.law else None,
        p_value=best.p_value,
        untrained=untrained,
        confidence=confidence,
        why=f"{values.n} independent values are {_consistency(best, name, accepted=accepted)} (p = {best.p_value:.2g})",
        candidates=others,
        shape_p_value=next(e.p_value for e in kept if e.family is best.family),
        scale_nats=next((f.odds for f in fits if f.law and (f.family is UNIFORM) is (best.family is UNIFORM)), None),
    )


def _consistency(best: Fit, name: str, *, accepted: bool) -> str:
    """What the p-value says of the law called `name`, at a level that is stated."""
    law, level = f"{name}, std {best.std:.4g}", f"at the level of {ACCEPT:.1%}"
    if not accepted:
        return f"not consistent with any law {level}; the nearest is {law}"
    if best.p_value < ACCEPT:
        return f"consistent with the shape of {law}, {level}, but hardly with its scale"
    return f"consistent with {law}, {level}"


def _rescaled(values: Values, facts: LayerFacts) -> Provenance | None:
    """A fresh law whose units were rescaled one by one, as folding a trained BatchNorm does."""
    foldable = facts.kind.is_convolution or facts.kind is Kind.LINEAR  # exporters fold a normalisation into these
    if not foldable or values.block is None:
        return None
    found = sorted(row_scaled_evidence(values.block, values.kernel), key=lambda e: -e.log_likelihood)
    if not found or found[0].evidence.p_value < BORDERLINE:
        return None
    best, odds = found[0].evidence, found[0].log_likelihood - found[1].log_likelihood
    uniform = best.family is UNIFORM
    enough = values.n >= ROW_SCALED_UNIFORM and odds >= ROW_SCALED_ODDS if uniform else values.n >= ROW_SCALED_BELL
    enough = enough and facts.may_be_folded and best.p_value >= ACCEPT
    return Provenance(
        law=None, distribution=best.family.name, std=values.scale, gain=None, p_value=best.p_value,  # type: ignore[arg-type]
        untrained=True if enough else None, confidence="medium" if enough else "low",
        why=f"{values.n} independent {best.family.name} values, each unit at a scale of its own, as a folded BatchNorm leaves them"
        f" (p = {best.p_value:.2g})",
    )  # fmt: skip


def _rejected(values: Values, evidence: list[Evidence]) -> Provenance:
    best = max(evidence, key=lambda e: e.p_value)
    sure = best.p_value < REJECT
    return Provenance(
        law=None, distribution=None, std=None, gain=None, p_value=best.p_value, untrained=False if sure else None,
        confidence="high" if sure else "low",
        why=f"not consistent with any law: the nearest, {best.family.name.replace('_', ' ')}, fails by its {best.weakest} (p = {best.p_value:.1g})",
    )  # fmt: skip


def _untrained(values: Values, fit: Fit) -> tuple[bool | None, Confidence]:
    """Whether this fit proves that the values are as drawn."""
    n, bell = values.n, fit.family is not UNIFORM
    if fit.law is None:
        if not bell:
            return (True, "high") if n >= SCALE_FREE else (None, "low")
        if n < (CERTAIN_BELL if fit.family is TRUNCATED else SCALE_FREE):
            return None, "low"
        return True, "medium" if n >= CERTAIN_SCALE_FREE else "low"
    if n < (BELL_LAW if bell else SHARP_LAW):
        return None, "low"
    coincidence = fit.law.cost > USUAL_COST and fit.odds < LIKELY_ODDS
    if coincidence or (bell and n < CERTAIN_BELL):
        return True, "medium" if bell and n >= CERTAIN_SCALE_FREE else "low"
    return True, "high" if fit.odds >= SURE_ODDS and n >= CERTAIN_SHARP else "medium"


__all__ = ["LayerFacts", "Provenance", "recognise"]
