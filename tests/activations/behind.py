"""Small graphs behind one weight layer: h = MatMul(x, w), then what a test writes in ONNX's text format."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx
from onnx import numpy_helper, parser

from initaudit.activations import Following, follow
from initaudit.model.load import load_model

if TYPE_CHECKING:
    from initaudit.model.graph import Graph

HEADER = '<ir_version: 9, opset_import: ["" : {opset}, "com.microsoft" : 1]>'


def graph_of(body: str, opset: int = 20, **constants: np.ndarray) -> Graph:
    """Main graph of a model with input x [N, 8], weights w [8, 6] and v [6, 8], and the given nodes; y is its output."""
    text = f"{HEADER.format(opset=opset)} g (float[N,8] x) => (float[N,M] y) {{ {body} }}"
    model: onnx.ModelProto = parser.parse_model(text)
    rng = np.random.default_rng(0)
    stored = {
        "w": rng.normal(size=(8, 6)).astype(np.float32),
        "v": rng.normal(size=(6, 8)).astype(np.float32),
        "gamma": rng.normal(size=6).astype(np.float32),
        "beta": rng.normal(size=6).astype(np.float32),
        **constants,
    }
    used = {name for node in model.graph.node for name in node.input}
    model.graph.initializer.extend(numpy_helper.from_array(a, n) for n, a in stored.items() if n in used)
    return load_model(model).graph


def behind(body: str, opset: int = 20, **constants: np.ndarray) -> Following:
    """What follows h = MatMul(x, w)."""
    return follow(graph_of(f"h = MatMul(x, w) {body}", opset, **constants).values["h"])


def number(name: str, value: float) -> str:
    """A scalar constant."""
    return f"{name} = Constant <value_float = {float(value)}> ()"
