"""Weights fitted to the inputs, layer by layer: each sees what the layers before it, already fitted, make of the inputs.

The network is run in pieces from one layer to the next, so that all of it runs about twice, however many layers it has.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import ModelProto, TensorProto, helper

from initaudit.errors import ProbeError
from initaudit.initialisation.whitening import ROWS_PER_DIRECTION, whitening
from initaudit.model.stored import clear_values
from initaudit.probe.arriving import Kernel, arriving
from initaudit.probe.inputs.feeds import DEFAULT_BATCH
from initaudit.probe.instrument import GraphEditor, use_batch_statistics
from initaudit.probe.norms import batch_norms, restore_folded
from initaudit.probe.plan import LayerPlan
from initaudit.probe.runs import Runs, batched_runs, single_runs
from initaudit.probe.sampling import SAMPLE, positions
from initaudit.probe.segments import Network
from initaudit.probe.session import THREADS

if TYPE_CHECKING:
    from initaudit.probe.inputs import Feeds
    from initaudit.probe.segments import State

NEAR = 0.1
"""Difference of a signal variance from the wanted one that is left as it is (Mishkin & Matas 2016, algorithm 1)."""
ATTEMPTS = 3
"""Times a layer is scaled. What leaves it is linear in its weights, so that the second look finds it right."""
FEWEST_ROWS = 1024
"""Vectors taken of what arrives at a layer, where it is small. A judgement: their variance is then known within 5 %."""
ROWS_WANTED = ROWS_PER_DIRECTION + 1
"""The same per direction that is looked for, where as many can be had. A judgement: the time it takes grows with their third power."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """One layer to fit, by the names of the flattened model."""

    plan: LayerPlan
    method: str
    """lsuv or pca."""
    gain: float
    """Standard deviation that leaves the layer."""
    seed: int
    tensor: str
    """Stored weight."""
    index: int | None
    """Blob with the place of each element of the operand in the stored weight, int64; None where they are the same."""
    shape: tuple[int, ...]
    """Of the operand."""
    unit_axes: tuple[int, ...]
    input_axes: tuple[int, ...]
    groups: int
    kernel: Kernel | None
    bias: tuple[str, int, int] | None
    """Stored bias and the elements [start, stop) of it that are the layer's, where it may take the mean out."""

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Fitted:
        """From plain values."""
        fields: dict[str, Any] = {key: tuple(v) if isinstance(v, list) else v for key, v in values.items()}
        fields["plan"] = LayerPlan.from_json(values["plan"])
        fields["kernel"] = None if values["kernel"] is None else Kernel.from_json(values["kernel"])
        return cls(**fields)

    @property
    def units(self) -> int:
        """Rows of the weight matrix."""
        return math.prod(self.shape[axis] for axis in self.unit_axes)

    @property
    def inputs(self) -> int:
        """Columns of it."""
        return math.prod(self.shape[axis] for axis in self.input_axes)

    @property
    def rows(self) -> int:
        """Vectors wanted of what arrives."""
        return max(FEWEST_ROWS, ROWS_WANTED * min(self.units // self.groups, self.inputs))


def fit(
    model: ModelProto, folder: Path | None, layers: Sequence[Fitted], feeds: Feeds, indices: Sequence[np.ndarray]
) -> dict[str, str]:
    """Change the stored weights of the layers; why some could not be fitted, by layer.

    Args:
        model: as onnxruntime runs it, changed in place; `put` has stored what its layers begin with.
        folder: where its external data lies.
        layers: those to fit.
        feeds: inputs, see `initaudit.probe.enough`.
        indices: see `Fitted.index`.

    Raises:
        ProbeError: the network cannot be run.
    """
    plans, _ = restore_folded(model, [layer.plan for layer in layers], folder)
    layers = [replace(layer, plan=plan) for layer, plan in zip(layers, plans, strict=True)]
    norms = batch_norms(model, folder)
    together = norms.by_batch or feeds.batch > DEFAULT_BATCH
    runs = batched_runs(feeds) if together else single_runs(feeds)
    editor = GraphEditor(model)
    use_batch_statistics(editor, [n for n in model.graph.node if n.output and n.output[0] in norms.by_batch])
    journey = Journey(Network(editor.finish()), folder, runs)
    refused: dict[str, str] = {}
    for layer in sorted(layers, key=lambda layer: journey.network.position.get(layer.plan.node_output, -1)):
        try:
            _fit_layer(layer, journey, None if layer.index is None else indices[layer.index])
        except _UnfitError as reason:
            refused[layer.plan.name] = str(reason)
    return refused


def put(model: ModelProto, tensors: Mapping[str, bytes]) -> None:
    """Store values, as raw data, in stored tensors by name. Raises ProbeError where the main graph has none of the name."""
    for name, raw in tensors.items():
        _store(_stored(model, name), raw)


def take(model: ModelProto, layers: Iterable[Fitted]) -> dict[str, tuple[int, str]]:
    """What was fitted, by the name of the stored tensor: its ONNX type and its raw data in base64."""
    names = [name for layer in layers for name in (layer.tensor, *(layer.bias or ())[:1])]
    tensors = {name: _stored(model, name) for name in names}
    return {name: (t.data_type, base64.b64encode(t.raw_data).decode()) for name, t in tensors.items()}


class _UnfitError(Exception):
    """A layer that cannot be fitted, and why."""


def _fit_layer(layer: Fitted, journey: Journey, index: np.ndarray | None) -> None:
    network, plan = journey.network, layer.plan
    weight = network.constants.get(layer.tensor)
    at, end = network.position.get(plan.node_output), network.position.get(plan.output)
    if at is None or end is None or plan.in_loop or not isinstance(weight, TensorProto):
        raise _UnfitError("it lies in a loop or a body, whose values are not brought out one by one")
    journey.go_to(at)
    if layer.method == "lsuv":
        for _ in range(ATTEMPTS):
            variance = _signal_variance(journey.look(end + 1, plan.output), layer, journey.runs)
            if not 0 < variance < math.inf:
                raise _UnfitError("what leaves it does not vary over the inputs, or is not finite")
            if abs(variance / layer.gain**2 - 1.0) <= NEAR / 10:
                return
            flat = _values(weight)
            place = slice(None) if index is None else index
            flat[place] *= layer.gain / math.sqrt(variance)
            _store(weight, _round(flat, weight))
        if abs(variance / layer.gain**2 - 1.0) > NEAR:
            raise _UnfitError(f"what leaves it has variance {variance:.3g} whatever its scale")
        return
    matrix, bias = _whitened(layer, journey)
    axes = (*layer.unit_axes, *layer.input_axes)
    operand = matrix.reshape([layer.shape[axis] for axis in axes]).transpose(np.argsort(axes))
    flat = _values(weight)
    flat[slice(None) if index is None else index] = operand.reshape(-1)
    _store(weight, _round(flat, weight))
    if layer.bias is not None:
        name, start, stop = layer.bias
        stored = _stored(network.model, name)
        biases = _values(stored)
        biases[start:stop] = bias
        _store(stored, _round(biases, stored))


def _whitened(layer: Fitted, journey: Journey) -> tuple[np.ndarray, np.ndarray]:
    """Weights [units, inputs] and biases [units] from what arrives at the layer."""
    rng = np.random.default_rng([layer.seed, 1])
    assert layer.plan.input is not None
    values = [state[layer.plan.input] for state in journey.states]
    taken = arriving(values, layer.kernel, layer.rows, rng)
    rows = taken.reshape(len(taken), layer.groups, -1)
    if rows.shape[2] != layer.inputs or not np.isfinite(rows).all():
        raise _UnfitError("what arrives at it is not finite, or in another order than its weights")
    found = [
        whitening(rows[:, group], layer.units // layer.groups, rng, centre=layer.bias is not None)
        for group in range(layer.groups)
    ]
    parts = [part for part in found if part is not None]
    if len(parts) < len(found):
        raise _UnfitError("what arrives at it does not vary")
    weights, biases = (np.concatenate(arrays) * layer.gain for arrays in zip(*parts, strict=True))
    return weights, biases


def _signal_variance(values: Sequence[np.ndarray], layer: Fitted, runs: Runs) -> float:
    """Mean over units of the variance over inputs, as the probe has it, of a sample of the elements."""
    plan = layer.plan
    at = positions(values[0].shape, runs.rows, SAMPLE, plan.unit_slice, plan.channel_axis, layer.seed)
    sampled = np.concatenate([value.reshape(-1)[at] for value in values]).astype(np.float64)
    return float(np.mean(np.var(sampled, axis=0, ddof=1))) if len(sampled) > 1 else 0.0


class Journey:
    """The inputs on their way through the network."""

    def __init__(self, network: Network, folder: Path | None, runs: Runs) -> None:
        self.network = network
        self.runs = runs
        self.states: list[State] = [dict(feed) for feed in runs.feeds]
        """Values in front of `position` that are read from there on, for each run."""
        self.position = 0
        """Nodes that have been run."""
        self._folder = folder
        self._last: dict[str, int] = {}
        for place, (_, read) in enumerate(network.nodes):
            self._last |= dict.fromkeys(read, place)

    def go_to(self, position: int) -> None:
        """Run the nodes in front of `position`."""
        if position <= self.position:
            return
        made = {name for node, _ in self.network.nodes[self.position : position] for name in node.output if name}
        wanted = [name for name in sorted(made) if self._last.get(name, -1) >= position]
        for state, new in zip(self.states, self._run(position, wanted), strict=True):
            state.update(new)
            for name in [name for name in state if self._last.get(name, -1) < position]:
                del state[name]
        self.position = position

    def look(self, stop: int, value: str) -> list[np.ndarray]:
        """A value that the nodes up to `stop` make, for each run; they count as not run."""
        return [new[value] for new in self._run(stop, [value])]

    def _run(self, stop: int, wanted: Sequence[str]) -> list[State]:
        segment = self.network.segment(self.position, stop, inject=(), expose=wanted)
        if not wanted:
            return [{} for _ in self.states]
        segment.open(self.states[0], {}, self._folder, THREADS)
        return [segment.run(state, {}, wanted) for state in self.states]


def _stored(model: ModelProto, name: str) -> TensorProto:
    """The tensor of the main graph of this name; what a Constant node gives becomes an initializer. Raises ProbeError."""
    for tensor in model.graph.initializer:
        if tensor.name == name:
            return tensor
    for node in model.graph.node:
        if node.op_type == "Constant" and list(node.output) == [name] and node.attribute[0].name == "value":
            tensor = model.graph.initializer.add()
            tensor.CopyFrom(node.attribute[0].t)
            tensor.name = name
            model.graph.node.remove(node)
            return tensor
    raise ProbeError(f"the weight {name!r} is stored in a function or a body")


def _values(tensor: TensorProto) -> np.ndarray:
    """Flat, float64. The tensor holds its values itself, as `_store` leaves it."""
    return np.frombuffer(tensor.raw_data, helper.tensor_dtype_to_np_dtype(tensor.data_type)).astype(np.float64)


def _round(values: np.ndarray, tensor: TensorProto) -> bytes:
    """Raw data of the type of the tensor."""
    return values.astype(helper.tensor_dtype_to_np_dtype(tensor.data_type)).tobytes()


def _store(tensor: TensorProto, raw: bytes) -> None:
    """Set all values."""
    clear_values(tensor)
    tensor.raw_data = raw
