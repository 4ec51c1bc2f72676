"""Small changes that keep the meaning of a model and let onnxruntime's CPU provider run it.

They edit the messages that onnxruntime is given, as `shadow` and `instrument` do: the graph view cannot be changed, and a
way through onnx-ir and back loses sparse initializers (onnx-ir 1.1).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import onnx
from onnx import NodeProto, TensorProto

from initaudit.model.bodies import walk_nodes
from initaudit.model.graph import DEFAULT_DOMAINS
from initaudit.probe.masks import expect_masks
from initaudit.probe.qonnx import take_quantisers_apart
from initaudit.probe.shadow import shadow, uses

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto

IR_VERSION = 10
"""Highest IR version that every supported onnxruntime (1.20 and later) loads. Later ones add notes for devices and
types that onnxruntime checks by itself; a lower number changes no meaning."""
OLDEST_OPSET = 7
"""onnxruntime has kernels from this opset on."""
CONVERTED_OPSET = 13
"""What older models are converted to: the newest opset that the converter of the onnx package reaches from opset 1
without operators that have no adapter."""
UNLIKELY_SIZE = 7919
"""Stands for a free dimension during conversion; equal to no size of a weight."""
BFLOAT16_OPSET = 22
"""Opset 22 let 48 operators compute in bfloat16 and changed nothing else: their inputs, outputs and attributes are those of
the version before (compared with onnx.defs of onnx 1.23)."""


def adapt(model: ModelProto) -> tuple[ModelProto, list[str]]:
    """Change what is known to keep onnxruntime from loading `model`, in place where possible; notes say what was done."""
    notes: list[str] = []
    if model.ir_version > IR_VERSION:
        if model.ir_version > onnx.IR_VERSION:
            notes.append(
                f"IR version {model.ir_version} is newer than this program knows; read as version {IR_VERSION}"
            )
        model.ir_version = IR_VERSION
    if 0 < default_opset(model) < OLDEST_OPSET:
        model, made = _convert(model)
        notes += made
    for node in walk_nodes(model.graph.node):
        _spell_out_padding(node)
        _drop_nothing(node)
    _take_apart(model.graph)
    take_quantisers_apart(model)
    notes += expect_masks(model)
    if uses(model, frozenset((TensorProto.BFLOAT16,))):
        notes += shadow(model)
    return model, notes


def lower_opset(model: ModelProto) -> list[str]:
    """Take opset 22 for 21 where no operator knows the difference; onnxruntime lacks some kernels under the new number.

    Returns the note for the report; empty where nothing was changed.
    """
    if default_opset(model) != BFLOAT16_OPSET:
        return []
    for entry in model.opset_import:
        if entry.domain in DEFAULT_DOMAINS:
            entry.version = BFLOAT16_OPSET - 1
    return [f"read as opset {BFLOAT16_OPSET - 1}, which differs from {BFLOAT16_OPSET} only in bfloat16"]


def default_opset(model: ModelProto) -> int:
    """Version of the standard operators that the model imports; 0 where it imports none."""
    return next((entry.version for entry in model.opset_import if entry.domain in DEFAULT_DOMAINS), 0)


def _convert(model: ModelProto) -> tuple[ModelProto, list[str]]:
    from onnx import version_converter

    version = default_opset(model)
    numbered = type(model)()
    numbered.CopyFrom(model)
    declared = {info.name: info for info in (*model.graph.input, *model.graph.output)}
    for info in (*numbered.graph.input, *numbered.graph.output):  # the adapters for broadcasting want numbers
        for axis, dim in enumerate(info.type.tensor_type.shape.dim):
            if not dim.dim_value:
                dim.dim_value = UNLIKELY_SIZE + axis
    del numbered.graph.value_info[:]
    try:
        converted = version_converter.convert_version(numbered, CONVERTED_OPSET)
    except Exception:  # noqa: BLE001  the converter raises whatever its C++ raises; onnxruntime then says what is wrong
        return model, []
    for info in (*converted.graph.input, *converted.graph.output):
        info.CopyFrom(declared[info.name])
    del converted.graph.value_info[:]
    return converted, [
        f"converted from opset {version} to {CONVERTED_OPSET}: onnxruntime runs nothing older than {OLDEST_OPSET}"
    ]


def _take_apart(graph: GraphProto) -> None:
    """Write GemmFastGelu, for which only GPUs have a kernel, as the product and the activation that it is."""
    if not any(node.op_type == "GemmFastGelu" for node in graph.node):
        return
    nodes: list[NodeProto] = []
    for node in graph.node:
        if node.op_type != "GemmFastGelu":
            nodes.append(NodeProto.FromString(node.SerializeToString()))
            continue
        product = f"{node.output[0]}__product"
        nodes += [
            onnx.helper.make_node("MatMul", list(node.input[:2]), [product], f"{node.name}__product"),
            onnx.helper.make_node("FastGelu", [product, *node.input[2:]], node.output, node.name, domain=node.domain),
        ]
    del graph.node[:]
    graph.node.extend(nodes)


def _drop_nothing(node: NodeProto) -> None:
    """Take Dropout out of training mode: its expectation is the identity, and its draws would pass for differences between inputs."""
    if node.op_type == "Dropout" and node.domain in DEFAULT_DOMAINS:
        del node.input[2:]


def _spell_out_padding(node: NodeProto) -> None:
    """Replace auto_pad SAME by its pads in a dilated convolution of stride one, which the CPU kernel refuses.

    With stride one the padding does not depend on the input: dilation * (kernel - 1) in all (ONNX, Conv).
    """
    if node.op_type != "Conv":
        return
    attributes = {a.name: a for a in node.attribute}
    mode = attributes["auto_pad"].s.decode() if "auto_pad" in attributes else ""
    if not mode.startswith("SAME") or "kernel_shape" not in attributes:
        return
    kernel = list(attributes["kernel_shape"].ints)
    dilations = list(attributes["dilations"].ints) if "dilations" in attributes else [1] * len(kernel)
    strides = list(attributes["strides"].ints) if "strides" in attributes else [1] * len(kernel)
    if all(d == 1 for d in dilations) or any(s != 1 for s in strides):
        return
    totals = [d * (k - 1) for d, k in zip(dilations, kernel, strict=True)]
    small = [t // 2 for t in totals]
    large = [t - t // 2 for t in totals]
    kept = [a for a in node.attribute if a.name not in ("auto_pad", "pads")]
    pads = [*small, *large] if mode == "SAME_UPPER" else [*large, *small]
    copies = [onnx.AttributeProto.FromString(a.SerializeToString()) for a in kept]
    del node.attribute[:]
    node.attribute.extend([*copies, onnx.helper.make_attribute("pads", pads)])
