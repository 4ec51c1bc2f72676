"""The plan of a probe: what to measure at which value, as plain JSON values that cross the process boundary."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from initaudit.config import DEFAULT_MAX_MEMORY, DEFAULT_PROVIDER, DEFAULT_TIMEOUT
from initaudit.initialisation.gains import saturation
from initaudit.kind import Kind

if TYPE_CHECKING:
    from initaudit.extraction.layer import Layer
    from initaudit.model.graph import Graph, Value


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeOptions:
    """How to probe. Field names are the keys of the job that the probe's process reads."""

    mode: str = "full"
    """full, forward or none."""
    batch: int | None = None
    """Inputs to feed; None for the default."""
    seed: int = 0
    exact: bool = False
    """Whether gradients are measured until little of their error is left."""
    input_shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    input_data: str | None = None
    input_spectrum: str = "natural"
    """natural or white, of synthetic images and sound."""
    max_memory: int = DEFAULT_MAX_MEMORY
    timeout: float = DEFAULT_TIMEOUT
    provider: str = DEFAULT_PROVIDER
    """Of onnxruntime."""

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        values = asdict(self)
        values["input_shapes"] = {name: list(shape) for name, shape in self.input_shapes.items()}
        return values


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerPlan:
    """The values to look at for one layer, by their names in the main graph."""

    name: str
    output: str
    preactivation: str
    postactivation: str | None
    input: str | None
    weight: int | None
    """Input position of the weight at the layer's node, where it can be perturbed there."""
    node_output: str
    """First output of that node; `output` may lie behind a bias that follows it, or be a part of it."""
    weight_shape: tuple[int, ...]
    """Of the operand there."""
    weight_window: tuple[tuple[int, int], ...] | None
    """Elements [start, stop) of it along each axis that are the layer's; None for all."""
    is_factor: bool
    """Whether it multiplies element by element (the scale of a norm): its weight alone is perturbed."""
    paths: int
    """Products per element of the output (the fan-in), for an estimate of the work."""
    channel_axis: int | None
    unit_slice: tuple[int, int] | None
    """Units of `output` that belong to this layer; None for all."""
    pre_slice: tuple[int, int] | None
    """The same for `preactivation` and `postactivation`."""
    folded_units: int | None
    """Number of units, where the exporter folded a BatchNorm into the layer; None elsewhere."""
    flat: tuple[tuple[float, float], ...]
    """Intervals of the preactivation where the activation is flat; ends may be infinite."""

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> LayerPlan:
        """From plain values."""
        fields = dict(values)
        fields["flat"] = tuple((float(low), float(high)) for low, high in fields["flat"])
        for name in ("unit_slice", "pre_slice", "weight_shape"):
            fields[name] = tuple(fields[name]) if fields[name] is not None else None
        window = fields["weight_window"]
        fields["weight_window"] = None if window is None else tuple((start, stop) for start, stop in window)
        return cls(**fields)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to measure, and what cannot be."""

    layers: tuple[LayerPlan, ...]
    skipped: Mapping[str, str]
    """Layer name -> why it is not probed."""

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {"layers": [asdict(layer) for layer in self.layers]}


def make_plan(graph: Graph, layers: Sequence[Layer]) -> Plan:
    """What to look at for each layer of the main graph, and why nothing is looked at for the others."""
    planned: list[LayerPlan] = []
    skipped: dict[str, str] = {}
    flat: dict[tuple[int, int], tuple[tuple[float, float], ...]] = {}
    for layer in layers:
        if not layer.kind.is_drawn and layer.untrainable:
            continue
        if layer.output is None:
            skipped[layer.name] = "its output is not a value of the graph"
        elif layer.output.graph is not graph or layer.output.name not in graph.values:
            skipped[layer.name] = "it lies inside a loop or branch, whose values cannot be brought out"
        else:
            planned.append(_layer_plan(graph, layer, flat))
    return Plan(layers=tuple(planned), skipped=skipped)


def _layer_plan(graph: Graph, layer: Layer, flat: dict[tuple[int, int], tuple[tuple[float, float], ...]]) -> LayerPlan:
    output, place = layer.output, layer.place
    assert output is not None
    is_factor = not layer.kind.is_drawn
    before = layer.preactivation if _visible(layer.preactivation, graph) and not is_factor else output
    after = layer.postactivation if _visible(layer.postactivation, graph) and not is_factor else None
    assert before is not None
    key = (id(before), id(after))
    if key not in flat:
        flat[key] = _flat(before, after) if after is not None else ()
    return LayerPlan(
        name=layer.name,
        output=output.name,
        preactivation=before.name,
        postactivation=after.name if after is not None else None,
        input=layer.input.name if layer.input is not None and _visible(layer.input, graph) else None,
        weight=place.position if place is not None else None,
        node_output=output.name if output in layer.node.outputs else _first_output(layer),
        weight_shape=place.shape if place is not None else layer.weight.shape,
        weight_window=place.window if place is not None else None,
        is_factor=is_factor,
        paths=layer.fan_in if layer.kind is not Kind.EMBEDDING else 1,
        channel_axis=layer.channel_axis,
        unit_slice=layer.unit_slice,
        pre_slice=layer.unit_slice if before is output else None,
        folded_units=_folded_units(layer),
        flat=flat[key],
    )


def _first_output(layer: Layer) -> str:
    return next((v.name for v in layer.node.outputs if v is not None), "")


def _folded_units(layer: Layer) -> int | None:
    weight = layer.weight
    return math.prod(weight.shape[axis] for axis in weight.unit_axes) if layer.folded_norm else None


def _visible(value: Value | None, graph: Graph) -> bool:
    """Whether the value is data of the main graph."""
    return value is not None and value.graph is graph and not value.is_static


def _flat(before: Value, after: Value) -> tuple[tuple[float, float], ...]:
    from initaudit.activations.region import function_between

    function = function_between(before, after)
    return saturation(function) if function is not None else ()
