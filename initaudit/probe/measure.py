"""measure(): everything the probe's process finds out about a model whose inputs are made."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from onnx import ModelProto

from initaudit.errors import ProbeError
from initaudit.model.operators import operator_spec
from initaudit.probe.backward import Backward
from initaudit.probe.forward import observe
from initaudit.probe.gradient import Gradient, spread_of
from initaudit.probe.inputs.tails import RARE, WIDER, heavy_tailed
from initaudit.probe.instrument import freeze_statistics
from initaudit.probe.nonfinite import first_nonfinite
from initaudit.probe.norms import batch_norms, restore_folded
from initaudit.probe.plan import LayerPlan
from initaudit.probe.precision import precision_of
from initaudit.probe.runs import Runs, batched_runs, single_runs
from initaudit.probe.segments import Network
from initaudit.probe.stacking import Stack
from initaudit.probe.summary import departures, summarise

if TYPE_CHECKING:
    from pathlib import Path

    from initaudit.probe.inputs import Feeds
    from initaudit.probe.norms import BatchNorms
    from initaudit.probe.observed import Forward

RESTORED = "the exporter folded fresh BatchNorms into the layers before them; they were put back, as in training"
HEAVY = (
    "values that depend on the input are multiplied: inputs with heavy tails "
    f"({RARE:.0%} of the values {WIDER:g} times as wide, unit variance) were fed as well"
)


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
        model: flattened, runnable; its BatchNorms are changed to what training would run.
        folder: where its external data lies.
        feeds: its inputs.
        plan: `Plan.to_json()`; with "superlinear" true, heavy-tailed inputs are fed as well.
        options: `ProbeOptions.to_json()`.
        checkpoint: called with the answer as far as it is known when the forward signal is measured; the way back
            may need more time or memory than there is.

    Returns:
        {"signals": {layer: fields of `Signal`}, "skipped": {layer: reason}, "batch", "batch_norm": "batch" | "running" |
        None, "norms_restored": bool, "nonfinite_node": str | None, "tails": {layer: ratio}, "notes": [str]}.

    Raises:
        ProbeError: the network cannot be run.
    """
    layers = tuple(LayerPlan.from_json(layer) for layer in plan["layers"])
    layers, restored = restore_folded(model, layers, folder)
    norms = batch_norms(model, folder)
    runs = batched_runs(feeds) if norms.by_batch else single_runs(feeds)
    forward = _forward(model, folder, layers, runs, norms=norms, seed=options["seed"])
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
        "batch_norm": "batch" if norms.by_batch else "running" if norms.by_running else None,
        "norms_restored": restored,
        "nonfinite_node": _nonfinite_node(model, folder, layers, signals, runs),
        "tails": {},
        "notes": [RESTORED] if restored else [],
    }
    if checkpoint is not None:
        checkpoint(answer)
    wild = heavy_tailed(feeds, options["seed"]) if plan.get("superlinear") else None
    if wild is not None:
        runs = batched_runs(wild) if norms.by_batch else single_runs(wild)
        try:
            heavy = _forward(model, folder, layers, runs, norms=norms, seed=options["seed"])
        except ProbeError as error:
            answer["notes"].append(f"heavy-tailed inputs were not fed: {error}")
        else:
            answer["notes"].append(HEAVY)
            answer["tails"] = departures(layers, signals, heavy)
    gradients = _backward(model, folder, layers, forward=forward, feeds=feeds, options=options, notes=answer["notes"])
    spread = spread_of(gradients)
    for name, gradient in gradients.items():
        if name in signals and (gradient.squares or gradient.weight_squares):
            signals[name] = signals[name] | gradient.to_json(spread)
    return answer


def _forward(
    model: ModelProto, folder: Path | None, layers: Sequence[LayerPlan], runs: Runs, *, norms: BatchNorms, seed: int
) -> Forward:
    """What `observe` brings out of a copy of the model."""
    copy = ModelProto()
    copy.CopyFrom(model)
    untouched = [n for n in copy.graph.node if n.op_type == "BatchNormalization" and n.output[0] in norms.by_batch]
    return observe(copy, folder, layers, runs, seed=seed, batch_norms=untouched)


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
                precision=precision_of(exact=options.get("exact", False)),
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
