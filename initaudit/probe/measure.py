"""measure(): everything the probe's process finds out about a model whose inputs are made."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from onnx import ModelProto, TensorProto

from initaudit.errors import ProbeError
from initaudit.model.operators import operator_spec
from initaudit.probe.backward import Backward
from initaudit.probe.float16 import Ranges
from initaudit.probe.forward import observe
from initaudit.probe.gradient import Gradient, spread_of
from initaudit.probe.inputs.tails import RARE, WIDER, heavy_tailed
from initaudit.probe.instrument import freeze_statistics
from initaudit.probe.nonfinite import first_nonfinite
from initaudit.probe.norms import batch_norms, restore_folded
from initaudit.probe.outputs import constant_outputs
from initaudit.probe.plan import LayerPlan
from initaudit.probe.precision import precision_of
from initaudit.probe.real_numbers import RealNumbers, has_integer_layers, is_rounded, real_numbers
from initaudit.probe.runs import Runs, batched_runs, single_runs, widened
from initaudit.probe.segments import Network
from initaudit.probe.session import open_session, trial_options
from initaudit.probe.shadow import shadow, uses
from initaudit.probe.stacking import Stack
from initaudit.probe.summary import departures, summarise

if TYPE_CHECKING:
    from pathlib import Path

    from initaudit.probe.inputs import Feeds
    from initaudit.probe.norms import BatchNorms
    from initaudit.probe.observed import Forward

REAL = "the network computes with integers; it was measured in the real numbers that they stand for, without rounding"
STRAIGHT = "the network rounds its values; gradients pass the rounding as in quantisation-aware training"
IN_LOOPS = "gradients were not measured at the layers in loops"
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
    *,
    half: frozenset[str] = frozenset(),
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
        half: values that the file computes in float16, whatever `model` does.

    Returns:
        {"signals": {layer: fields of `Signal`}, "skipped": {layer: reason}, "batch", "batch_norm": "batch" | "running" |
        None, "norms_restored": bool, "nonfinite_node": str | None, "constant_outputs": [str], "float16": `Ranges.verdict` | None,
        "tails": {layer: ratio}, "cut_short": why the clock ended the drawing early, absent where it was not tried, "notes": [str]}.

    Raises:
        ProbeError: the network cannot be run.
    """
    layers = tuple(LayerPlan.from_json(layer) for layer in plan["layers"])
    notes: list[str] = []
    if has_integer_layers(model, layers):
        real = _in_real_numbers(model, folder)
        if real is not None:
            model, layers = real.model, real.plans(layers)
            notes.append(REAL)
    layers, restored = restore_folded(model, layers, folder)
    norms = batch_norms(model, folder)
    runs = batched_runs(feeds) if norms.by_batch else single_runs(feeds)
    ranges = Ranges(model)
    forward, extents = _forward_with_extents(
        model, folder, layers, runs, ranges.wanted, norms=norms, seed=options["seed"]
    )
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
        "constant_outputs": [],
        "float16": None if extents is None else ranges.verdict(extents, half),
        "tails": {},
        "notes": [*notes, RESTORED] if restored else notes,
    }
    if any(signal["variance"] == 0.0 for signal in signals.values()):
        known = {} if norms.by_batch else forward.values  # which normalised by a batch that these runs have not
        answer["constant_outputs"] = constant_outputs(model, folder, single_runs(feeds), known)
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
    gradients = _backward(model, folder, layers, forward=forward, feeds=feeds, options=options, answer=answer)
    spread = spread_of(gradients)
    for name, gradient in gradients.items():
        if name in signals and (gradient.squares or gradient.weight_squares):
            signals[name] = signals[name] | gradient.to_json(spread)
    return answer


def _forward_with_extents(
    model: ModelProto,
    folder: Path | None,
    layers: Sequence[LayerPlan],
    runs: Runs,
    wanted: Sequence[str],
    *,
    norms: BatchNorms,
    seed: int,
) -> tuple[Forward, Mapping[str, float] | None]:
    """What `_forward` gives, and the extents of the values `wanted` where the network computes in float32; None where they cannot be had."""
    if uses(model, frozenset((TensorProto.FLOAT16,))):
        forward = _forward(model, folder, layers, runs, norms=norms, seed=seed)
        wide = ModelProto()
        wide.CopyFrom(model)
        shadow(wide)
        try:
            return forward, _forward(wide, folder, (), widened(runs), norms=norms, seed=seed, extents=wanted).extents
        except ProbeError:
            return forward, None
    try:
        forward = _forward(model, folder, layers, runs, norms=norms, seed=seed, extents=wanted)
    except ProbeError:  # an empty value has no largest element
        return _forward(model, folder, layers, runs, norms=norms, seed=seed), None
    return forward, forward.extents


def _forward(
    model: ModelProto,
    folder: Path | None,
    layers: Sequence[LayerPlan],
    runs: Runs,
    *,
    norms: BatchNorms,
    seed: int,
    extents: Iterable[str] = (),
) -> Forward:
    """What `observe` brings out of a copy of the model."""
    copy = ModelProto()
    copy.CopyFrom(model)
    untouched = [n for n in copy.graph.node if n.op_type == "BatchNormalization" and n.output[0] in norms.by_batch]
    return observe(copy, folder, layers, runs, seed=seed, batch_norms=untouched, extents=extents)


def _backward(
    model: ModelProto,
    folder: Path | None,
    layers: Sequence[LayerPlan],
    *,
    forward: Forward,
    feeds: Feeds,
    options: Mapping[str, Any],
    answer: dict[str, Any],
) -> Mapping[str, Gradient]:
    """Gradients by layer; none, with a note in the answer, where there cannot be any."""
    notes: list[str] = answer["notes"]
    if options.get("mode") != "full":
        return {}
    copy = ModelProto()
    copy.CopyFrom(model)
    freeze_statistics(copy, forward.statistics)
    network = Network(copy)
    if any(layer.in_loop for layer in layers):
        notes.append(IN_LOOPS)
    if is_rounded(network):
        real = _in_real_numbers(copy, folder)
        if real is not None:
            network, layers = Network(real.model), real.plans(layers)
            notes.append(STRAIGHT)
    reason = _no_gradient(network)
    runs = single_runs(feeds)
    if runs.rows == 1:
        forward = replace(forward, values={name: value.of_one_input() for name, value in forward.values.items()})
    seen = [
        layer
        for layer in layers
        if layer.output in forward.values
        and forward.values[layer.output].dtype.kind == "f"
        and layer.output in network.position
        and not layer.in_loop
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
            answer["cut_short"] = backward.cut_short
        except ProbeError as error:
            reason = str(error)
        else:
            if len(gradients) < len(seen):
                notes.append(f"gradients were measured at {len(gradients)} of {len(seen)} layers: the network is large")
            return gradients
    if reason is not None:
        notes.append(f"gradients were not measured: {reason}")
    return {}


def _in_real_numbers(model: ModelProto, folder: Path | None) -> RealNumbers | None:
    """The network in real numbers, where it has a meaning in them that onnxruntime takes."""
    real = real_numbers(model)
    try:
        if real is not None:
            open_session(real.model, folder, trial_options())
    except ProbeError:
        return None
    return real


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
