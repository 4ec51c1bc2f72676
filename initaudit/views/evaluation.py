"""Operators of constants that ONNX's reference implementation computes, one node at a time, within a budget.

The shape comes from ONNX's shape inference, so that no weight is read before somebody asks for its values. The reference implementation is
made for clarity: it builds what it likes on the way and cannot be interrupted. So only operators are given to it whose cost is known
beforehand; a file is untrusted, and 195 bytes can ask for a pooling that takes days.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from initaudit.errors import UnsupportedWeight
from initaudit.model.tensors import dtype_name
from initaudit.views.dtypes import numpy_dtype
from initaudit.views.memory import together
from initaudit.views.operand import MAX_INDEX_TABLE, Operand, merge

if TYPE_CHECKING:
    from collections.abc import Mapping

    from initaudit.model.graph import Node

Shape = tuple[int, ...]
Cost = Callable[[Sequence[Shape], Shape], int]
"""From the shapes of the inputs and of the output to the elements that are touched, each step of Python counted as PYTHON_STEP."""

SCRATCH = 16
"""Bytes on the way for each element of inputs and outputs: two arrays of float64, or four of float32. What is computed step by step in Python
takes more, and is held to so few elements by its cost that it does not matter."""
PYTHON_STEP = 1000
"""Elements that numpy computes while Python takes one step: some microseconds against some nanoseconds."""


def _all(inputs: Sequence[Shape], output: Shape) -> int:
    """Of what looks at every element once."""
    return sum(map(math.prod, inputs)) + math.prod(output)


def _each_in_python(inputs: Sequence[Shape], output: Shape) -> int:
    return PYTHON_STEP * _all(inputs, output)


def _product(inputs: Sequence[Shape], output: Shape) -> int:
    """Of a matrix product: each element of the output sums over an axis of the first factor, and no axis is longer than this."""
    return math.prod(output) * max(inputs[0], default=1) + _all(inputs, output)


def _scatter(inputs: Sequence[Shape], output: Shape) -> int:
    """Of ScatterND: a step for each index."""
    return PYTHON_STEP * math.prod(inputs[1][:-1]) + _all(inputs, output)


def _convolution(inputs: Sequence[Shape], output: Shape) -> int:
    return PYTHON_STEP * math.prod(output) * math.prod(inputs[1][1:])


_COSTS: dict[str, Cost] = {
    **dict.fromkeys(
        [
            "Abs",
            "Acos",
            "Acosh",
            "And",
            "Asin",
            "Asinh",
            "Atan",
            "Atanh",
            "BatchNormalization",
            "BitShift",
            "BitwiseAnd",
            "BitwiseNot",
            "BitwiseOr",
            "BitwiseXor",
            "Ceil",
            "Celu",
            "Clip",
            "Cos",
            "Cosh",
            "CumSum",
            "Elu",
            "Equal",
            "Exp",
            "Floor",
            "Gelu",
            "Greater",
            "GreaterOrEqual",
            "HardSigmoid",
            "HardSwish",
            "InstanceNormalization",
            "IsInf",
            "IsNaN",
            "LayerNormalization",
            "LeakyRelu",
            "Less",
            "LessOrEqual",
            "Log",
            "LogSoftmax",
            "LpNormalization",
            "Max",
            "Mean",
            "MeanVarianceNormalization",
            "Min",
            "Mish",
            "Mod",
            "Neg",
            "Not",
            "Or",
            "PRelu",
            "Range",
            "Reciprocal",
            "ReduceL1",
            "ReduceL2",
            "ReduceLogSum",
            "ReduceLogSumExp",
            "ReduceMax",
            "ReduceMean",
            "ReduceMin",
            "ReduceProd",
            "ReduceSum",
            "ReduceSumSquare",
            "Relu",
            "RMSNormalization",
            "Round",
            "Selu",
            "Shrink",
            "Sigmoid",
            "Sign",
            "Sin",
            "Sinh",
            "Softmax",
            "Softplus",
            "Softsign",
            "Sqrt",
            "Sum",
            "Tan",
            "Tanh",
            "ThresholdedRelu",
            "Trilu",
            "Where",
            "Xor",
            "ArgMax",
            "ArgMin",
            "EyeLike",
            "Hardmax",
            "Size",
        ],
        _all,
    ),
    **dict.fromkeys(["MatMul", "Gemm", "MatMulInteger"], _product),
    **dict.fromkeys(["Conv", "ConvTranspose"], _convolution),
    "ScatterND": _scatter,
    **dict.fromkeys(
        [
            "Erf",
            "Resize",
            "Upsample",
            "ScatterElements",
            "Scatter",
            "GatherElements",
            "GatherND",
            "OneHot",
            "TopK",
            "NonZero",
            "Compress",
            "Unique",
        ],
        _each_in_python,
    ),
}
"""By operator: those whose reference implementation takes time and memory in proportion to this. Einsum, pooling, loops over text and the
like do not."""


def evaluated(node: Node, inputs: Sequence[Operand | None], opset: Mapping[str, int]) -> list[Operand]:
    """Outputs of a standard operator whose inputs are all constant.

    Raises UnsupportedWeight where ONNX cannot infer its shape or the cost of computing it is not known.
    """
    import onnx

    cost = _COSTS.get(node.op_type)
    if cost is None:
        raise UnsupportedWeight(f"{node.op_type} of constants is not computed: what it would cost is not known")
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
    shapes = [o.shape for o in inputs if o is not None]
    taken = together(o.memory for o in inputs if o is not None)
    results = []
    for k, name in enumerate(names_out):
        info = known.get(name)
        if info is None or not info.HasField("shape") or any(not d.HasField("dim_value") for d in info.shape.dim):
            raise UnsupportedWeight(f"the shape of what {node.op_type} computes from constants is unknown")
        shape = [d.dim_value for d in info.shape.dim]
        dtype = dtype_name(info.elem_type)
        made = main.then(node.op_type.lower(), shape, lambda a: a, dtype=dtype, exact=False, with_=merge(*extra))
        results.append(
            replace(
                made,
                compute=partial(result, k),
                length=max(o.length for o in inputs if o) + 1,
                work=sum(o.work for o in inputs if o) + made.work - main.work + cost(shapes, tuple(shape)),
                memory=taken.then(made.nbytes, SCRATCH * _all(shapes, tuple(shape))),
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
