"""Extraction of small models in tests, and onnxruntime as the judge of what a graph computes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import onnx
import onnxruntime

from initaudit.extraction.extract import extract_layers
from initaudit.model.load import load_model

if TYPE_CHECKING:
    from initaudit.extraction.layer import Extraction, Layer


def extract(proto: onnx.ModelProto) -> Extraction:
    """All layers of a model in memory."""
    return extract_layers(load_model(proto))


def only_layer(proto: onnx.ModelProto) -> Layer:
    """The single layer of a model that has one."""
    (layer,) = extract(proto).layers
    return layer


def run(proto: onnx.ModelProto, feeds: Mapping[str, np.ndarray], values: Sequence[str]) -> list[np.ndarray]:
    """Named values of a model, inner ones included, as onnxruntime computes them without optimisation."""
    model = onnx.ModelProto()
    model.CopyFrom(proto)
    del model.graph.output[:]
    model.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in values)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return list(session.run(list(values), dict(feeds)))


def paths(proto: onnx.ModelProto, shape: Sequence[int]) -> tuple[int, int]:
    """(fan_in, fan_out) of a network from `x` to `y` by brute force: most inputs that reach one output value, and the reverse.

    Every input value is set to one alone, one example of the batch each.
    """
    count = int(np.prod(shape))
    eye = np.eye(count, dtype=np.float32).reshape(count, *shape)
    (out,) = run(proto, {"x": eye}, ["y"])
    reached = out.reshape(count, -1) != 0
    return int(reached.sum(axis=0).max()), int(reached.sum(axis=1).max())
