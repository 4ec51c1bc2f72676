"""What the probe does with a graph in front of its sessions: for tests and benchmarks that count how much work that is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from onnx import ModelProto

from initaudit.model.build import build_graph
from initaudit.probe.adapt import adapt
from initaudit.probe.branches import take_branches
from initaudit.probe.cost import run_cost
from initaudit.probe.flatten import flatten
from initaudit.probe.float16 import Ranges, half_values
from initaudit.probe.forward import wanted_taps
from initaudit.probe.growth import is_superlinear
from initaudit.probe.inputs.follow import facts_of
from initaudit.probe.instrument import GraphEditor, tap
from initaudit.probe.loops import bring_out
from initaudit.probe.norms import batch_norms, restore_folded
from initaudit.probe.pieces import Pieces
from initaudit.probe.plan import make_plans, values_in_loops
from initaudit.probe.weight_change import layers_alone

if TYPE_CHECKING:
    from initaudit.extraction.layer import Layer
    from initaudit.model.load import Model


def plan(model: Model, layers: tuple[Layer, ...]) -> None:
    """Plan the way forward and the way back, build the graphs of both, and look for what the inputs take; no session is opened."""
    first, *_ = make_plans(model.graph, layers)
    is_superlinear(model.graph, [layer.output for layer in first.layers])
    proto = ModelProto()
    proto.CopyFrom(model.proto)
    proto = flatten(proto)
    take_branches(proto, first.branches)
    bring_out(proto, values_in_loops(first.to_json()["layers"]))
    half_values(proto)
    proto, _ = adapt(proto)
    for value in build_graph(proto, None).inputs:
        facts_of(value, len(value.dims or ()))
    planned, _ = restore_folded(proto, first.layers, None)
    batch_norms(proto, None)
    network = Ranges(proto).network
    back = [layer for layer in planned if layer.output in network.position]
    run_cost(proto, {value.name: (2,) * len(value.dims or ()) for value in model.graph.inputs})
    alone = layers_alone(network, back, None, 1)
    dtypes = {layer.output: np.dtype(np.float32) for layer in back}
    Pieces(network, back, dtypes, [name for one in alone.values() for name in one.inputs], None, 1)
    editor = GraphEditor(proto)
    for wanted in wanted_taps(planned)[0].values():
        tap(editor, wanted)
    editor.finish()
