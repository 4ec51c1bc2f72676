"""measure(): statistics, provenance and target of every layer; of one that cannot be read the reason."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Final, TypeAlias

from initaudit.errors import UnsupportedWeight
from initaudit.initialisation.input_gains import input_gains
from initaudit.initialisation.targets import Target, target_for
from initaudit.kind import Kind
from initaudit.measuring.coincidence import without_coincidences
from initaudit.measuring.forked import processes, share
from initaudit.measuring.input_mean import removed_mean
from initaudit.measuring.layer_audit import LayerAudit
from initaudit.measuring.packed import with_packed_draws
from initaudit.model.identity import digest_of
from initaudit.remembering import once
from initaudit.stats import WeightStats, weigh
from initaudit.stats.provenance import LayerFacts, Provenance, recognise

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator

    import numpy as np

    from initaudit.extraction.layer import Layer


VALUE_COST: Final = 2e-9
"""Seconds to weigh a value of a large tensor, as `benchmarks/static.py` gives it; it need only tell which half of the work is which."""
LAYER_COST: Final = 1e-3
"""Seconds to weigh a small tensor: the time of the same script for many small layers, divided by their number."""

WORTH_SHARING: Final = 0.5
"""Seconds of work from which processes are started for it. A judgement: ten times what starting one and taking its results back
costs."""

TURNS: Final = 16
"""Parts for each process: none waits longer for the last one than a sixteenth of its own work."""

Targets: TypeAlias = Mapping[int, Target | None]
"""By the identity of the layer."""
Weighing = tuple[WeightStats, WeightStats | None, Provenance | None, float | None]
"""Of one layer: the statistics of its weight and its bias, the law of the weight, and the mean that the bias takes out."""


def measure(layers: Sequence[Layer], *, seed: int = 0) -> tuple[tuple[LayerAudit, ...], tuple[tuple[Layer, str], ...]]:
    """Weigh each distinct weight once, however many layers share it; layers that cannot be weighed come with the reason."""
    branches = sum(layer.ends_residual_branch and layer.kind.is_drawn for layer in layers)
    audits: list[LayerAudit] = []
    unread: list[tuple[Layer, str]] = []
    gains = input_gains(layers)
    targets = {
        id(layer): target_for(layer, residual_branches=branches, gain_before=gains.get(layer.name, 1.0))
        for layer in layers
    }
    weighings = _weigh_all(layers, targets, seed)
    for layer in layers:
        found = weighings[id(layer)]
        if isinstance(found, str):
            unread.append((layer, found))
            continue
        stats, bias, provenance, mean = found
        target = targets[id(layer)]
        audits.append(
            LayerAudit(layer=layer, stats=stats, provenance=provenance, target=target, bias=bias, input_mean=mean)
        )
    return tuple(without_coincidences(with_packed_draws(audits))), tuple(unread)


def _weigh_all(layers: Sequence[Layer], targets: Targets, seed: int) -> dict[int, Weighing | str]:
    """By the identity of the layer: its weighing, or why there is none."""

    def weigh_part(part: Sequence[Layer]) -> list[Weighing | str]:
        biases: dict[Hashable, WeightStats | None] = {}
        found: list[Weighing | str] = []
        for _, group in groupby(part, key=_key):  # the values of one weight at a time
            found += _weigh_once(list(group), targets, biases, seed)
        return found

    parts, count = _parts(layers)
    results = share(weigh_part, parts, count)
    return {
        id(layer): found
        for part, result in zip(parts, results, strict=True)
        for layer, found in zip(part, result, strict=True)
    }


def _weigh_once(
    layers: Sequence[Layer], targets: Targets, biases: dict[Hashable, WeightStats | None], seed: int
) -> list[Weighing | str]:
    """The weighings of layers that use the same weight."""
    return once(lambda: _question(layers, targets, seed), lambda: list(_weighings(layers, targets, biases, seed)))


def _question(layers: Sequence[Layer], targets: Targets, seed: int) -> Hashable:
    """What decides the weighings of layers that use the same weight; of what cannot be read, a question of its own."""
    view = layers[0].weight
    try:
        values = digest_of(view.array())
        biases = [None if layer.bias is None else digest_of(_bias_values(layer)) for layer in layers]
    except UnsupportedWeight:
        return object()
    facts = [(facts_of(a, targets[id(a)]), a.untrainable, str(a.node.attr("strides"))) for a in layers]
    return values, view.unit_axes, view.input_axes, view.part, layers[0].groups, seed, (*facts,), (*biases,)


def _parts(layers: Sequence[Layer]) -> tuple[list[list[Layer]], int]:
    """The layers in stretches of about equal work, each weight's layers together, and for how many processes."""
    by_weight: dict[Hashable, list[Layer]] = {}
    for layer in layers:
        by_weight.setdefault(_key(layer), []).append(layer)
    costs = [VALUE_COST * math.prod(group[0].weight.shape) + LAYER_COST * len(group) for group in by_weight.values()]
    total = sum(costs)
    count = processes() if total > WORTH_SHARING else 1
    parts: list[list[Layer]] = []
    load = math.inf
    for group, cost in zip(by_weight.values(), costs, strict=True):
        if load > total / (count * TURNS):
            parts.append([])
            load = 0.0
        parts[-1].extend(group)
        load += cost
    return parts, count


