"""The laws a fresh weight may follow: every scheme, with every fan convention in use.

Frameworks count fans on the shape *they* store: torch ignores groups in fan_out (pytorch#23854), reads a transposed
convolution the other way round (PR #30079), takes a batched weight [E, K, N] for one kernel of K*N by E*N, and initialises a
packed projection with its whole width. Keras counts the channels of a depthwise kernel as inputs.

Each law has a cost: minus the logarithm of its prior, in nats, relative to torch's default. The costs are judgements, mostly in steps of
half a nat, of how often code uses a law: 0 what the commonest framework draws unasked, 1 the named schemes of every framework (one in three),
2 to 3 their variants (one in ten, one in twenty), 4 to 5 what a paper or a tutorial has once (one in a hundred). They decide only where
the values cannot: n normal values tell scales that differ by a factor 1 + d apart with about n d^2 nats, so 100 of them outweigh every
prior from a difference of a quarter on, and 10,000 from 2.5 %. What they decide is the name where schemes nearly coincide, such as
Xavier's and LeCun's in a nearly square layer; `benchmarks/provenance.py` counts how often a known law is named at all.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from initaudit.initialisation.schemes import SCHEMES, TRUNCATED_STD, Distribution, he_gain
from initaudit.kind import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from initaudit.stats.facts import LayerFacts

FIXED_NORMALS: Final = {
    1.0: 1.0,
    0.02: 1.0,
    0.01: 2.0,
    0.1: 2.5,
    0.05: 3.0,
    0.001: 3.5,
    0.006: 4.0,
    0.2: 4.0,
    0.5: 4.0,
    0.03: 4.0,
}
"""Scales in use whatever the fans, with their cost: N(0, 1) is torch's embedding and torch.randn, 0.02 BERT, GPT-2, ViT and DCGAN, 0.01
AlexNet (Krizhevsky et al. 2012, section 5) and detection heads, 0.1 and 0.001 tutorials and the last layers of detectors (Girshick 2015,
section 2.3), 0.05 Keras RandomNormal, 0.006 DeepSeek; 0.2, 0.5 and 0.03 are round numbers without a source, and cost as much as any."""

FIXED_BOUNDS: Final = (0.1, 0.08, 0.05, 0.01, 1.0)
"""Bounds of uniform laws in use whatever the fans: 0.08 sequence models (Sutskever et al. 2014, section 3.4), 0.05 Keras RandomUniform,
0.1 and 0.01 language models and tutorials, 1 torch.rand, centred."""

RESIDUAL_DEPTHS: Final = (2, 4, 6, 12, 24, 32, 36, 48)
"""Layer counts L for GPT-2's residual projections, 0.02/sqrt(2 L) (Radford et al. 2019, section 2.3): 12 to 48 are GPT-2's own sizes,
6 and 32 those of its likes, 2 and 4 toys."""

SLOPES: Final = (0.01, 0.2)
"""Negative slopes that He's scheme is asked for without a look at the activation: the default of leaky ReLU in every framework, and that of
DCGAN (Radford et al. 2016)."""

SAME_SCALE: Final = 1e-3
"""Relative difference of two scales that no sample tells apart (a million values: 7e-4), as that of a gain by quadrature and its formula."""

CALCULATED_GAINS: Final = {"tanh": 5.0 / 3.0, "relu": math.sqrt(2.0), "selu": 0.75}
"""torch.nn.init.calculate_gain."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Law:
    """A distribution with a known scale."""

    name: str
    distribution: Distribution
    std: float
    gain: float
    cost: float
    """How much less usual than the commonest law this is, in nats; ties between equal laws go to the cheapest."""


def candidate_laws(facts: LayerFacts) -> tuple[Law, ...]:
    """Every law whose scale is fixed by the layer, cheapest first; equal scales of one distribution appear once."""
    place = _Place(
        kind=facts.kind, shape=facts.shape if len(facts.shape) > 2 else (), fan_in=facts.fan_in, fan_out=facts.fan_out,
        groups=facts.groups, hidden_size=facts.hidden_size, packed_units=facts.packed_units, activation=facts.activation,
        target_scheme=facts.target_scheme, target_std=facts.target_std,
    )  # fmt: skip
    return _laws_at(place)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """What of a layer the laws depend on; layers that agree in it share one tuple of laws."""

    kind: Kind
    shape: tuple[int, ...]
    fan_in: float | None
    fan_out: float | None
    groups: int
    hidden_size: int | None
    packed_units: int | None
    activation: str | None
    target_scheme: str | None
    target_std: float | None


@lru_cache(maxsize=1024)
def _laws_at(facts: _Place) -> tuple[Law, ...]:
    best: dict[tuple[Distribution, float], Law] = {}
    for law in _all_laws(facts):
        key = (law.distribution, float(f"{law.std:.5g}"))
        if key not in best or law.cost < best[key].cost:
            best[key] = law
    for own in _recommended(facts):
        near = [
            k
            for k, law in best.items()
            if law.distribution == own.distribution and abs(law.std / own.std - 1) <= SAME_SCALE
        ]
        for key in near:
            best[key] = replace(best[key], cost=min(best[key].cost, own.cost))
        if not near:
            best[own.distribution, own.std] = own
    return tuple(sorted(best.values(), key=lambda law: law.cost))


