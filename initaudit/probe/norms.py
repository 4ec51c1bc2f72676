"""The BatchNorms of a network as its training runs them: normalising by the batch.

Running statistics of mean 0 and variance 1 are those of a network that has not begun; an export in training mode asks for the
batch itself; and a fresh BatchNorm that an exporter folded into the layer before it is put back.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from onnx import AttributeProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

from initaudit.model.operators import AxisMap, operator_spec
from initaudit.model.tensors import tensor_from_proto
from initaudit.probe.instrument import PREFIX

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from initaudit.probe.plan import LayerPlan

BIAS_ROOM = 1.001
"""Times 1 / sqrt(fan_in), the bound that frameworks draw biases within, that a folded bias may reach: room for rounding. The
fold of trained statistics holds beta - gamma mean / std, of order 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchNorms:
    """First outputs of the BatchNormalization nodes of a model."""

    by_batch: frozenset[str]
    """Those that normalise by the batch in training, which has not begun or goes on."""
    by_running: frozenset[str]
    """Those whose running statistics were learned."""


def batch_norms(model: ModelProto, folder: Path | None) -> BatchNorms:
    """Sort them; nodes in training mode, whose statistics nobody else reads, become plain ones in place."""
    tensors = _tensors(model)
    uses = Counter(name for node in model.graph.node for name in node.input)
    uses.update(info.name for info in model.graph.output)
    by_batch: set[str] = set()
    by_running: set[str] = set()
    for node in model.graph.node:
        if node.op_type != "BatchNormalization" or len(node.input) < 5:
            continue
        if _is_training(node):
            if not any(uses[name] for name in node.output[1:]):
                _leave_training_mode(node)
                by_batch.add(node.output[0])
        elif _is(tensors.get(node.input[3]), 0.0, folder) and _is(tensors.get(node.input[4]), 1.0, folder):
            by_batch.add(node.output[0])
        else:
            by_running.add(node.output[0])
    return BatchNorms(by_batch=frozenset(by_batch), by_running=frozenset(by_running))


def restore_folded(
    model: ModelProto, layers: Sequence[LayerPlan], folder: Path | None
) -> tuple[tuple[LayerPlan, ...], bool]:
    """Put a BatchNorm at its defaults behind each layer that has lost one, where all of them were fresh.

    Args:
        model: changed in place.
        layers: the plan; `LayerPlan.folded_units` says which layers. Where the graph takes the output of one apart, each part has the
            norm of its units.
        folder: where external data lies.

    Returns:
        The layers as they lie in the changed model, and whether the norms are back. A layer of zeros stays as it is: its
        norm's scale was zero.
    """
    folded = [layer for layer in layers if layer.folded_units is not None]
    tensors = _tensors(model)
    makers = {name: node for node in model.graph.node for name in node.output if name}
    if not folded or not all(_was_fresh(layer, makers, tensors, folder) for layer in folded):
        return tuple(layers), False
    behind: dict[str, NodeProto] = {}
    for layer in folded:
        if layer.output in behind or _is(tensors.get(makers[layer.node_output].input[1]), 0.0, folder):
            continue
        raw, maker = _unnormalised(layer.output), makers[layer.output]
        maker.output[list(maker.output).index(layer.output)] = raw
        behind[layer.output] = helper.make_node(
            "BatchNormalization", [raw, *_defaults(model, raw, layer.folded_units or 0)], [layer.output]
        )
    norms = {norm.input[0]: norm for norm in behind.values()}
    nodes = [NodeProto.FromString(node.SerializeToString()) for node in model.graph.node]
    del model.graph.node[:]
    for node in nodes:
        model.graph.node.append(node)
        model.graph.node.extend(norms[name] for name in node.output if name in norms)
    return tuple(_in_front(layer, behind) for layer in layers), True


def _in_front(layer: LayerPlan, behind: Mapping[str, NodeProto]) -> LayerPlan:
    if layer.output not in behind:
        return layer
    raw = _unnormalised(layer.output)
    return replace(layer, output=raw, node_output=raw if layer.node_output == layer.output else layer.node_output)


def _unnormalised(value: str) -> str:
    return f"{PREFIX}unnormalised/{value}"


def _was_fresh(
    layer: LayerPlan, makers: Mapping[str, NodeProto], tensors: Mapping[str, TensorProto], folder: Path | None
) -> bool:
    """Whether the layer holds no more than a weight and a bias as they were drawn, in a form that a norm can stand behind."""
    maker = makers.get(layer.node_output)
    weight = tensors.get(maker.input[1]) if maker is not None and _has_its_units(layer, makers) else None
    if maker is None or weight is None or weight.data_type != TensorProto.FLOAT:
        return False
    if len(maker.input) < 3 or not maker.input[2]:
        return True
    bias = tensors.get(maker.input[2])
    if bias is None:
        return False
    largest = float(np.max(np.abs(_values(bias, folder)), initial=0.0))
    return largest * math.sqrt(layer.paths) <= BIAS_ROOM


def _has_its_units(layer: LayerPlan, makers: Mapping[str, NodeProto]) -> bool:
    """Whether the units of the layer's output lie as its node gives them, all or a part: a norm of each unit is then that of the whole."""
    if layer.output == layer.node_output:
        return True
    taker = makers.get(layer.output)
    if taker is None or taker.input[0] != layer.node_output:
        return False
    return operator_spec(taker.op_type, taker.domain).axis_map in (AxisMap.SPLIT, AxisMap.SLICE)


def _defaults(model: ModelProto, raw: str, units: int) -> list[str]:
    """Scale, bias, mean and variance [units] of a fresh norm behind `raw`, of its own: where it is trained, they go their own ways."""
    values = {f"{raw}/{what}": value for what, value in (("scale", 1), ("bias", 0), ("mean", 0), ("variance", 1))}
    for name, value in values.items():
        model.graph.initializer.append(numpy_helper.from_array(np.full(units, value, np.float32), name))
    return list(values)


def _tensors(model: ModelProto) -> dict[str, TensorProto]:
    tensors = {t.name: t for t in model.graph.initializer}
    for node in model.graph.node:  # exporters that store equal tensors once hand them out through Identity
        if node.op_type == "Identity" and node.input[0] in tensors:
            tensors[node.output[0]] = tensors[node.input[0]]
    return tensors


def _is_training(node: NodeProto) -> bool:
    """Whether it normalises by the batch: by its attribute, or before opset 14 by giving the statistics out."""
    return any(a.name == "training_mode" and a.i for a in node.attribute) or any(node.output[1:])


def _leave_training_mode(node: NodeProto) -> None:
    kept = [AttributeProto.FromString(a.SerializeToString()) for a in node.attribute if a.name != "training_mode"]
    del node.attribute[:], node.output[1:]
    node.attribute.extend(kept)


def _values(tensor: TensorProto, folder: Path | None) -> np.ndarray:
    return tensor_from_proto(tensor, name=tensor.name, folder=folder).array()


def _is(tensor: TensorProto | None, value: float, folder: Path | None) -> bool:
    """Whether every stored element is `value`."""
    return tensor is not None and bool(np.all(_values(tensor, folder) == value))