def _weighings(
    layers: Sequence[Layer], targets: Targets, biases: dict[Hashable, WeightStats | None], seed: int
) -> Iterator[Weighing | str]:
    """Of layers that use the same weight, in their order."""
    view, groups = layers[0].weight, layers[0].groups
    try:
        stats = weigh(view.array(), unit_axes=view.unit_axes, input_axes=view.input_axes, groups=groups, seed=seed)
    except UnsupportedWeight as error:
        yield from [str(error)] * len(layers)
        return
    summary = stats.summary(rows=any(layer.kind is Kind.EMBEDDING for layer in layers))
    for layer in layers:
        try:
            bias = _weigh_bias(layer, biases, seed)
        except UnsupportedWeight as error:
            yield str(error)
        else:
            origin = _provenance(layer, targets[id(layer)], stats, bias)
            yield summary, bias, origin, _input_mean(layer, bias, origin)


def facts_of(layer: Layer, target: Target | None) -> LayerFacts:
    """What provenance needs to know of a layer."""
    return LayerFacts(
        kind=layer.kind,
        shape=layer.weight.shape,
        fan_in=layer.fan_in,
        fan_out=layer.fan_out,
        groups=layer.groups,
        hidden_size=layer.hidden_size,
        unit_axes=layer.weight.unit_axes,
        input_axes=layer.weight.input_axes,
        activation=layer.activation,
        target_scheme=target.scheme if target is not None else None,
        target_std=target.std if target is not None else None,
        dtype=layer.weight.dtype,
        packed_units=_packed_units(layer),
        may_be_folded=_may_be_folded(layer),
    )


def _may_be_folded(layer: Layer) -> bool:
    """Whether a normalisation may be folded into the layer: that leaves a bias, and exporters do it to convolutions."""
    return layer.folded_norm or (layer.kind.is_convolution and "bias" in layer.auxiliary)


def _packed_units(layer: Layer) -> int | None:
    view = layer.weight
    if view.part is None or len(view.tensors) != 1 or not layer.fan_in:
        return None
    units, rest = divmod(view.tensors[0].size, int(layer.fan_in))
    return units if rest == 0 and units > layer.fan_out else None


def _provenance(layer: Layer, target: Target | None, stats: WeightStats, bias: WeightStats | None) -> Provenance | None:
    if not layer.kind.is_drawn or layer.untrainable is not None:
        return None
    return recognise(stats, facts_of(layer, target), bias)


def _input_mean(layer: Layer, bias: WeightStats | None, origin: Provenance | None) -> float | None:
    """Sought where the weights are orthogonal, as those of a chain are that is shaped as a whole."""
    varies = bias is not None and bias.std > 0
    return removed_mean(layer) if varies and origin is not None and origin.distribution == "orthogonal" else None


def _key(layer: Layer) -> Hashable:
    view = layer.weight
    return (tuple(id(t) for t in view.tensors), view.steps, view.part, view.shape, layer.groups)


def _weigh_bias(layer: Layer, known: dict[Hashable, WeightStats | None], seed: int) -> WeightStats | None:
    if layer.bias is None or layer.bias.size == 0 or not layer.bias.is_floating:
        return None
    key = (id(layer.bias), layer.bias_slice)
    if key not in known:
        known[key] = weigh(_bias_values(layer), unit_axes=(0,), input_axes=(), seed=seed).summary()
    return known[key]


def _bias_values(layer: Layer) -> np.ndarray:
    """The layer's own elements of its bias, flat."""
    assert layer.bias is not None
    values = layer.bias.array().reshape(-1)
    return values if layer.bias_slice is None else values[slice(*layer.bias_slice)]
