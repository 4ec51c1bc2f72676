"""What an operator does to a value that arrives at one of its inputs, as far as the walk behind a layer cares."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from initaudit.model.graph import Graph, Node, Value

MAX_ANCESTORS = 5000
"""Values looked at when asking whether one derives from another; an unrolled state-space block has over a thousand."""


class Role(Enum):
    """The values are what `Layer.feeds` says."""

    LINEAR = "linear"
    """Moves, rescales, pools or shifts by constants: the walk goes on behind it."""
    ADD = "residual_add"
    GATE = "gate"
    MAXIMUM = "maximum"
    SOFTMAX = "softmax"
    ATTENTION = "attention"
    LAYER = "layer"
    RECURRENT = "recurrent_cell"
    OTHER = "other"
    NOTHING = "nothing"
    """The value itself is not used, only its shape."""


_PASS = frozenset({
    "Identity", "Cast", "CastLike", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose", "Dropout", "Expand", "Tile",
    "QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "Pad", "Slice", "Split", "SplitToSequence",
    "SequenceAt", "Concat", "ConcatFromSequence", "SequenceConstruct", "SequenceInsert", "Gather", "GatherND",
    "GatherElements", "DepthToSpace", "SpaceToDepth", "Upsample", "Resize", "MaxPool", "AveragePool", "LpPool",
    "GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool", "ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "CumSum",
    "ReverseSequence", "Trilu", "Col2Im", "GridSample", "ScatterND", "ScatterElements", "Scatter", "Compress", "Where",
    "MaxRoiPool", "RoiAlign", "MaxUnpool", "NhwcMaxPool", "QLinearGlobalAveragePool", "QLinearAveragePool",
    "QLinearReduceMean", "QLinearConcat", "RotaryEmbedding", "GemmaRotaryEmbedding", "Optional", "OptionalGetElement",
    "RemovePadding", "RestorePadding", "Neg", "Clip",
})  # fmt: skip
_JOINING = frozenset({
    "Concat", "ConcatFromSequence", "SequenceConstruct", "SequenceInsert", "QLinearConcat", "ScatterND", "ScatterElements",
})  # fmt: skip
"""Of those, the ones that pass on every operand."""
LAYERS = frozenset({
    "Conv", "ConvTranspose", "Gemm", "MatMul", "ConvInteger", "MatMulInteger", "QLinearConv", "QLinearMatMul", "DeformConv",
    "FusedConv", "NhwcConv", "NhwcFusedConv", "FusedGemm", "FusedMatMul", "FusedMatMulActivation", "TransposeMatMul", "QGemm",
    "DynamicQuantizeMatMul", "MatMulIntegerToFloat", "MatMulNBits", "MatMulBnb4", "MatMulFpQ4", "Einsum", "GemmFastGelu",
    "GemmFloat8", "SparseToDenseMatMul", "MoE", "QMoE",
})  # fmt: skip
_RECURRENT = frozenset({"LSTM", "GRU", "RNN", "DynamicQuantizeLSTM", "AttnLSTM"})
_ATTENTION = frozenset({
    "Attention", "MultiHeadAttention", "GroupQueryAttention", "DecoderMaskedMultiHeadAttention", "PackedAttention",
    "PackedMultiHeadAttention", "PagedAttention", "SparseAttention", "DecoderAttention", "QAttention",
    "LongformerAttention", "DecoderMaskedSelfAttention",
})  # fmt: skip
_ATTENTION_WITH_WEIGHTS = frozenset({"PackedAttention", "QAttention", "LongformerAttention", "DecoderAttention"})
_ADDING = frozenset({
    "Add", "Sub", "Sum", "Mean", "QLinearAdd", "SkipLayerNormalization", "SkipSimplifiedLayerNormalization",
    "SkipGroupNorm", "BiasAdd",
})  # fmt: skip
_SOFTMAX = frozenset({"Softmax", "LogSoftmax", "Hardmax", "QLinearSoftmax", "BiasSoftmax"})
_SCALES = frozenset({"Mul", "Div", "QLinearMul"})
_QUANTISED_OPERANDS = {"QLinearAdd": (0, 3), "QLinearMul": (0, 3), "QLinearMatMul": (0, 3), "QLinearConv": (0, 3)}
"""Inputs that are data, by operator; those between are scales and zero points (schemas of ONNX and onnxruntime)."""


def role_of(node: Node, position: int = 0) -> Role:
    """What `node` does to the value at input `position`."""
    op = node.op_type
    if node.subgraphs:
        return Role.NOTHING  # bodies list their own uses; carried values are followed through the boundary
    if node.outputs and all(v is None or v.is_static for v in node.outputs):
        return Role.NOTHING
    if op in LAYERS:
        return _product(node, position)
    if op in _RECURRENT:
        return Role.LAYER if position == 0 else Role.RECURRENT
    if op in _ATTENTION:
        packed = op in _ATTENTION_WITH_WEIGHTS or (op == "Attention" and not node.is_standard)
        return Role.LAYER if packed and position == 0 else Role.ATTENTION
    if op in _SOFTMAX:
        return Role.SOFTMAX
    alone = sum(v is not None and not v.is_static for v in node.inputs) == 1
    if op in _ADDING:
        return Role.LINEAR if alone else Role.ADD
    if op in _SCALES:
        return Role.LINEAR if alone and not (op == "Div" and position == 1) else Role.GATE
    if op in ("Max", "Min"):
        return Role.LINEAR if alone else Role.MAXIMUM
    if op == "BiasSplitGelu":
        return Role.GATE
    if op == "Where":
        return Role.LINEAR if position > 0 else Role.OTHER
    if op in _PASS:
        return Role.LINEAR if position == 0 or op in _JOINING else Role.OTHER
    return Role.OTHER


def _product(node: Node, position: int) -> Role:
    """A weight layer, or a product of two values that both depend on the data."""
    pair = _QUANTISED_OPERANDS.get(node.op_type, tuple(range(len(node.inputs))) if node.op_type == "Einsum" else (0, 1))
    if position not in pair:
        if node.op_type in ("Gemm", "FusedGemm") and position == 2:
            return Role.ADD
        return Role.ADD if node.op_type in ("FusedConv", "NhwcFusedConv") and position == 3 else Role.OTHER
    others = [v for i in pair if i != position and (v := node.input(i)) is not None]
    dynamic = any(not v.is_static for v in others)
    return Role.ATTENTION if dynamic and node.op_type != "DeformConv" else Role.LAYER


def is_scale(node: Node, value: Value) -> bool:
    """Whether what `value` is multiplied by is no signal: a dynamic quantiser's scale, or rotary sines and cosines."""
    others = [v for v in node.inputs if v is not None and v is not value and not v.is_static]
    return bool(others) and all(_is_scale_value(v) for v in others)


