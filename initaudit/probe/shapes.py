"""Shapes of a network's values, without running it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import onnx
from onnx import ModelProto, TensorProto, helper

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Shape = tuple[int, ...]

SMALL = 1024
"""Elements up to which the values of a floating-point weight may say something about a shape: they are the scales of a Resize, at most. A judgement."""


def inferred_shapes(
    model: ModelProto, shapes: Mapping[str, Shape], values: Sequence[str], *, strict: bool = False
) -> dict[str, Shape] | None:
    """Shapes of `values`, where all of them follow from the graph alone, as `known_shapes` finds them; else None."""
    found = known_shapes(model, shapes, strict=strict)
    return None if found is None or not all(v in found for v in values) else {v: found[v] for v in values}


def known_shapes(model: ModelProto, shapes: Mapping[str, Shape], *, strict: bool = False) -> dict[str, Shape] | None:
    """Shapes of all values, as far as they follow from the graph by ONNX's own inference; None where it contradicts itself.

    Args:
        model: its weights may lie in external files.
        shapes: of the inputs.
        strict: whether to look for contradictions between operators, too.
    """
    sketch = _sketch(model)
    for info in sketch.graph.input:
        if info.name in shapes:
            dims = info.type.tensor_type.shape.dim
            del dims[:]
            dims.extend(onnx.TensorShapeProto.Dimension(dim_value=n) for n in shapes[info.name])
    for output in sketch.graph.output:
        output.ClearField("type")
    try:
        sketch = onnx.shape_inference.infer_shapes(sketch, strict_mode=strict, data_prop=True)
    except (onnx.shape_inference.InferenceError, ValueError):
        return None
    found = dict(shapes)
    for info in (*sketch.graph.input, *sketch.graph.value_info, *sketch.graph.output):
        dims = info.type.tensor_type.shape.dim
        if info.type.tensor_type.HasField("shape") and all(d.HasField("dim_value") for d in dims):
            found[info.name] = tuple(d.dim_value for d in dims)
    return found | {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}


def _sketch(model: ModelProto) -> ModelProto:
    """The model without what its file declares of its values, which may be wrong, and with the shapes alone of its large weights."""
    sketch = ModelProto(ir_version=model.ir_version)
    sketch.opset_import.extend(model.opset_import)
    sketch.functions.extend(model.functions)
    graph = sketch.graph
    graph.name = model.graph.name
    graph.node.extend(model.graph.node)
    graph.input.extend(model.graph.input)
    graph.output.extend(model.graph.output)
    graph.sparse_initializer.extend(model.graph.sparse_initializer)
    declared = {info.name for info in model.graph.input}
    for tensor in model.graph.initializer:
        if tensor.data_type in (TensorProto.INT64, TensorProto.INT32) or math.prod(tensor.dims) <= SMALL:
            graph.initializer.append(tensor)
        elif tensor.name not in declared:
            graph.input.append(helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims))
    return sketch
