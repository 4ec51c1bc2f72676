"""Operators of constants that compute: elementwise arithmetic with broadcasting, quantisers of other tools, and all the rest.

The rest is evaluated by ONNX's reference implementation, one node at a time; the shape comes from ONNX's shape
inference, so that no weight is read before somebody asks for its values.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from initaudit.errors import UnsupportedWeight
from initaudit.views.dtypes import numpy_dtype
from initaudit.views.operand import MAX_INDEX_TABLE, Operand, merge
from initaudit.views.steps import Inputs, Step, need

if TYPE_CHECKING:
    from collections.abc import Mapping

    from initaudit.model.graph import Node

Binary = Callable[[Any, Any], Any]

_BINARY: dict[str, Binary] = {"Add": np.add, "Sub": np.subtract, "Mul": np.multiply, "Pow": np.power}


def _divide(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    integers = np.issubdtype(a.dtype, np.integer)
    return np.asarray(np.trunc(np.true_divide(a, b)).astype(a.dtype) if integers else np.true_divide(a, b))


def _binary(function: Binary) -> Step:
    def step(node: Node, inputs: Inputs) -> list[Operand]:
        a, b = need(inputs, 0), need(inputs, 1)
        if node.attr("broadcast") and node.attr("axis") is not None:  # opset < 7 aligns b with an axis of a
            tail = a.rank - int(node.attr("axis")) % a.rank - b.rank
            b = b.reshape((*b.shape, *([1] * tail)))
        return [_combined(node.op_type.lower(), a, b, function)]

    return step


def _combined(label: str, a: Operand, b: Operand, function: Binary) -> Operand:
    """function(a, b) with numpy's broadcasting; the larger operand is the weight, scalars are no tensors of it."""
    shape = np.broadcast_shapes(a.shape, b.shape)
    main, other = (a, b) if a.size >= b.size else (b, a)
    extra = other.tensors if other.size > 1 else ()

    def compute(_: np.ndarray | None = None) -> np.ndarray:
        with np.errstate(all="ignore"):
            result = np.asarray(function(a.array(), b.array()))
        return result.astype(numpy_dtype(a.dtype), copy=False)

    def further(axis: int, low: int, high: int) -> Operand:
        def along(operand: Operand) -> Operand:
            own = axis - (len(shape) - operand.rank)
            return operand if own < 0 or operand.shape[own] == 1 else operand.narrow(own, low, high)

        return _combined(label, along(a), along(b), function)

    made = main.then(label, shape, compute, dtype=a.dtype, exact=False, with_=extra, narrowing=further)
    return replace(
        made,
        compute=compute,
        length=max(a.length, b.length) + 1,
        work=a.work + b.work + made.work - main.work,
    )


def _constant_of_shape(node: Node, inputs: Inputs) -> list[Operand]:
    """A tensor that the file describes by its shape and one value; it stands for itself, nothing else is stored."""
    import onnx

    from initaudit.model.tensors import Tensor

    shape = tuple(need(inputs, 0).integers())
    if min(shape, default=0) < 0:
        raise ValueError(f"negative dimension in {list(shape)}")
    proto = node.attr("value")
    value = onnx.numpy_helper.to_array(proto).reshape(-1)[0] if proto is not None else np.float32(0)
    filled = np.broadcast_to(value, shape)
    output = node.outputs[0]
    name = output.name if output is not None else node.name
    tensor = Tensor(name=name, proto=None, dtype=filled.dtype.name, shape=shape, literal=filled, origin="generated")
    return [Operand(tensors=(tensor,), shape=shape, dtype=filled.dtype.name, compute=tensor.array)]


def _shape(node: Node, inputs: Inputs) -> list[Operand]:
    data = need(inputs, 0)
    dims = np.asarray(data.shape[node.attr("start", 0) : node.attr("end", data.rank)], np.int64)
    return [Operand(tensors=(), shape=dims.shape, dtype="int64", compute=lambda: dims)]


ARITHMETIC: dict[str, Step] = {
    **{name: _binary(function) for name, function in _BINARY.items()},
    "Div": _binary(_divide),
    "ConstantOfShape": _constant_of_shape,
    "Shape": _shape,
}


def qonnx_quant(node: Node, inputs: Inputs) -> list[Operand]:
    """Quant of qonnx and Brevitas: quantised and dequantised at once with (values, scale, zero point, bit width)."""
    values, scale, zero, bits = (need(inputs, i) for i in range(4))
    signed, narrow = bool(node.attr("signed", 1)), bool(node.attr("narrow", 0))

    def compute(array: np.ndarray) -> np.ndarray:
        width = float(bits.array().reshape(-1)[0])
        low = -(2 ** (width - 1)) + narrow if signed else 0.0
        high = 2 ** (width - 1) - 1 if signed else 2**width - 1 - narrow
        step, shift = scale.array().astype(np.float32), zero.array().astype(np.float32)
        codes = np.clip(np.rint(array / step + shift), low, high)
        return np.asarray((codes - shift) * step).astype(array.dtype)

    return [values.then("quant", values.shape, compute, exact=False, with_=scale.tensors if scale.size > 1 else ())]


