"""The plan of a probe: what to measure at which value, as plain JSON values that cross the process boundary."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from initaudit.config import DEFAULT_MAX_MEMORY, DEFAULT_PROVIDER, DEFAULT_TIMEOUT
from initaudit.initialisation.gains import saturation
from initaudit.kind import Kind
from initaudit.probe.branches import combinations, inlined_name, leads, never_taken, way_to
from initaudit.probe.loops import way_to_loop

if TYPE_CHECKING:
    from initaudit.config import Config
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
    input_data: str | bytes | None = None
    """A file, or the bytes of one, which go beside the job."""
    input_ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """Input -> the lowest and the highest value of the pixels that it takes, where the network showed it."""
    input_spectrum: str = "natural"
    """natural or white, of synthetic images and sound."""
    max_memory: int = DEFAULT_MAX_MEMORY
    timeout: float = DEFAULT_TIMEOUT
    provider: str = DEFAULT_PROVIDER
    """Of onnxruntime."""

    @classmethod
    def of(cls, config: Config) -> ProbeOptions:
        """The options of an audit that concern the probe."""
        return cls(
            mode=config.probe,
            batch=config.batch,
            seed=config.seed,
            exact=config.exact,
            input_shapes=dict(config.input_shapes),
            input_data=config.input_data,
            input_spectrum=config.input_spectrum,
            max_memory=config.max_memory,
            timeout=config.timeout,
            provider=config.provider,
        )

    def to_json(self) -> dict[str, Any]:
        """Plain values, without the bytes of inputs."""
        values = asdict(self)
        if isinstance(self.input_data, bytes):
            values["input_data"] = None
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
    in_loop: bool
    """Whether it lies in the body of a loop: its values have the iterations as their first axis, and nothing reads them there."""
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
    """What to measure in one run through the network, and what cannot be."""

    layers: tuple[LayerPlan, ...]
    skipped: Mapping[str, str]
    """Layer name -> why no plan has it; in the first plan."""
    branches: Mapping[str, str] = field(default_factory=dict)
    """The branches that take the place of their If, see `initaudit.probe.branches`."""

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {"layers": [asdict(layer) for layer in self.layers], "branches": dict(self.branches)}


def make_plans(graph: Graph, layers: Sequence[Layer]) -> list[Plan]:
    """What to look at for each layer, one plan for each choice of branches that is needed, and why nothing is looked at for the others."""
    ways: list[tuple[Layer, Mapping[str, str]]] = []
    skipped: dict[str, str] = {}
    for layer in layers:
        if not layer.kind.is_drawn and layer.untrainable:
            continue
        way = None if layer.output is None else _way(layer.output.graph)
        if layer.output is None:
            skipped[layer.name] = "its output is not a value of the graph"
        elif way is None:
            skipped[layer.name] = (
                "it lies in a loop within a loop or a branch of one, whose values cannot be brought out"
            )
        elif never_taken(layer.output.graph):
            skipped[layer.name] = "it lies in a branch that is never taken"
        else:
            ways.append((layer, way))
    plans: list[Plan] = []
    flat: dict[tuple[int, int], tuple[tuple[float, float], ...]] = {}
    for choice in combinations([way for _, way in ways]):
        here = [layer for layer, way in ways if leads(way, choice)]
        ways = [(layer, way) for layer, way in ways if not leads(way, choice)]
        planned = tuple(_layer_plan(layer, choice, flat) for layer in here)
        plans.append(Plan(layers=planned, skipped={} if plans else skipped, branches=choice))
    skipped |= {layer.name: "it lies in one of too many branches" for layer, _ in ways}
    return plans


def _layer_plan(
    layer: Layer, branches: Mapping[str, str], flat: dict[tuple[int, int], tuple[tuple[float, float], ...]]
) -> LayerPlan:
    output, place = layer.output, layer.place
    assert output is not None
    is_factor, in_loop = not layer.kind.is_drawn, way_to(output.graph) is None
    before = layer.preactivation if _visible(layer.preactivation, output, branches) and not is_factor else output
    after = layer.postactivation if _visible(layer.postactivation, output, branches) and not is_factor else None
    assert before is not None
    axis = layer.channel_axis
    if in_loop and axis is not None and axis >= 0:
        axis += 1
    key = (id(before), id(after))
    if key not in flat:
        flat[key] = _flat(before, after) if after is not None else ()
    return LayerPlan(
        name=layer.name,
        output=inlined_name(output),
        preactivation=inlined_name(before),
        postactivation=inlined_name(after) if after is not None else None,
        input=inlined_name(layer.input)
        if layer.input is not None and _visible(layer.input, output, branches)
        else None,
        weight=place.position if place is not None and not in_loop else None,
        node_output=inlined_name(output) if output in layer.node.outputs else _first_output(layer),
        weight_shape=place.shape if place is not None else layer.weight.shape,
        weight_window=place.window if place is not None else None,
        in_loop=in_loop,
        is_factor=is_factor,
        paths=layer.fan_in if layer.kind is not Kind.EMBEDDING else 1,
        channel_axis=axis,
        unit_slice=layer.unit_slice,
        pre_slice=layer.unit_slice if before is output else None,
        folded_units=_folded_units(layer),
        flat=flat[key],
    )


def values_in_loops(layers: Sequence[Mapping[str, Any]]) -> set[str]:
    """Values that are to be brought out of loops, by layers as plain values."""
    kinds = ("output", "preactivation", "postactivation", "input")
    return {layer[kind] for layer in layers if layer["in_loop"] for kind in kinds if layer[kind] is not None}


def _first_output(layer: Layer) -> str:
    return next((inlined_name(v) for v in layer.node.outputs if v is not None), "")


def _folded_units(layer: Layer) -> int | None:
    weight = layer.weight
    return math.prod(weight.shape[axis] for axis in weight.unit_axes) if layer.folded_norm else None


def _way(graph: Graph) -> Mapping[str, str] | None:
    """The branches that lead to a graph or the loop that it is the body of; None where nothing does."""
    way = way_to(graph)
    return way_to_loop(graph) if way is None else way


def _visible(value: Value | None, output: Value, branches: Mapping[str, str]) -> bool:
    """Whether the value is data of the main graph once these branches are in their places, or made in the loop that makes `output`."""
    if value is None or value.is_static:
        return False
    if value.graph is output.graph:
        return value.producer is not None or way_to(value.graph) is not None
    way = way_to(value.graph)
    return way is not None and way_to(output.graph) is not None and leads(way, branches)


def _flat(before: Value, after: Value) -> tuple[tuple[float, float], ...]:
    from initaudit.activations.region import function_between

    function = function_between(before, after)
    return saturation(function) if function is not None else ()
