"""Shapes of a network's values, without running it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import onnx
from onnx import ModelProto

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Shape = tuple[int, ...]


def inferred_shapes(
    model: ModelProto, shapes: Mapping[str, Shape], values: Sequence[str], *, strict: bool = False
) -> dict[str, Shape] | None:
    """Shapes of `values` by ONNX's own inference; None unless all of them follow from the graph alone.

    Args:
        model: its weights may lie in external files.
        shapes: of the inputs.
        values: names of outputs of nodes, or of inputs.
        strict: whether to give None where operators contradict each other, too.
    """
    sketch = ModelProto()
    sketch.CopyFrom(model)
    del sketch.graph.value_info[:]  # what a file declares may be wrong
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
    for info in (*sketch.graph.value_info, *sketch.graph.output):
        dims = info.type.tensor_type.shape.dim
        if info.type.tensor_type.HasField("shape") and all(d.HasField("dim_value") for d in dims):
            found[info.name] = tuple(d.dim_value for d in dims)
    return {v: found[v] for v in values} if all(v in found for v in values) else None
