"""The way to find all layers.

`extract_layers` is short: constants of the graph (`views`), what each operator family says of its nodes (`op`, `ops/`),
what follows each output (`activations`), names (`names`), and what is left over (`coverage`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from initaudit.extraction.layer import Extraction, Layer
from initaudit.kind import Kind

if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Set as AbstractSet

    from initaudit.activations import Following
    from initaudit.extraction.names import LayerNames
    from initaudit.model.graph import Node, Value
    from initaudit.model.load import Model
    from initaudit.model.tensors import Tensor
    from initaudit.op import LayerSpec
    from initaudit.views import Constants, Operand


MAX_SHARING = 64
"""Layers that one names as sharing its weight. A judgement: the deepest networks of one block in use repeat it some tens of times, and with
every layer naming every other a report would grow with the square of their number."""
REWRITES = "pkg.onnxscript.rewriter.rule_name"
"""Key under which torch's exporter notes on a node which rules rewrote it."""
FOLDED_NORM = "FuseBatchNorm"
"""Beginning of the rules that fold a BatchNorm into a Conv, ConvTranspose or Gemm."""
COMPUTED = "onnx::Conv"
"""Beginning of the names that torch's older exporter gives to weights of a convolution that it computed; both weight and bias
have one where it folded a BatchNorm, the weight alone where it folded a weight norm."""


def extract_layers(model: Model) -> Extraction:
    """Every use of a weight, in topological order, and every stored tensor that is none, with the reason.

    Reads no weight but small tables and a few values where a decision needs them. Time is linear in the size of the graph.
    """
    from dataclasses import replace

    from initaudit.activations import values_in_branches
    from initaudit.extraction.coverage import account
    from initaudit.extraction.find import find_specs
    from initaudit.extraction.names import name_layers
    from initaudit.views import Constants

    constants = Constants(model.graph, model.opset)
    discovered = find_specs(model.graph, constants)
    following_cache = FollowingCache()
    specs = tuple((node, part) for node, spec in discovered.specs for part in _parts(spec, constants, following_cache))
    discovered = replace(discovered, specs=specs)
    names = name_layers(specs)
    users: dict[int, list[str]] = {}
    for (_, spec), (name, _, _) in zip(specs, names, strict=True):
        for tensor in spec.operand.tensors[:1]:
            users.setdefault(id(tensor), []).append(name)
    bypassed = values_in_branches(model.graph)
    layers = tuple(
        _layer(
            node,
            spec,
            names=layer_names,
            depth=depth,
            users=users,
            following_cache=following_cache,
            bypassed=bypassed,
        )
        for depth, ((node, spec), layer_names) in enumerate(zip(specs, names, strict=True))
    )
    return account(model.graph, discovered, layers)


class FollowingCache:
    """What follows each output, asked once per value."""

    def __init__(self) -> None:
        self._known: dict[Value, Following] = {}

    def of(self, value: Value) -> Following:
        """What follows `value`."""
        from initaudit.activations import follow

        known = self._known.get(value)
        if known is None:
            known = self._known[value] = follow(value)
        return known


def _parts(spec: LayerSpec, constants: Constants, following_cache: FollowingCache) -> list[LayerSpec]:
    """The layer, or its parts where the graph takes its output apart before anything else happens to it."""
    from initaudit.extraction.packed import part_specs, pieces

    if spec.kind not in (Kind.LINEAR, Kind.CONV) or spec.doubt or spec.feeds or spec.output is None:
        return [spec]
    found = pieces(spec, constants)
    if not found:
        return [spec]
    whole = following_cache.of(spec.output).activation
    if whole == "glu" or (whole is not None and any("gate" in following_cache.of(p.value).feeds for p in found)):
        return [spec]  # a gated unit is one activation, not two layers
    attention = len(found) in (2, 3) and all("attention" in following_cache.of(p.value).feeds for p in found)
    names = list("qkv"[-len(found) :]) if attention else [f"{i + 1}/{len(found)}" for i in range(len(found))]
    return part_specs(spec, found, names)


def _layer(
    node: Node,
    spec: LayerSpec,
    *,
    names: LayerNames,
    depth: int,
    users: Mapping[int, list[str]],
    following_cache: FollowingCache,
    bypassed: AbstractSet[Value],
) -> Layer:
    from dataclasses import fields

    from initaudit.extraction.untrainable import untrainable_reason

    known: dict[str, Any] = {}
    if spec.output is not None and not spec.feeds:
        following = following_cache.of(spec.output)
        known = {f.name: getattr(following, f.name) for f in fields(following)}
    else:
        known = {"feeds": spec.feeds, "output": spec.output, "preactivation": spec.output}
    biases = [c for c in spec.auxiliary if c.role == "bias"]
    if biases:
        stored = _plain_tensor(biases[0].operand)
        known |= {"bias": stored, "bias_slice": biases[0].span if stored is not None else None}
    sharing = dict.fromkeys(n for t in spec.operand.tensors[:1] for n in users.get(id(t), ())[: MAX_SHARING + 1])
    shared = tuple(n for n in sharing if n != names.name)[:MAX_SHARING]
    return Layer(
        name=names.name,
        title=names.title,
        lasting_name=names.lasting,
        kind=spec.kind,
        node=node,
        weight=spec.operand.view(unit_axes=spec.unit_axes, input_axes=spec.input_axes, part=spec.part),
        fan_in=spec.fan_in,
        fan_out=spec.fan_out,
        groups=spec.groups,
        hidden_size=spec.hidden_size,
        role=spec.role,
        auxiliary={c.role: c.operand.view(unit_axes=(), input_axes=()) for c in spec.auxiliary},
        input=spec.input,
        channel_axis=spec.channel_axis,
        unit_slice=spec.unit_slice,
        place=spec.place,
        shared_with=shared,
        untrainable=untrainable_reason(spec),
        in_residual_branch=spec.output in bypassed or known.get("ends_residual_branch", False),
        folded_norm=_has_folded_norm(node),
        depth=depth,
        **known,
    )


def _has_folded_norm(node: Node) -> bool:
    """Whether one of torch's exporters left word that a BatchNorm stood behind the layer."""
    if FOLDED_NORM in node.metadata.get(REWRITES, ""):
        return True
    given = [node.input(1), node.input(2)]
    return node.op_type.startswith("Conv") and all(v is not None and v.name.startswith(COMPUTED) for v in given)


def _plain_tensor(operand: Operand) -> Tensor | None:
    """The stored tensor, where the operand is just that in another shape."""
    whole = operand.exact and len(operand.tensors) == 1 and operand.tensors[0].size == operand.size
    return operand.tensors[0] if whole else None
