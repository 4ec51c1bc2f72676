"""Small models for the tests, built in a line or two."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper

Draw = Callable[[tuple[int, ...], np.random.Generator], np.ndarray]


def normal(std: float) -> Draw:
    """N(0, std)."""
    return lambda shape, rng: rng.normal(0, std, shape)


def he(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """He normal for a weight whose last axes count the inputs."""
    return rng.normal(0, math.sqrt(2 / math.prod(shape[1:])), shape)


def xavier(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Xavier normal for a matrix."""
    return rng.normal(0, math.sqrt(2 / (shape[0] + shape[1])), shape)


def model(
    nodes: Sequence[NodeProto],
    inputs: Mapping[str, Sequence[int | str]],
    outputs: Sequence[str],
    tensors: Mapping[str, np.ndarray],
    *,
    opset: int = 17,
    domains: Sequence[str] = (),
) -> onnx.ModelProto:
    """A model with float inputs; output shapes are left open."""
    graph = helper.make_graph(
        list(nodes),
        "test",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, list(shape)) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        [numpy_helper.from_array(np.asarray(a), n) for n, a in tensors.items()],
    )
    imports = [helper.make_opsetid("", opset), *(helper.make_opsetid(d, 1) for d in domains)]
    return helper.make_model(graph, opset_imports=imports, ir_version=9)


def mlp(
    widths: Sequence[int],
    activation: str = "Relu",
    draw: Draw = he,
    *,
    seed: int = 0,
    bias: float | Draw = 0.0,
    change: Mapping[str, Callable[[np.ndarray], np.ndarray]] | None = None,
) -> onnx.ModelProto:
    """Gemm layers `fc0` ... with `activation` between them; weights `fc0.weight` [out, in]; `change` edits tensors by name."""
    rng = np.random.default_rng(seed)
    nodes, tensors, value = [], {}, "x"
    for i, (before, after) in enumerate(pairwise(widths)):
        tensors[f"fc{i}.weight"] = draw((after, before), rng)
        tensors[f"fc{i}.bias"] = bias((after,), rng) if callable(bias) else np.full(after, bias)
        last = i == len(widths) - 2
        out = "y" if last else f"z{i}"
        nodes.append(helper.make_node("Gemm", [value, f"fc{i}.weight", f"fc{i}.bias"], [out], f"/fc{i}/Gemm", transB=1))
        if not last:
            nodes.append(helper.make_node(activation, [out], [f"a{i}"], f"/act{i}/{activation}"))
            value = f"a{i}"
    for name, edit in (change or {}).items():
        tensors[name] = edit(tensors[name].copy())
    stored = {name: array.astype(np.float32) for name, array in tensors.items()}
    return model(nodes, {"x": ["N", widths[0]]}, ["y"], stored)


def gated(
    depth: int, gate: str | None = None, width: int = 64, *, norm: bool = False, seed: int = 0
) -> onnx.ModelProto:
    """Blocks of two products of the same input, `up<i>` and `gate<i>`, that are multiplied, the latter behind the operator `gate`; and a head."""
    rng = np.random.default_rng(seed)
    nodes, tensors, value = (
        [],
        {"one": np.ones(width, np.float32), "head": rng.normal(0, width**-0.5, (10, width))},
        "x",
    )
    for i in range(depth):
        if norm:
            nodes.append(helper.make_node("LayerNormalization", [value, "one"], [f"n{i}"]))
            value = f"n{i}"
        for name in (f"up{i}", f"gate{i}"):
            tensors[name] = rng.normal(0, width**-0.5, (width, width))
            nodes.append(helper.make_node("Gemm", [value, name], [f"{name}.z"], name, transB=1))
        if gate is not None:
            nodes.append(helper.make_node(gate, [f"gate{i}.z"], [f"gate{i}.a"]))
        value = f"product{i}"
        nodes.append(helper.make_node("Mul", [f"up{i}.z", f"gate{i}.{'z' if gate is None else 'a'}"], [value]))
    nodes.append(helper.make_node("Gemm", [value, "head"], ["y"], "head", transB=1))
    return model(nodes, {"x": ["N", width]}, ["y"], {n: np.asarray(a, np.float32) for n, a in tensors.items()})


def trained_like(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Heavy-tailed and of low rank beside noise, with uneven units: what no scheme draws."""
    noise = rng.normal(0, 0.5, shape)
    flat = math.prod(shape[1:])
    structure = rng.standard_t(3, (shape[0], 2)) @ rng.standard_t(3, (2, flat))
    scale = np.exp(rng.normal(0, 0.6, (shape[0], 1)))
    mixed = scale * (noise.reshape(shape[0], flat) + 0.6 * structure)
    return (mixed / mixed.std() * math.sqrt(2 / flat)).reshape(shape)


ROWS, WIDTH = 200, 64
"""Shape of the table of `table`."""


def table(edit: Callable[[np.ndarray], None] = lambda _: None, *, position: bool = False) -> onnx.ModelProto:
    """A trained classifier of looked-up rows, or of rows that are added to its input, `edit` changing the table in place."""
    rng = np.random.default_rng(0)
    values = rng.normal(0, 0.2, (ROWS, WIDTH)) * np.exp(rng.normal(0, 0.3, (ROWS, 1)))
    edit(values)
    tensors = {"table": values, "fc": trained_like((WIDTH, WIDTH), rng), "head": trained_like((WIDTH, 10), rng)}
    first = (
        helper.make_node("Add", ["x", "table"], ["e"], "table")
        if position
        else helper.make_node("Gather", ["table", "x"], ["e"], "table")
    )
    nodes = [
        first,
        helper.make_node("MatMul", ["e", "fc"], ["h"], "fc"),
        helper.make_node("Relu", ["h"], ["r"]),
        helper.make_node("MatMul", ["r", "head"], ["y"], "head"),
    ]
    shape, kind = (["N", ROWS, WIDTH], TensorProto.FLOAT) if position else (["N", 5], TensorProto.INT64)
    graph = helper.make_graph(
        nodes,
        "table",
        [helper.make_tensor_value_info("x", kind, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(a.astype(np.float32), n) for n, a in tensors.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def rows(start: int, stop: int, values: np.ndarray | float) -> Callable[[np.ndarray], None]:
    """Sets these rows of a table."""

    def edit(stored: np.ndarray) -> None:
        stored[start:stop] = values

    return edit


def save(proto: onnx.ModelProto, path: Path) -> str:
    """Write a model; gives the path as text."""
    path.write_bytes(proto.SerializeToString())
    return str(path)
