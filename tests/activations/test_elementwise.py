"""The elementwise operators do what onnxruntime does."""

from __future__ import annotations

import warnings

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, parser

from initaudit.activations.elementwise import CONTRIB_OPERATORS, OPERATORS, operator_of, scalar
from initaudit.model.load import load_model

Z = np.concatenate([np.linspace(-4, 4, 33), [-20.0, 20.0]]).astype(np.float32)
NARROW = {
    "Log": (0.1, 4), "Sqrt": (0, 4), "Reciprocal": (0.2, 4), "Asin": (-0.9, 0.9), "Acos": (-0.9, 0.9), "Acosh": (1.1, 4),
    "Atanh": (-0.9, 0.9), "Tan": (-1.2, 1.2), "Pow": (0.1, 4), "Sinh": (-4, 4), "Cosh": (-4, 4), "Exp": (-20, 4),
}  # fmt: skip
BOOLEAN = {"And", "Or", "Xor", "Not"}
NOT_ARITHMETIC = {
    "QuantizeLinear",
    "DequantizeLinear",
    "QLinearSigmoid",
    "QLinearLeakyRelu",
    "Dropout",
    "Cast",
    "CastLike",
}
SECOND = {"Add", "Sub", "Mul", "Div", "Pow", "Max", "Min", "Sum", "Mean", "Greater", "GreaterOrEqual", "Less", "LessOrEqual",
          "Equal", "PRelu", "BiasGelu"}  # fmt: skip


def model_with(op_type: str, domain: str = "") -> tuple[onnx.ModelProto, list[np.ndarray]]:
    """One node; its first input is data, the others are constants of one value."""
    low, high = NARROW.get(op_type, (-20, 20))
    data = Z[(low <= Z) & (high >= Z)] if op_type not in BOOLEAN else Z > 0
    kind = TensorProto.BOOL if op_type in BOOLEAN else TensorProto.FLOAT
    operands = [data]
    if op_type in SECOND:
        size = len(data) if op_type == "BiasGelu" else 1
        operands.append(np.full(size, 0.0 if op_type == "BiasGelu" else 1.5, np.float32))
    if op_type in BOOLEAN - {"Not"}:
        operands.append(np.array([True]))
    if op_type == "Clip":
        operands += [np.array(-1, np.float32), np.array(2, np.float32)]
    if op_type == "Where":
        operands = [np.array([True]), data, np.array([0.5], np.float32)]
    names = [f"i{k}" for k in range(len(operands))]
    values = [
        helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(o.dtype), o.shape)
        for n, o in zip(names, operands, strict=True)
    ]
    node = helper.make_node(op_type, names, ["y"], domain=domain)
    logical = op_type in BOOLEAN or op_type in {"Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Equal"}
    out = helper.make_tensor_value_info("y", TensorProto.BOOL if logical else kind, None)
    graph = helper.make_graph([node], "g", values, [out])
    opsets = [helper.make_opsetid("", 22), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10), operands


CASES = [("", op) for op in OPERATORS if op not in NOT_ARITHMETIC] + [
    ("com.microsoft", op) for op in CONTRIB_OPERATORS if op not in NOT_ARITHMETIC
]


@pytest.mark.parametrize(("domain", "op_type"), CASES, ids=[op for _, op in CASES])
def test_an_operator_agrees_with_onnxruntime(domain: str, op_type: str) -> None:
    """To single precision, on every operator that the default CPU provider has."""
    model, operands = model_with(op_type, domain)
    node = load_model(model).graph.nodes[0]
    operator = operator_of(node)
    assert operator is not None
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # noqa: BLE001 - onnxruntime raises many types
        pytest.skip(f"no such kernel: {str(error)[:80]}")
    expected = session.run(None, {f"i{k}": o for k, o in enumerate(operands)})[0]

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        computed = operator(node, [o.astype(np.float64) if o.dtype == np.float32 else o for o in operands])

    assert np.asarray(computed, np.float64) == pytest.approx(expected.astype(np.float64), rel=3e-6, abs=3e-6)


@pytest.mark.parametrize(
    ("nodes", "expected"),
    [
        ("c = Constant <value_float = 0.25> ()", 0.25),
        (
            "a = Constant <value_float = 2.0> () b = Sqrt(a) one = Constant <value_float = 1.0> () c = Div(one, b)",
            2**-0.5,
        ),
        ("a = Constant <value_floats = [1.0, 3.0]> () c = Neg(a)", -2.0),
        ("a = Constant <value_float = 4.0> () s = Constant <value_ints = [1, 1]> () c = Reshape(a, s)", 4.0),
        ("s = Shape(x) c = Cast <to = 1> (s)", None),
    ],
)
def test_a_constant_operand_as_a_number(nodes: str, expected: float | None) -> None:
    """Computed constants count like stored ones, several values by their mean; what depends on shapes is unknown."""
    text = f'<ir_version: 9, opset_import: ["" : 20]> g (float[N] x) => (float[M] y) {{ {nodes} y = Mul(x, c) }}'
    graph = load_model(parser.parse_model(text)).graph

    assert scalar(graph.values["c"]) == (None if expected is None else pytest.approx(expected))
