"""Weights fitted to the inputs of the network: `lsuv` and `pca`. What is measured and computed for it is done in the probe's process."""

from __future__ import annotations

import base64
import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from onnx.helper import tensor_dtype_to_np_dtype

from initaudit.errors import FixRefused, ProbeError
from initaudit.initialisation.spelling import LSUV, PCA
from initaudit.kind import Kind
from initaudit.probe.arriving import Kernel
from initaudit.probe.plan import make_plans
from initaudit.redrawing.biases import writable_bias

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from initaudit.extraction.layer import Layer
    from initaudit.model.load import Model
    from initaudit.model.tensors import Tensor
    from initaudit.probe.plan import ProbeOptions
    from initaudit.redrawing.contents import Contents


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ToFit:
    """A layer whose weights stand in the contents, and are to be fitted."""

    layer: Layer
    method: str
    gain: float
    index: np.ndarray | None
    """Where its weights are stored, as `positions` has it."""
    bias: Tensor | None
    """Its own bias, where that may take the mean of the inputs out."""


def why_unfit(layer: Layer, method: str) -> str | None:
    """Why a layer cannot be fitted to inputs, in words; None where it can."""
    kind, node = layer.kind, layer.node
    if layer.weight.tensors and not layer.weight.tensors[0].is_floating:
        return f"its weights are stored as integers; {method} fits float weights"
    if kind.is_recurrent:
        return f"what its weights give is kept inside a recurrent cell; {method} cannot look at it"
    if kind is Kind.ATTENTION or layer.output is None:
        return f"what its weights give is kept inside a fused operator; {method} cannot look at it"
    if method == LSUV:
        return None if kind.is_product or kind is Kind.EMBEDDING else "it adds nothing up; lsuv has nothing to scale"
    if {*layer.weight.unit_axes, *layer.weight.input_axes} < set(range(len(layer.weight.shape))):
        return f"it holds several copies, each with inputs of its own; {method} fits one"
    if node.domain not in ("", "ai.onnx") or node.op_type not in ("Gemm", "MatMul", "Conv"):
        return f"{method} knows what arrives at Gemm, MatMul and Conv, not at {node.op_type}"
    if layer.input is not node.inputs[0] or node.attr("transA", 0):
        return f"its weights are multiplied from the left; {method} looks at the last axis of what arrives"
    return None


def fit(model: Model, chosen: Sequence[ToFit], contents: Contents, options: ProbeOptions) -> Mapping[str, str]:
    """Fit the layers to inputs in topological order, in `contents`; why layers could not be, by name.

    These keep what is stored in the model, and the others are fitted without them.

    Raises FixRefused where the network does not run.
    """
    refused: dict[str, str] = {}
    left = list(chosen)
    while left:
        try:
            answer = _ask(model, left, contents, options)
        except ProbeError as error:
            raise FixRefused(f"weights could not be fitted to inputs: {error}") from error
        new = answer["refused"]
        if not new:
            for key, tensor in contents.tensors.items():
                if tensor.name in answer["tensors"]:
                    code, raw = answer["tensors"][tensor.name]
                    values = np.frombuffer(base64.b64decode(raw), tensor_dtype_to_np_dtype(code))
                    contents.values[key] = values.astype(contents.values[key].dtype)
            break
        refused |= new
        for item in [item for item in left if item.layer.name in new]:
            _restore(item, contents)
        left = [item for item in left if item.layer.name not in new]
    return refused


def _restore(item: ToFit, contents: Contents) -> None:
    """What the model stores, in place of what was drawn."""
    layer = item.layer
    contents.put(layer.weight.tensors[0], item.index, np.array(layer.weight.array(), np.float64))
    if layer.bias is not None and id(layer.bias) in contents.values:
        span = slice(*(layer.bias_slice or (0, layer.bias.size)))
        contents.values[id(layer.bias)][span] = np.array(layer.bias.array(), np.float64).reshape(-1)[span]


def _ask(model: Model, chosen: Sequence[ToFit], contents: Contents, options: ProbeOptions) -> dict[str, Any]:
    """What the probe's process answers, see `initaudit.probe.fit.run_fit`."""
    from initaudit.probe.isolation import run_child

    plan = make_plans(model.graph, [item.layer for item in chosen])[0]
    planned = {layer.name: layer for layer in plan.layers}
    missing = {
        item.layer.name: plan.skipped.get(item.layer.name, "no input that runs through the others reaches it")
        for item in chosen
        if item.layer.name not in planned
    }
    if missing:
        return {"refused": missing}
    try:
        blobs = [model.proto.SerializeToString()]
    except ValueError as error:
        raise ProbeError("the model with its weights exceeds the 2 GiB that protobuf can hold") from error
    job: dict[str, Any] = {
        "path": None,
        "folder": None if model.folder is None else str(model.folder),
        "plan": {"branches": dict(plan.branches)},
        "options": options.to_json(),
    }
    if isinstance(options.input_data, bytes):
        job["data"] = len(blobs)
        blobs.append(options.input_data)
    tensors = {}
    for key, values in contents.values.items():
        tensors[contents.tensors[key].name] = len(blobs)
        blobs.append(values.tobytes())
    if len(tensors) < len(contents.values):
        raise ProbeError("two of the stored tensors that change have one name")
    first = len(blobs)
    layers = []
    for item in chosen:
        index = None if item.index is None else len(blobs) - first
        if item.index is not None:
            blobs.append(np.ascontiguousarray(item.index, np.int64).tobytes())
        layers.append(_described(item, index, options.seed) | {"plan": asdict(planned[item.layer.name])})
    job["fit"] = {"layers": layers, "tensors": tensors, "first": first}
    return run_child(job, blobs, timeout=options.timeout, max_memory=options.max_memory)


def _described(item: ToFit, index: int | None, seed: int) -> dict[str, Any]:
    """The fields of `initaudit.probe.fit.Fitted`, but for the plan."""
    layer, view = item.layer, item.layer.weight
    bias = None
    if item.bias is not None and item.method == PCA:
        bias = (item.bias.name, *(layer.bias_slice or (0, item.bias.size)))
    return {
        "method": item.method,
        "gain": item.gain,
        "seed": seed + layer.depth,
        "tensor": view.tensors[0].name,
        "index": index,
        "shape": view.shape,
        "unit_axes": view.unit_axes,
        "input_axes": view.input_axes,
        "groups": layer.groups,
        "kernel": _kernel(layer) if item.method == PCA and layer.kind.is_convolution else None,
        "bias": bias,
    }


def _kernel(layer: Layer) -> dict[str, Any]:
    """The fields of `Kernel`."""
    node, shape = layer.node, tuple(layer.weight.shape[2:])
    kernel = Kernel(
        shape=shape,
        strides=tuple(node.attr("strides") or (1,) * len(shape)),
        dilations=tuple(node.attr("dilations") or (1,) * len(shape)),
        pads=tuple(node.attr("pads") or (0,) * (2 * len(shape))),
        auto_pad=node.attr("auto_pad") or "NOTSET",
    )
    return asdict(kernel)


def own_bias(layer: Layer, layers: Sequence[Layer]) -> Tensor | None:
    """The stored bias of a layer, where it has one element for each unit and no other layer reads them."""
    bias = writable_bias(layer)
    if bias is None:
        return None
    units = math.prod(layer.weight.shape[axis] for axis in layer.weight.unit_axes)
    start, stop = layer.bias_slice or (0, bias.size)
    others = [other for other in layers if other is not layer and other.bias is bias]
    shared = any(other.bias_slice is None or layer.bias_slice is None for other in others)
    return None if shared or stop - start != units else bias
