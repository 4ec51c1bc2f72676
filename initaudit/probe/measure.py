"""measure(): everything the probe's process finds out about a model whose inputs are made."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import ModelProto, TensorProto

from initaudit.errors import ProbeError
from initaudit.model.operators import operator_spec
from initaudit.model.tensors import tensor_from_proto
from initaudit.probe.backward import Backward
from initaudit.probe.forward import observe
from initaudit.probe.gradient import Gradient, spread_of
from initaudit.probe.instrument import freeze_statistics
from initaudit.probe.nonfinite import first_nonfinite
from initaudit.probe.plan import LayerPlan
from initaudit.probe.runs import Runs, batched_runs, single_runs
from initaudit.probe.segments import Network
from initaudit.probe.stacking import Stack
from initaudit.probe.summary import summarise

if TYPE_CHECKING:
    from pathlib import Path

    from initaudit.probe.inputs import Feeds
    from initaudit.probe.observed import Forward

STATISTICS_ROWS = 16
"""Inputs that share batch statistics in one run; the batch of a small training run, and a bound on memory."""


def measure(
    model: ModelProto,
    folder: Path | None,
    feeds: Feeds,
    plan: Mapping[str, Any],
    options: Mapping[str, Any],
    checkpoint: Callable[[dict[str, Any]], None] | None = None,
) -> dict[str, Any]:
    """Signals of the planned layers.

    Args:
        model: flattened, runnable; not changed.
        folder: where its external data lies.
        feeds: its inputs.
        plan: `Plan.to_json()`.
        options: `ProbeOptions.to_json()`.
        checkpoint: called with the answer as far as it is known when the forward signal is measured; the way back
            may need more time or memory than there is.

    Returns:
        {"signals": {layer: fields of `Signal`}, "skipped": {layer: reason}, "batch", "batch_norm": "batch" | "running" |
        None, "nonfinite_node": str | None, "notes": [str]}.

    Raises:
        ProbeError: the network cannot be run.
    """
    layers = tuple(LayerPlan.from_json(layer) for layer in plan["layers"])
    fresh, trained = batch_norms(model, folder)
    runs = batched_runs(feeds) if fresh else single_runs(feeds)
    copy = ModelProto()
    copy.CopyFrom(model)
    untouched = [n for n in copy.graph.node if n.op_type == "BatchNormalization" and n.output[0] in fresh]
    forward = observe(copy, folder, layers, runs, seed=options["seed"], batch_norms=untouched)
    del copy
    signals: dict[str, Any] = {}
    skipped: dict[str, str] = {}
    for layer in layers:
        signal = summarise(layer, forward)
        if signal is None:
            skipped[layer.name] = "its output holds no floating-point values"
        else:
            signals[layer.name] = signal
    answer: dict[str, Any] = {
        "signals": signals,
        "skipped": skipped,
        "batch": runs.inputs,
        "batch_norm": "batch" if fresh else "running" if trained else None,
        "nonfinite_node": _nonfinite_node(model, folder, layers, signals, runs),
        "notes": [],
    }
    if checkpoint is not None:
        checkpoint(answer)
    gradients = _backward(model, folder, layers, forward=forward, feeds=feeds, options=options, notes=answer["notes"])
    spread = spread_of(gradients)
    for name, gradient in gradients.items():
        if name in signals and gradient.squares:
            signals[name] = signals[name] | gradient.to_json(spread)
    return answer


def _backward(
    model: ModelProto,
    folder: Path | None,
    layers: Sequence[LayerPlan],
    *,
    forward: Forward,
    feeds: Feeds,
    options: Mapping[str, Any],
    notes: list[str],
) -> Mapping[str, Gradient]:
    """Gradients by layer; none, with a note, where there cannot be any."""
    if options.get("mode") != "full":
        return {}
    copy = ModelProto()
    copy.CopyFrom(model)
    freeze_statistics(copy, forward.statistics)
    network = Network(copy)
    reason = _no_gradient(network)
    runs = single_runs(feeds)
    if runs.rows == 1:
        forward = replace(forward, values={name: value.of_one_input() for name, value in forward.values.items()})
    seen = [
        layer for layer in layers if forward.values[layer.output].dtype.kind == "f" and layer.output in network.position
    ]
    if reason is None and seen:
        try:
            stack = Stack(feeds.batch_axes if feeds.batch_is_free else None)
            backward = Backward(
                network,
                folder,
                seen,
                forward,
                runs,
                stack=stack,
                seed=options["seed"],
                seconds=options["timeout"],
            )
            gradients = backward.measure()
        except ProbeError as error:
            reason = str(error)
        else:
            if len(gradients) < len(seen):
                notes.append(f"gradients were measured at {len(gradients)} of {len(seen)} layers: the network is large")
            return gradients
    if reason is not None:
        notes.append(f"gradients were not measured: {reason}")
    return {}


def _nonfinite_node(
    model: ModelProto, folder: Path | None, layers: Sequence[LayerPlan], signals: Mapping[str, Any], runs: Runs
) -> str | None:
    """The node to blame where some layer is not finite."""
    bad = [layer.preactivation for layer in layers if layer.name in signals and signals[layer.name]["nonfinite"] > 0]
    if not bad:
        return None
    for feed in runs.feeds:
        copy = ModelProto()
        copy.CopyFrom(model)
        try:
            found = first_nonfinite(copy, folder, feed, bad)
        except ProbeError:
            return None
        if found is not None:
            return found
    return None


def _no_gradient(network: Network) -> str | None:
    """Why perturbations would say nothing, or None."""
    if network.is_random:
        return "the network draws random numbers"
    if any(operator_spec(node.op_type, node.domain).rounds for node, _ in network.nodes):
        return "the network computes with integers, whose rounding has no gradient"
    return None


def batch_norms(model: ModelProto, folder: Path | None) -> tuple[frozenset[str], frozenset[str]]:
    """First outputs of the BatchNormalization nodes whose running statistics are at their defaults, and of the others.

    The defaults are mean 0 and variance 1, with which a network starts its training; there the statistics of the batch
    are what it will see.
    """
    tensors = {t.name: t for t in model.graph.initializer}
    for node in model.graph.node:  # exporters that store equal tensors once hand them out through Identity
        if node.op_type == "Identity" and node.input[0] in tensors:
            tensors[node.output[0]] = tensors[node.input[0]]
    fresh: set[str] = set()
    trained: set[str] = set()
    for node in model.graph.node:
        if node.op_type != "BatchNormalization" or len(node.input) < 5:
            continue
        default = _is(tensors.get(node.input[3]), 0.0, folder) and _is(tensors.get(node.input[4]), 1.0, folder)
        (fresh if default and len([o for o in node.output if o]) == 1 else trained).add(node.output[0])
    return frozenset(fresh), frozenset(trained)


def _is(tensor: TensorProto | None, value: float, folder: Path | None) -> bool:
    """Whether every stored element is `value`."""
    if tensor is None:
        return False
    return bool(np.all(tensor_from_proto(tensor, name=tensor.name, folder=folder).array() == value))