def qonnx_bipolar(node: Node, inputs: Inputs) -> list[Operand]:
    """BipolarQuant of qonnx: the sign of the values, zero counted as positive, times a scale."""
    del node
    values, scale = need(inputs, 0), need(inputs, 1)

    def compute(array: np.ndarray) -> np.ndarray:
        return np.asarray(np.where(array >= 0, 1.0, -1.0) * scale.array().astype(np.float32)).astype(array.dtype)

    return [values.then("sign", values.shape, compute, exact=False, with_=scale.tensors if scale.size > 1 else ())]


QONNX: dict[str, Step] = {"Quant": qonnx_quant, "IntQuant": qonnx_quant, "BipolarQuant": qonnx_bipolar}
"""Quantisers of qonnx and Brevitas, by operator."""


def evaluated(node: Node, inputs: Sequence[Operand | None], opset: Mapping[str, int]) -> list[Operand]:
    """Outputs of any standard operator whose inputs are all constant. Raises UnsupportedWeight where ONNX cannot infer its shape."""
    import onnx

    proto = onnx.NodeProto()
    proto.CopyFrom(node.proto)
    names_in = ["" if o is None else f"i{k}" for k, o in enumerate(inputs)]
    names_out = [f"o{k}" for k in range(len(node.outputs))]
    del proto.input[:], proto.output[:], proto.attribute[:]
    proto.input.extend(names_in)
    proto.output.extend(names_out)
    proto.attribute.extend(node.attributes.values())
    model = _model_of_one_node(proto, inputs, names_in, opset)
    try:
        inferred = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    except Exception as error:
        raise UnsupportedWeight(f"ONNX cannot infer the shape of {node.op_type} of constants: {error}") from error
    known = {v.name: v.type.tensor_type for v in (*inferred.value_info, *inferred.output)}

    def run() -> list[np.ndarray]:
        from onnx.reference import ReferenceEvaluator

        feeds = {n: o.array() for n, o in zip(names_in, inputs, strict=True) if o is not None and n}
        with np.errstate(all="ignore"):
            try:
                return [np.asarray(a) for a in ReferenceEvaluator(model).run(None, feeds)]
            except Exception as error:
                raise UnsupportedWeight(f"{node.op_type} of constants cannot be evaluated: {error}") from error

    def result(index: int) -> np.ndarray:
        return run()[index]

    main = max((o for o in inputs if o is not None), key=lambda o: (o.is_floating, o.size))
    extra = [o.tensors for o in inputs if o is not None and o is not main and o.size > 1 and o.is_floating]
    results = []
    for k, name in enumerate(names_out):
        info = known.get(name)
        if info is None or not info.HasField("shape") or any(not d.HasField("dim_value") for d in info.shape.dim):
            raise UnsupportedWeight(f"the shape of what {node.op_type} computes from constants is unknown")
        from initaudit.model.tensors import dtype_name

        shape = [d.dim_value for d in info.shape.dim]
        dtype = dtype_name(info.elem_type)
        made = main.then(node.op_type.lower(), shape, lambda a: a, dtype=dtype, exact=False, with_=merge(*extra))
        results.append(
            replace(
                made,
                compute=partial(result, k),
                length=max(o.length for o in inputs if o) + 1,
                work=sum(o.work for o in inputs if o) + made.work - main.work,
            )
        )
    return results


def _model_of_one_node(proto: Any, inputs: Sequence[Operand | None], names: list[str], opset: Mapping[str, int]) -> Any:
    import onnx
    from onnx import helper

    infos, tables = [], []
    for name, operand in zip(names, inputs, strict=True):
        if operand is None:
            continue
        code = helper.np_dtype_to_tensor_dtype(numpy_dtype(operand.dtype))
        infos.append(helper.make_tensor_value_info(name, code, operand.shape))
        if operand.size <= MAX_INDEX_TABLE and operand.dtype.startswith("int"):
            tables.append(onnx.numpy_helper.from_array(np.array(operand.array()), name))
    graph = helper.make_graph(
        [proto], "constant", infos, [helper.make_empty_tensor_value_info(o) for o in proto.output], tables
    )
    versions = [helper.make_opsetid(domain, version) for domain, version in opset.items()]
    return helper.make_model(graph, opset_imports=versions)
