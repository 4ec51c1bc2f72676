"""measure(): statistics, provenance and target of every layer; what cannot be read becomes a Skipped with its reason."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from initaudit.errors import UnsupportedWeight
from initaudit.layers import Layer, Skipped
from initaudit.report import LayerAudit
from initaudit.stats import WeightStats, weigh
from initaudit.stats.provenance import LayerFacts, Provenance, recognise
from initaudit.targets import target_for

if TYPE_CHECKING:
    from collections.abc import Hashable

UNDRAWN_KINDS = frozenset({"norm", "scale"})
"""Kinds whose weights start at a constant in every framework; no scheme draws them, so none is looked for."""


def measure(layers: Sequence[Layer], *, seed: int = 0) -> tuple[tuple[LayerAudit, ...], tuple[Skipped, ...]]:
    """Weigh each distinct weight once, however many layers share it."""
    known: dict[Hashable, WeightStats] = {}
    branches = sum(layer.ends_residual_branch and layer.kind not in UNDRAWN_KINDS for layer in layers)
    audits: list[LayerAudit] = []
    skipped: list[Skipped] = []
    for layer in layers:
        try:
            stats = _weigh(layer, known, seed)
            bias = _weigh_bias(layer, known, seed)
        except UnsupportedWeight as error:
            name = layer.weight.tensors[0].name if layer.weight.tensors else layer.name
            skipped.append(Skipped(initializer=name, parameters=layer.parameters, reason=str(error), is_parameter=True))
            continue
        audits.append(
            LayerAudit(
                layer=layer,
                stats=stats,
                provenance=_provenance(layer, stats),
                target=target_for(layer, residual_branches=branches),
                bias=bias,
            )
        )
    return tuple(audits), tuple(skipped)


def facts_of(layer: Layer) -> LayerFacts:
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
        activation_params=layer.activation_params,
        dtype=layer.weight.dtype,
    )


def _provenance(layer: Layer, stats: WeightStats) -> Provenance | None:
    if layer.kind in UNDRAWN_KINDS or layer.untrainable is not None:
        return None
    return recognise(stats, facts_of(layer))


def _weigh(layer: Layer, known: dict[Hashable, WeightStats], seed: int) -> WeightStats:
    view = layer.weight
    key = (tuple(id(t) for t in view.tensors), view.steps, view.part, view.shape, layer.groups)
    if key not in known:
        known[key] = weigh(
            view.array(), unit_axes=view.unit_axes, input_axes=view.input_axes, groups=layer.groups, seed=seed
        )
    return known[key]


def _weigh_bias(layer: Layer, known: dict[Hashable, WeightStats], seed: int) -> WeightStats | None:
    if layer.bias is None or layer.bias.size == 0 or not layer.bias.is_floating:
        return None
    key = (id(layer.bias), layer.bias_slice)
    if key not in known:
        values = layer.bias.array().reshape(-1)
        if layer.bias_slice is not None:
            values = values[slice(*layer.bias_slice)]
        known[key] = weigh(values, unit_axes=(0,), input_axes=(), seed=seed)
    return known[key]
