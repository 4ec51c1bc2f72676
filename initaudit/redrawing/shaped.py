"""New values for a chain that is shaped as a whole."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from initaudit.errors import FixRefused
from initaudit.extraction.extract import extract_layers
from initaudit.redrawing.biases import set_bias, size_of_bias, writable_bias
from initaudit.redrawing.choice import Change, Refusal
from initaudit.redrawing.contents import Contents
from initaudit.redrawing.placing import place
from initaudit.redrawing.positions import positions
from initaudit.redrawing.spread import spread

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from initaudit.extraction.layer import Layer
    from initaudit.measuring.layer_audit import LayerAudit
    from initaudit.model.load import Model
    from initaudit.redrawing.chain import Link

SHAPED = "orthogonal, shaped"
"""What stands for a scheme where a layer is drawn as a part of the whole chain."""
WRONG = "Its chain would not learn well from layers that each start as recommended."
"""What was wrong with a layer that is drawn so."""


def shape_chain(
    model: Model, links: Sequence[Link], seed: int, heads: Mapping[str, float] | None = None
) -> tuple[tuple[Change, ...], tuple[Refusal, ...], Contents]:
    """New values for every link; the model itself stays as it is.

    Args:
        model: of which the links are.
        links: layers of a chain.
        seed: of the draws; a layer's depth is mixed into it.
        heads: by name of a layer, what its weights and biases are multiplied by.
    """
    layers = {layer.depth: layer for layer in extract_layers(model).layers}
    changes: list[Change] = []
    refusals: list[Refusal] = []
    contents = Contents()
    for link in links:
        layer = layers[link.audit.layer.depth]
        factor = (heads or {}).get(link.audit.layer.name, 1.0)
        try:
            weights = link.weights(layer, np.random.default_rng([seed, layer.depth])) * factor
            placed = place(layer, model, weights, contents)
        except FixRefused as refusal:
            refusals.append(Refusal(layer=layer.name, reason=str(refusal)))
            continue
        if link.has_bias:
            set_bias(layer, link.bias(layer, weights), contents)
        change = _change(link.audit, layer, weights, contents, bias=link.has_bias)
        if placed.bias is not None:
            change = replace(change, bias=placed.bias, bias_before=placed.bias_before, bias_after=0.0)
        changes.append(replace(change, scale=placed.scale))
        if link.norm is not None:
            norm = layers[link.norm.layer.depth]
            changes.append(_set_norm(link, norm, contents))
    return tuple(changes), tuple(refusals), contents


def _set_norm(link: Link, norm: Layer, contents: Contents) -> Change:
    assert link.norm is not None
    scales = np.full(norm.weight.shape, link.shape.spread)
    contents.put(norm.weight.tensors[0], positions(norm.weight), scales)
    has_bias = writable_bias(norm) is not None
    if has_bias:
        set_bias(norm, link.shape.shift, contents)
    return _change(link.norm, norm, scales, contents, bias=has_bias)


def _change(audit: LayerAudit, layer: Layer, weights: np.ndarray, contents: Contents, *, bias: bool) -> Change:
    mean, std = spread(weights)
    return Change(
        layer=layer.name,
        title=layer.title,
        initializer=layer.weight.tensors[0].name,
        scheme=SHAPED,
        reason="chain",
        wrong=WRONG,
        std_before=audit.stats.std,
        std_after=std,
        mean_before=audit.stats.mean,
        mean_after=mean,
        bias=layer.bias.name if bias and layer.bias is not None else None,
        bias_before=audit.bias.mean if bias and audit.bias is not None else None,
        bias_after=size_of_bias(layer, contents) if bias else None,
    )
