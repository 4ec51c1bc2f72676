"""For each operator that ONNX defines or initaudit knows: a layer before it, the operator, a layer behind it."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import AttributeProto, TensorProto, helper

from tests.fuzz.mutation.attributes import schema_of, type_code
from tests.fuzz.mutation.values import operator_names
from tests.networks import model

WEIGHT = np.random.default_rng(0).normal(0.0, 0.3, (4, 4)).astype(np.float32)


def operator_models() -> dict[str, onnx.ModelProto]:
    """By domain and name. Not every one would run: inputs are of the right number, and of the right type where the schema names one."""
    return {f"{domain}:{name}".lstrip(":"): _around(domain, name) for domain, name in operator_names()}


def _around(domain: str, name: str) -> onnx.ModelProto:
    node = helper.make_node(name, ["h"], ["o"], f"/{name}", domain=domain)
    schema = schema_of(node)
    tensors = {"w": WEIGHT, "v": WEIGHT[::-1].copy()}
    if schema is None:
        node.input.extend(("a", "b"))
        tensors |= {"a": WEIGHT, "b": WEIGHT[0]}
    else:
        if schema.max_input == 0:
            del node.input[:]
        for position in range(1, min(schema.max_input, max(schema.min_input, 3))):
            types = schema.inputs[min(position, len(schema.inputs) - 1)].types
            node.input.append(f"a{position}")
            tensors[f"a{position}"] = _constant(set(types))
        node.attribute.extend(
            _attribute(key, type_code(a), name) for key, a in sorted(schema.attributes.items()) if a.required
        )
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["h"], "/before"),
        node,
        helper.make_node("MatMul", ["o", "v"], ["y"], "/after"),
    ]
    return model(nodes, {"x": ["N", 4]}, ["y"], tensors, opset=23, domains=[domain] if domain else [])


def _constant(types: set[str]) -> np.ndarray:
    if "tensor(float)" in types:
        return WEIGHT
    if "tensor(int64)" in types:
        return np.array([0, 1])
    return np.zeros((4, 4), np.uint8) if "tensor(uint8)" in types else np.array([True, False, True, True])


def _attribute(name: str, kind: int, operator: str) -> AttributeProto:
    if kind == AttributeProto.GRAPH:
        out = helper.make_tensor_value_info("bo", TensorProto.FLOAT, None)
        return helper.make_attribute(
            name, helper.make_graph([helper.make_node("Relu", ["h"], ["bo"])], "body", [], [out])
        )
    values: dict[int, Any] = {
        AttributeProto.INT: 1,
        AttributeProto.INTS: [1, 1],
        AttributeProto.FLOAT: 0.5,
        AttributeProto.FLOATS: [0.5, 0.5],
        AttributeProto.STRING: "ij,jk->ik" if operator == "Einsum" else "x",
        AttributeProto.STRINGS: ["x", "y"],
        AttributeProto.TENSOR: onnx.numpy_helper.from_array(WEIGHT, "t"),
    }
    return helper.make_attribute(name, values.get(kind, 1))
