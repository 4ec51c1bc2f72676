"""Net: a graph under construction, a few lines around onnx.helper; layer by layer, in the names exporters give."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

if TYPE_CHECKING:
    from collections.abc import Sequence

    from onnx import ModelProto

Array = np.ndarray[Any, np.dtype[Any]]

OPSET = 17
"""The newest that torch's first exporter writes, and the first with LayerNormalization."""
IR_VERSION = 8
"""The one that goes with it (ONNX, docs/Versioning.md)."""
PRODUCER = "initaudit"
"""What a file says of who wrote it."""


class Net:
    """A graph under construction. Values are strings; each method adds nodes and returns the name of what they make."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._nodes: list[Any] = []
        self._names: set[str] = set()
        self._weights: list[TensorProto] = []
        self._inputs: list[Any] = []
        self._counter = 0

    def input(self, name: str, shape: Sequence[int | str], dtype: int = TensorProto.FLOAT) -> str:
        """An input; a dimension given as text is free (the batch)."""
        self._inputs.append(helper.make_tensor_value_info(name, dtype, shape))
        return name

    def weight(self, name: str, values: Array) -> str:
        """A constant tensor; float64 is stored as float32, every other dtype as it is."""
        stored = values.astype(np.float32) if values.dtype == np.float64 else values
        self._weights.append(numpy_helper.from_array(np.ascontiguousarray(stored), name))
        return name

    def op(
        self, op_type: str, *inputs: str, scope: str = "", outputs: int = 1, domain: str = "", **attributes: Any
    ) -> Any:
        """One node named like torch's exporter does: /scope/Op, with a number where the name is taken."""
        name = f"{scope}/{op_type}"
        if name in self._names:
            self._counter += 1
            name = f"{name}_{self._counter}"
        self._names.add(name)
        results = [f"{name}_output_{i}" for i in range(outputs)]
        self._nodes.append(helper.make_node(op_type, list(inputs), results, name=name, domain=domain, **attributes))
        return results[0] if outputs == 1 else results

    def linear(self, x: str, name: str, weight: Array, bias: Array | None = None) -> str:
        """`weight` [out, in] as torch's nn.Linear keeps it: Gemm with transB=1."""
        values = self._with_bias(name, weight, bias)
        return str(self.op("Gemm", x, *values, scope=scope(name), transB=1))

    def project(self, x: str, name: str, weight: Array, bias: Array | None = None) -> str:
        """`weight` [out, in] as exporters write it for inputs of rank 3: stored transposed and nameless, MatMul, Add."""
        self._counter += 1
        values = self.weight(f"onnx::MatMul_{100 + self._counter}", weight.T)
        product = self.op("MatMul", x, values, scope=scope(name))
        if bias is None:
            return str(product)
        return str(self.op("Add", self.weight(f"{name}.bias", bias), product, scope=scope(name)))

    def conv(self, x: str, name: str, weight: Array, bias: Array | None = None, **attributes: Any) -> str:
        """`weight` [out, in, kh, kw]."""
        values = self._with_bias(name, weight, bias)
        return str(self.op("Conv", x, *values, scope=scope(name), kernel_shape=weight.shape[2:], **attributes))

    def batch_norm(self, x: str, name: str, channels: int, gamma: float = 1.0) -> str:
        """Fresh: running mean 0 and variance 1, bias 0."""
        values = {"weight": gamma, "bias": 0.0, "running_mean": 0.0, "running_var": 1.0}
        names = [self.weight(f"{name}.{key}", np.full(channels, value)) for key, value in values.items()]
        return str(self.op("BatchNormalization", x, *names, scope=scope(name), epsilon=1e-5, momentum=0.9))

    def layer_norm(self, x: str, name: str, width: int) -> str:
        """Fresh: scale 1, bias 0, over the last axis."""
        names = self.weight(f"{name}.weight", np.ones(width)), self.weight(f"{name}.bias", np.zeros(width))
        return str(self.op("LayerNormalization", x, *names, scope=scope(name), axis=-1, epsilon=1e-5))

    def _with_bias(self, name: str, weight: Array, bias: Array | None) -> list[str]:
        values = {"weight": weight} if bias is None else {"weight": weight, "bias": bias}
        return [self.weight(f"{name}.{key}", value) for key, value in values.items()]

    def constant(self, value: Any, dtype: Any = np.float32) -> str:
        """A Constant node, as exporters write scalars and shapes."""
        return str(self.op("Constant", value=numpy_helper.from_array(np.asarray(value, dtype))))

    def model(
        self,
        output: str,
        shape: Sequence[int | str],
        *,
        opset: int = OPSET,
        ir_version: int = IR_VERSION,
        name: str = "output",
        dtype: int = TensorProto.FLOAT,
        extra_domains: Sequence[str] = (),
    ) -> ModelProto:
        """The finished model; `output` is what it returns, under `name`."""
        for node in self._nodes:
            for i, value in enumerate(node.output):
                node.output[i] = name if value == output else value
            for i, value in enumerate(node.input):
                node.input[i] = name if value == output else value
        graph = helper.make_graph(
            self._nodes, self.name, self._inputs, [helper.make_tensor_value_info(name, dtype, shape)], self._weights
        )
        opsets = [helper.make_opsetid("", opset), *(helper.make_opsetid(domain, 1) for domain in extra_domains)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=ir_version, producer_name=PRODUCER)


def scope(name: str) -> str:
    """The exporter's path of a module: `layers.0.fc` becomes /layers.0/fc."""
    parts = name.split(".")
    merged: list[str] = []
    for part in parts:
        if part.isdigit() and merged:
            merged[-1] += f".{part}"
        else:
            merged.append(part)
    return "/" + "/".join(merged)
