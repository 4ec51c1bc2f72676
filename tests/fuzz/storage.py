"""Models whose weights are stored in every form, and that have each of the parts beside the graph."""

from __future__ import annotations

import random

import onnx
from onnx import TensorProto, helper

from tests.fuzz.mutation.parts import mutate_parts
from tests.fuzz.mutation.tensors import BESIDE, FORMS, TYPES, any_sparse, stored
from tests.networks import mlp


def storage_models() -> dict[str, onnx.ModelProto]:
    """By what is special about them."""
    models = {}
    for code in TYPES:
        for form in FORMS[:3]:
            rng = random.Random(f"{code}/{form}")
            name = f"{TensorProto.DataType.Name(code).lower()}-{form}"
            models[name] = _network(stored(rng, "w", code, (8, 8), form))
    for number in range(4):
        proto = _network(stored(random.Random(number), "v", TensorProto.FLOAT, (8, 8), "raw"))
        proto.graph.sparse_initializer.append(any_sparse(random.Random(number), "w"))
        models[f"sparse-{number}"] = proto
    for number in range(18):
        proto = mlp([8, 16, 4])
        mutate_parts(proto, random.Random(number))
        models[f"parts-{number}"] = proto
    return models


def _network(tensor: TensorProto) -> onnx.ModelProto:
    """A product with the weight `w` behind a cast, so that any type fits."""
    if tensor.external_data:
        del tensor.external_data[:]
        tensor.external_data.add(key="location", value=BESIDE)
    nodes = [
        helper.make_node("Cast", ["w"], ["wf"], "cast", to=TensorProto.FLOAT),
        helper.make_node("MatMul", ["x", "wf"], ["h"], "/fc/MatMul"),
        helper.make_node("Relu", ["h"], ["y"], "/act"),
    ]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 8])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "g", [x], [y], [tensor])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 23)], ir_version=11)
