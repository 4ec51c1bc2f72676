"""A model whose file fixes a large batch, made to take any: a probe needs few inputs, and 800,000 at once need gigabytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from initaudit.probe.instrument import PREFIX

if TYPE_CHECKING:
    from collections.abc import Iterator

SHAPED = frozenset(("Reshape", "Expand", "ConstantOfShape", "Concat", "Where", "Equal"))
"""Operators that read a shape, or make one of others."""
REPEATING = frozenset(("Concat", "Add", "Sub", "Mul", "Where", "Expand", "LSTM", "GRU", "RNN"))
"""Operators that read a constant repeated for every sample: a class token, a state to begin with."""
LONGEST_SHAPE = 8
"""Axes of a tensor at most. A judgement: windowed attention has six."""
BATCH = f"{PREFIX}batch"
"""Name of the free dimension."""


def fixed_batch(model: ModelProto) -> int | None:
    """The size of the first axis that the inputs of a flattened model fix; None where the first input with axes fixes none."""
    shapes = [info.type.tensor_type.shape.dim for info in model.graph.input]
    return next((dims[0].dim_value or None for dims in shapes if len(dims) > 1), None)


def free_batch(model: ModelProto, batch: int) -> ModelProto:
    """A copy of a flattened model that takes any number of samples where the file fixes `batch`.

    Constants that hold the batch, in a shape or as an axis along which they repeat, are made from the size of the input instead. Whether
    the copy runs is for a trial to tell.
    """
    copy = ModelProto()
    copy.CopyFrom(model)
    graph = copy.graph
    for info in graph.input:
        for dim in info.type.tensor_type.shape.dim[:2]:  # the second counts samples in states of recurrent layers
            if dim.dim_value == batch:
                dim.dim_param = BATCH
                break
    for info in graph.output:
        info.type.tensor_type.ClearField("shape")
    del graph.value_info[:]
    source = next(info.name for info in graph.input if len(info.type.tensor_type.shape.dim) > 1)
    made: dict[str, str] = {}
    front: list[NodeProto] = []
    for name, tensor in _bound(copy, batch):
        made[name] = f"{PREFIX}free/{name}"
        front += _freed(copy, source, numpy_helper.to_array(tensor), batch, made[name])
    for node in graph.node:
        for position, name in enumerate(node.input):
            node.input[position] = made.get(name, name)
    nodes = [NodeProto.FromString(node.SerializeToString()) for node in (*front, *graph.node)]
    del graph.node[:]
    graph.node.extend(nodes)
    return copy


def _bound(model: ModelProto, batch: int) -> Iterator[tuple[str, TensorProto]]:
    """The constants of the model that hold the batch, by name."""
    stored = [(t.name, t) for t in model.graph.initializer if t.data_location != TensorProto.EXTERNAL]
    for node in model.graph.node:
        if node.op_type == "Constant":
            stored += [(node.output[0], a.t) for a in node.attribute if a.name == "value"]
    readers: dict[str, set[str]] = {}
    for node in model.graph.node:
        for name in node.input:
            readers.setdefault(name, set()).add(node.op_type)
    for name, tensor in stored:
        if tensor.data_type == TensorProto.INT64 and len(tensor.dims) == 1 and 2 <= tensor.dims[0] <= LONGEST_SHAPE:
            bound = readers.get(name, set()) <= SHAPED and _place(numpy_helper.to_array(tensor), batch) is not None
        else:
            axes = list(tensor.dims[:2])
            bound = len(axes) == 2 and batch in axes and readers.get(name, set()) <= REPEATING
            bound = bound and _repeats(numpy_helper.to_array(tensor), axes.index(batch))
        if bound:
            yield name, tensor


def _repeats(array: np.ndarray, axis: int) -> bool:
    return bool((array == array.take([0], axis=axis)).all())


def _place(shape: np.ndarray, batch: int) -> int | None:
    """Where a shape counts samples: the first entry that is a multiple of the batch."""
    return next((i for i, n in enumerate(shape) if n > 0 and n % batch == 0), None)


def _freed(model: ModelProto, source: str, constant: np.ndarray, batch: int, name: str) -> list[NodeProto]:
    """Nodes that make the constant for as many samples as the input `source` holds."""
    is_shape = constant.ndim == 1
    shape = constant if is_shape else np.asarray(constant.shape, np.int64)
    place = _place(shape, batch)
    assert place is not None
    pieces = {
        "before": shape[:place],
        "after": shape[place + 1 :],
        "factor": shape[place : place + 1] // batch,
        "zero": np.zeros(1, np.int64),
    }
    if not is_shape:
        pieces["once"] = constant.take([0], axis=list(constant.shape).index(batch))
    for what, values in pieces.items():
        model.graph.initializer.append(numpy_helper.from_array(values, f"{name}/{what}"))
    whole = name if is_shape else f"{name}/shape"
    nodes = [
        helper.make_node("Shape", [source], [f"{name}/of"]),
        helper.make_node("Gather", [f"{name}/of", f"{name}/zero"], [f"{name}/rows"]),
        helper.make_node("Mul", [f"{name}/rows", f"{name}/factor"], [f"{name}/times"]),
        helper.make_node("Concat", [f"{name}/before", f"{name}/times", f"{name}/after"], [whole], axis=0),
    ]
    return nodes if is_shape else [*nodes, helper.make_node("Expand", [f"{name}/once", whole], [name])]