def _all_laws(facts: _Place) -> Iterator[Law]:
    for std, cost in FIXED_NORMALS.items():
        common = facts.kind is Kind.EMBEDDING and std in (1.0, 0.02)  # there the defaults of torch and of transformers
        yield Law(name=f"normal_{std:g}", distribution="normal", std=std, gain=1.0, cost=cost - common)
        yield Law(
            name=f"truncated_normal_{std:g}",
            distribution="truncated_normal",
            std=std * TRUNCATED_STD,
            gain=1.0,
            cost=cost + 2,
        )
    for depth in RESIDUAL_DEPTHS:
        std = 0.02 / math.sqrt(2.0 * depth)
        yield Law(name=f"normal_0.02/sqrt(2*{depth})", distribution="normal", std=std, gain=1.0, cost=4.5)
    for bound in FIXED_BOUNDS:
        yield Law(name=f"uniform_{bound:g}", distribution="uniform", std=bound / math.sqrt(3.0), gain=1.0, cost=4.0)
    if facts.hidden_size and facts.kind.is_recurrent:
        yield Law(
            name="torch_recurrent",  # what cells of torch start at unasked, so that no other law is as likely there
            distribution="uniform",
            std=1.0 / math.sqrt(3.0 * facts.hidden_size),
            gain=1.0,
            cost=-1.0,
        )
    for fan_in, fan_out, cost in _fans(facts):
        yield from _fan_laws(facts, fan_in, fan_out, cost)


def _recommended(facts: _Place) -> Iterator[Law]:
    """The laws with the scale that is recommended for this layer: what a careful author, or `initaudit fix`, draws."""
    if facts.target_scheme is None or facts.target_std is None or not facts.fan_in:
        return
    family, _, distribution = facts.target_scheme.rpartition("_")
    if distribution not in ("uniform", "normal") or family not in ("he", "lecun", "xavier"):
        return
    gain = facts.target_std * math.sqrt(facts.fan_in)
    for kind in ("uniform", "normal"):
        scheme = SCHEMES[f"{family}_{kind}"]
        yield Law(
            name=f"{family}_{kind}(for {facts.activation or 'this place'})",
            distribution=scheme.distribution,
            std=facts.target_std,
            gain=gain,
            cost=1.5,
        )


def _fans(facts: _Place) -> Iterator[tuple[float, float, float]]:
    """(fan_in, fan_out, cost) for every convention that fits the layer."""
    fan_in, fan_out = facts.fan_in, facts.fan_out
    if not fan_in or not fan_out:
        return
    swapped = facts.kind in (Kind.EMBEDDING, Kind.CONV_TRANSPOSE)  # torch reads these the other way round
    yield fan_in, fan_out, 0.5 * swapped
    yield fan_out, fan_in, 0.0 if swapped else 2.5
    if facts.groups > 1:
        g = facts.groups
        yield fan_in, fan_out * g, 0.2  # torch, which ignores groups in fan_out
        yield fan_out, fan_in * g, 0.2 if swapped else 3.0
        yield fan_in * g, fan_out, 1.0  # Keras
    if facts.packed_units:
        yield fan_in, facts.packed_units, 0.3  # torch initialises the packed tensor, as wide as it is
    elif facts.kind.is_dense:
        yield fan_in, 3.0 * fan_out, 3.0  # query, key and value, packed before and taken apart by the exporter
    if facts.kind.is_recurrent:
        for gates in (4.0, 3.0):
            yield fan_in, gates * fan_out, 1.0  # the gates of an LSTM or a GRU in one tensor, as Keras draws them
    if len(facts.shape) > 2 and not facts.kind.is_convolution:
        rest = math.prod(facts.shape[2:])
        yield float(facts.shape[1] * rest), float(facts.shape[0] * rest), 2.0  # torch takes a batch for a kernel


def _fan_laws(facts: _Place, fan_in: float, fan_out: float, cost: float) -> Iterator[Law]:
    def law(scheme: str, extra: float, gain: float = 1.0, label: str = "") -> Law:
        entry = SCHEMES[scheme]
        return Law(
            name=label or scheme, distribution=entry.distribution, std=entry.std(fan_in, fan_out, gain), gain=gain, cost=cost + extra
        )  # fmt: skip

    yield law("torch_default", 0.0)
    for kind, rarity in (("uniform", 1.0), ("normal", 1.0), ("truncated_normal", 2.0)):
        yield law(f"xavier_{kind}", rarity)
        yield law(f"he_{kind}", rarity)
        yield law(f"lecun_{kind}", rarity + 0.5)
    yield law("he_uniform_fan_out", 2.0)
    yield law("he_normal_fan_out", 1.5)
    for a in SLOPES:
        for kind in ("uniform", "normal"):
            yield law(f"he_{kind}", 3.0, he_gain(a), f"he_{kind}(a={a:g})")
    for activation, gain in CALCULATED_GAINS.items():
        extra = 2.0 if activation == facts.activation else 5.0
        for kind in ("uniform", "normal"):
            yield law(f"xavier_{kind}", extra, gain, f"xavier_{kind}(gain={gain:.3g})")
    yield Law(  # stddev = 1/sqrt(fan_in) before the cut at two of them
        name="haiku_default",
        distribution="truncated_normal",
        std=TRUNCATED_STD / math.sqrt(fan_in),
        gain=TRUNCATED_STD,
        cost=cost + 1.0,
    )
    small = math.sqrt(2.0 / (5.0 * fan_in))  # Nguyen & Salazar 2019
    yield Law(name="small_init", distribution="normal", std=small, gain=1.0, cost=cost + 3.0)
    yield Law(  # the variance of torch's default with a normal law
        name="he_normal(gain=1/sqrt(3))",
        distribution="normal",
        std=math.sqrt(1.0 / (3.0 * fan_in)),
        gain=1.0,
        cost=cost + 3.5,
    )
