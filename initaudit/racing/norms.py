"""with_norms(): a model whose fresh BatchNorms an exporter folded away, with the norms that training would run."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from initaudit.extraction.extract import extract_layers
from initaudit.model.build import build_graph
from initaudit.probe.norms import restore_folded
from initaudit.probe.plan import make_plans
from initaudit.racing.rewriting import flattened

if TYPE_CHECKING:
    from initaudit.model.load import Model


def with_norms(model: Model) -> Model:
    """The same network as its predictions are about: each norm that the probe puts back learns a scale and a bias of its own.

    The model itself where no norm was folded, or not all of them were fresh.
    """
    layers = extract_layers(model).layers
    if not any(layer.folded_norm for layer in layers):
        return model
    proto = flattened(model)
    _, restored = restore_folded(proto, make_plans(model.graph, layers)[0].layers, model.folder)
    if not restored:
        return model
    return replace(model, path=None, proto=proto, graph=build_graph(proto, model.folder))
