"""The quantisers of qonnx and Brevitas, for which no runtime has kernels, in standard operators.

Quant (IntQuant): x / scale + zero point, rounded and cut off to a width in bits, and back; BipolarQuant: the sign, times a scale
(qonnx, docs/qonnx-custom-ops).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import NodeProto, TensorProto, helper, numpy_helper

from initaudit.probe.instrument import PREFIX

if TYPE_CHECKING:
    from collections.abc import Mapping

    from onnx import ModelProto

DOMAINS = frozenset(("qonnx.custom_op.general", "finn.custom_op.general", "onnx.brevitas"))
"""Under which the exporters write them."""
WIDEST = 32
"""Bits up to which cutting off is worth a node: beyond, float32 has no numbers that far out in steps of one."""


def take_quantisers_apart(model: ModelProto) -> None:
    """Write the quantisers of the main graph in standard operators, in place; those of unknown width or rounding stay."""
    graph = model.graph
    if not any(node.domain in DOMAINS for node in graph.node):
        return
    stored = {t.name: t for t in graph.initializer if t.data_location != TensorProto.EXTERNAL}
    for node in graph.node:
        if node.op_type == "Constant":
            stored.update((node.output[0], a.t) for a in node.attribute if a.name == "value")
    nodes: list[NodeProto] = []
    for number, node in enumerate(graph.node):
        nodes += _in_pieces(model, node, f"{PREFIX}quant/{number}", stored)
    copies = [NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:]
    graph.node.extend(copies)


def _in_pieces(model: ModelProto, node: NodeProto, prefix: str, stored: Mapping[str, TensorProto]) -> list[NodeProto]:
    if node.domain not in DOMAINS:
        return [node]
    attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}

    def constant(what: str, value: float) -> str:
        name = f"{prefix}/{what}"
        model.graph.initializer.append(numpy_helper.from_array(np.asarray(value, np.float32), name))
        return name

    def step(operator: str, what: str, *inputs: str) -> NodeProto:
        return helper.make_node(operator, list(inputs), [what if what in node.output else f"{prefix}/{what}"])

    output = node.output[0]
    if node.op_type == "BipolarQuant":
        x, scale = node.input[:2]
        return [
            step("Sign", "first", x),
            step("Add", "above", f"{prefix}/first", constant("half", 0.5)),  # zero counts as positive
            step("Sign", "sign", f"{prefix}/above"),
            step("Mul", output, f"{prefix}/sign", scale),
        ]
    width = stored.get(node.input[3]) if len(node.input) > 3 else None
    if node.op_type not in ("Quant", "IntQuant") or width is None or not _rounds_to_nearest(attributes):
        return [node]
    x, scale, zero = node.input[:3]
    low, high = _ends(float(numpy_helper.to_array(width).reshape(-1)[0]), attributes)
    return [
        step("Div", "steps", x, scale),
        step("Add", "shifted", f"{prefix}/steps", zero),
        step("Max", "above", f"{prefix}/shifted", constant("low", low)),
        step("Min", "within", f"{prefix}/above", constant("high", high)),
        step("Round", "code", f"{prefix}/within"),
        step("Sub", "centred", f"{prefix}/code", zero),
        step("Mul", output, f"{prefix}/centred", scale),
    ]


def _rounds_to_nearest(attributes: Mapping[str, Any]) -> bool:
    mode = attributes.get("rounding_mode", b"ROUND")
    return (mode.decode() if isinstance(mode, bytes) else str(mode)).upper() in ("ROUND", "HALF_EVEN")


def _ends(bits: float, attributes: Mapping[str, Any]) -> tuple[float, float]:
    """First and last code."""
    bits, narrow = min(bits, WIDEST), int(attributes.get("narrow", 0))
    if attributes.get("signed", 1):
        return -(2.0 ** (bits - 1)) + narrow, 2.0 ** (bits - 1) - 1
    return 0.0, 2.0**bits - 1 - narrow
