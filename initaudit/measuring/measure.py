"""measure(): statistics, provenance and target of every layer; of one that cannot be read the reason."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

from initaudit.errors import UnsupportedWeight
from initaudit.initialisation.input_gains import input_gains
from initaudit.initialisation.targets import Target, target_for
from initaudit.kind import Kind
from initaudit.measuring.coincidence import without_coincidences
from initaudit.measuring.input_mean import removed_mean
from initaudit.measuring.layer_audit import LayerAudit
from initaudit.measuring.packed import with_packed_draws
from initaudit.measuring.sharing import Readers, engine_for, may_be_shared, shared, shared_scans
from initaudit.model.identity import digest_of
from initaudit.model.located import located
from initaudit.remembering import is_known, once
from initaudit.stats import WeightStats, weigh
from initaudit.stats.provenance import LayerFacts, Provenance, recognise
from initaudit.stats.weigh import weigh_scanned

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator

    import numpy as np

    from initaudit.extraction.layer import Layer
    from initaudit.views.weight import WeightView


Targets: TypeAlias = Mapping[int, Target | None]
"""By the identity of the layer."""
Weighing = tuple[WeightStats, WeightStats | None, Provenance | None, float | None]
"""Of one layer: the statistics of its weight and its bias, the law of the weight, and the mean that the bias takes out."""


def measure(
    layers: Sequence[Layer], *, seed: int = 0, readers: Readers = None
) -> tuple[tuple[LayerAudit, ...], tuple[tuple[Layer, str], ...]]:
    """Weigh each distinct weight once, however many layers share it; layers that cannot be weighed come with the reason.

    `readers` read the large ones.
    """
    branches = sum(layer.ends_residual_branch and layer.kind.is_drawn for layer in layers)
    audits: list[LayerAudit] = []
    unread: list[tuple[Layer, str]] = []
    gains = input_gains(layers)
    targets = {
        id(layer): target_for(layer, residual_branches=branches, gain_before=gains.get(layer.name, 1.0))
        for layer in layers
    }
    weighings = _weigh_all(layers, targets, seed, readers)
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


def _weigh_all(layers: Sequence[Layer], targets: Targets, seed: int, readers: Readers) -> dict[int, Weighing | str]:
    """By the identity of the layer: its weighing, or why there is none."""
    by_weight: dict[Hashable, list[Layer]] = {}
    for layer in layers:
        by_weight.setdefault(_key(layer), []).append(layer)
    weights = list(by_weight.values())
    biases: dict[Hashable, WeightStats | None] = {}
    found: dict[int, Weighing | str] = {}

    def settle(group: Sequence[Layer], stats: WeightStats | None = None) -> None:
        weighings = once(
            lambda: _question(group, targets, seed), lambda: list(_weighings(group, targets, biases, seed, stats))
        )
        found.update((id(layer), weighing) for layer, weighing in zip(group, weighings, strict=True))

    def is_weighed(group: Sequence[Layer]) -> bool:
        return is_known(lambda: _question(group, targets, seed))

    large = [
        (n, group[0]) for n, group in enumerate(weights) if may_be_shared(group[0].weight) and not is_weighed(group)
    ]
    for number, stats in _weighed_by_others(large, seed, readers):
        settle(weights[number], stats)
    for group in weights:
        if id(group[0]) not in found:
            settle(group)
    return found


def _weighed_by_others(
    large: Sequence[tuple[int, Layer]], seed: int, readers: Readers
) -> Iterator[tuple[int, WeightStats]]:
    """Numbers and statistics of large weights that workers read, as they are finished; `large` are layers with the numbers of their weights."""
    with engine_for(readers, sum(math.prod(layer.weight.shape) for _, layer in large)) as engine:
        if engine is not None:
            handed_over = (shared(number, layer.weight, layer.groups, seed) for number, layer in large)
            for weight, scan in shared_scans(filter(None, handed_over), engine):
                yield weight.number, weigh_scanned(weight.plan, scan)


def _weighings(
    layers: Sequence[Layer],
    targets: Targets,
    biases: dict[Hashable, WeightStats | None],
    seed: int,
    stats: WeightStats | None,
) -> Iterator[Weighing | str]:
    """Of layers that use the same weight, in their order; `stats` where it was weighed already."""
    view, groups = layers[0].weight, layers[0].groups
    try:
        stats = stats or weigh(
            view.array(), unit_axes=view.unit_axes, input_axes=view.input_axes, groups=groups, seed=seed
        )
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


def _question(layers: Sequence[Layer], targets: Targets, seed: int) -> Hashable:
    """What decides the weighings of layers that use the same weight; of what cannot be read, a question of its own."""
    view = layers[0].weight
    try:
        values = _identity(view)
        biases = [None if layer.bias is None else digest_of(_bias_values(layer)) for layer in layers]
    except UnsupportedWeight:
        return object()
    facts = [(facts_of(a, targets[id(a)]), a.untrainable, str(a.node.attr("strides"))) for a in layers]
    return values, view.unit_axes, view.input_axes, view.part, layers[0].groups, seed, (*facts,), (*biases,)


def _identity(view: WeightView) -> Hashable:
    """Of the values: where they stand in a file if they are many, which spares reading them, else a digest."""
    values, held = view.array(), view.tensors[0].external() if may_be_shared(view) else None
    place = None if held is None else located(values, held)
    return place or digest_of(values)


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