_SHAPING = frozenset({
    "Cast", "Identity", "Unsqueeze", "Squeeze", "Reshape", "Gather", "Slice", "Concat", "Expand", "Transpose", "Tile", "Neg", "Split",
})  # fmt: skip


def _is_scale_value(value: Value, budget: int = 12) -> bool:
    node = value.producer
    if node is None or budget <= 0:
        return False
    if node.op_type in ("DynamicQuantizeLinear", "Cos", "Sin"):
        return node.op_type != "DynamicQuantizeLinear" or value.index > 0
    if node.op_type in _SHAPING or node.op_type in ("Mul", "Where"):
        data = [v for v in node.inputs if v is not None and not v.is_static]
        if node.op_type in ("Gather", "Slice", "Reshape", "Expand", "Tile"):
            data = data[:1] if node.input(0) in data else []
        return bool(data) and all(_is_scale_value(v, budget - 1) for v in data)
    return False


def through_boundary(value: Value) -> Iterator[Value]:
    """Values that `value` becomes on the other side of a subgraph's boundary, inwards and outwards."""
    graph = value.graph
    if value.is_output and graph.owner is not None:
        yield from _outwards(value, graph, graph.owner)
    for node, position in value.consumers:
        if not node.subgraphs:
            continue
        body = node.subgraphs.get("body")
        if body is None:
            continue
        carried = 2 if node.op_type == "Loop" else 0  # a Loop gets its trip count and condition first
        if carried <= position < len(body.inputs):
            yield body.inputs[position]


def _outwards(value: Value, graph: Graph, owner: Node) -> Iterator[Value]:
    shift = 1 if owner.op_type == "Loop" else 0  # a Loop body gives its condition first
    for position, output in enumerate(graph.outputs):
        if output is value and 0 <= position - shift < len(owner.outputs):
            result = owner.outputs[position - shift]
            if result is not None:
                yield result


def derives_from(value: Value, ancestor: Value) -> bool:
    """Whether `value` is computed from `ancestor`, looking back a bounded number of steps."""
    oldest = ancestor.producer.position if ancestor.producer is not None else -1
    queue, seen = [value], {id(value)}
    while queue and len(seen) < MAX_ANCESTORS:
        current = queue.pop()
        if current is ancestor:
            return True
        node = current.producer
        if node is None or (node.graph is ancestor.graph and node.position <= oldest):
            continue
        for operand in node.inputs:
            if operand is not None and not operand.is_static and id(operand) not in seen:
                seen.add(id(operand))
                queue.append(operand)
    return False
