"""A layer's operator alone, to send its input through a random weight."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from onnx import ModelProto, helper

from initaudit.model.graph import DEFAULT_DOMAINS
from initaudit.probe.instrument import PREFIX

if TYPE_CHECKING:
    from initaudit.probe.plan import LayerPlan
    from initaudit.probe.segments import Network

WEIGHT, RESULT = f"{PREFIX}weight", f"{PREFIX}product"
BIAS_OPTIONAL = 11
"""Opset from which Gemm may do without a bias."""


class Product:
    """`x, W -> operator(x, W)` without bias: the derivative of the output in the direction W of the weight."""

    def __init__(self, network: Network, layer: LayerPlan, x: np.ndarray, threads: int | None) -> None:
        from initaudit.probe.session import open_session, quiet_options

        node = next(n for n, read in network.nodes if layer.input in read and _is_it(n, layer))
        copy = type(node)()
        copy.CopyFrom(node)
        assert layer.weight is not None
        del copy.input[2:], copy.output[1:]
        copy.input[layer.weight], copy.output[0] = WEIGHT, RESULT
        element = helper.np_dtype_to_tensor_dtype(x.dtype)
        model = ModelProto(ir_version=network.model.ir_version)
        model.opset_import.extend(network.model.opset_import)
        graph = model.graph
        graph.name = "product"
        graph.input.append(helper.make_tensor_value_info(str(layer.input), element, [None] * x.ndim))
        graph.input.append(helper.make_tensor_value_info(WEIGHT, element, list(layer.weight_shape)))
        opset = next((o.version for o in model.opset_import if o.domain in DEFAULT_DOMAINS), 1)
        if copy.op_type == "Gemm" and opset < BIAS_OPTIONAL:
            zero = f"{PREFIX}zero"
            graph.initializer.append(helper.make_tensor(zero, element, [1], [0.0]))
            copy.input.append(zero)
        graph.node.append(copy)
        graph.output.append(helper.make_tensor_value_info(RESULT, element, None))
        self._session = open_session(model, None, quiet_options(threads))
        self._input = str(layer.input)
        self._shape = layer.weight_shape
        self._dtype = x.dtype

    def direction(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Change of the output, float32, for a weight of independent random signs."""
        from initaudit.probe.session import run_session

        signs = (rng.integers(0, 2, size=self._shape, dtype=np.int8) * 2 - 1).astype(self._dtype)
        (result,) = run_session(self._session, [RESULT], {self._input: x, WEIGHT: signs})
        return np.asarray(result, np.float32)


def _is_it(node: object, layer: LayerPlan) -> bool:
    return layer.node_output in getattr(node, "output", ())
