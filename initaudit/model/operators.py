"""What each operator does, as far as any part of the audit needs to know: one table.

A row is found by `domain:op_type`, here or among those that other packages bring with their families (`initaudit.op.Operator.specs`), then by
`op_type` alone: many domains (com.microsoft, nchwc, nhwc) have operators that do what the standard one of that name does.
What an operator computes, elementwise, is said in `initaudit.activations.elementwise`; which layers a node is, in `initaudit.ops`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum, auto
from functools import cache
from typing import TYPE_CHECKING, Final

from initaudit.registry import contributed, tell

if TYPE_CHECKING:
    from collections.abc import Mapping


class Use(Enum):
    """What becomes of a value that arrives at one of the operator's data inputs."""

    OTHER = auto()
    PASS = auto()
    """It is moved, selected, pooled or repeated: its size stays what it was."""
    SUM = auto()
    SCALE = auto()
    """It is multiplied or divided."""
    EXTREMUM = auto()
    GATE = auto()
    """One part of it multiplies another."""
    SOFTMAX = auto()
    PRODUCT = auto()
    """It is multiplied by a matrix or kernel, the other operand."""
    RECURRENT = auto()
    ATTENTION = auto()
    SHAPE = auto()
    """Only its shape is seen."""
    RANDOM = auto()
    """Values are drawn, whatever arrives."""


class AxisMap(Enum):
    """How the axes of the first output follow from those of the input."""

    SAME = auto()
    BROADCAST = auto()
    TRANSPOSE = auto()
    RESHAPE = auto()
    FLATTEN = auto()
    UNSQUEEZE = auto()
    SQUEEZE = auto()
    GATHER = auto()
    SLICE = auto()
    SPLIT = auto()
    CONCAT = auto()
    EXPAND = auto()
    TILE = auto()
    PAD = auto()
    FILL = auto()
    """The input is the shape of the output."""
    MATMUL = auto()
    GEMM = auto()
    CONV = auto()
    CONV_TRANSPOSE = auto()
    RECURRENT = auto()


class Values(Enum):
    """What becomes of the numbers."""

    KEPT = auto()
    """Each is what it was, up to its type."""
    RECODED = auto()
    """The same quantities in other codes: quantised, dequantised."""
    CHANGED = auto()


_RESHAPING: Final = frozenset(
    {AxisMap.SAME, AxisMap.TRANSPOSE, AxisMap.RESHAPE, AxisMap.FLATTEN, AxisMap.UNSQUEEZE, AxisMap.SQUEEZE}
)
_SELECTING: Final = frozenset({AxisMap.GATHER, AxisMap.SLICE, AxisMap.SPLIT})


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorSpec:
    """One operator. Positions are those of its inputs."""

    use: Use = Use.OTHER
    data: tuple[int, ...] | None = (0,)
    """Inputs that carry the signal; None for all of them. The others are shapes, indices, scales, types."""
    axis_map: AxisMap | None = None
    values: Values = Values.CHANGED
    norm: str | None = None
    """Name of the normalisation that it is: batch_norm, layer_norm, ..."""
    weights: tuple[int, ...] = ()
    """Inputs that hold nothing but weights, so that a graph input without value at this place is a weight the file does not hold."""
    operands: tuple[int, ...] | None = (0, 1)
    """Of a product: its factors; None for all inputs."""
    addend: int | None = None
    """Of a product: a further signal that is added to it."""
    offsets: int | None = None
    """Of a product: pixels by which its taps are moved."""
    output_zero_point: int | None = None
    """Zero point of the output where the operator quantises it itself."""
    is_linear_in_weight: bool = False
    """Whether onnxruntime runs it with a random weight, and no further inputs, for a random direction of the output."""
    rounds: bool = False
    """Whether the answer to a small change of the data is a staircase."""

    @property
    def only_moves(self) -> bool:
        """Whether every number arrives once, in another order, type or code at most."""
        return self.values is not Values.CHANGED and self.axis_map in _RESHAPING

    @property
    def normalizes_a_sum(self) -> bool:
        """Whether it adds a skip connection and normalises the sum, in one."""
        return self.use is Use.SUM and self.norm is not None

    @property
    def selects(self) -> bool:
        """Whether what leaves is a part of what arrives."""
        return self.values is Values.KEPT and self.axis_map in _SELECTING

    def carries(self, position: int) -> bool:
        """Whether the input at `position` carries the signal."""
        return self.data is None or position in self.data


PLAIN_PRODUCT: Final = OperatorSpec(use=Use.PRODUCT)
"""A product of the first input with a weight: what an operator of another package that owns weights is, unless it says more."""

_MOVE = OperatorSpec(use=Use.PASS, values=Values.KEPT)
_PASS = OperatorSpec(use=Use.PASS)
_FUNCTION = OperatorSpec(axis_map=AxisMap.SAME)
_COMBINE = OperatorSpec(axis_map=AxisMap.BROADCAST, data=None)
_MATMUL = replace(PLAIN_PRODUCT, axis_map=AxisMap.MATMUL)
_GEMM = replace(PLAIN_PRODUCT, axis_map=AxisMap.GEMM, weights=(1,), addend=2)
_CONV = replace(PLAIN_PRODUCT, axis_map=AxisMap.CONV, weights=(1,))
_RECURRENT = OperatorSpec(use=Use.RECURRENT, axis_map=AxisMap.RECURRENT, weights=(1, 2, 3))
_ATTENTION = OperatorSpec(use=Use.ATTENTION)
_PROJECTING = replace(_ATTENTION, weights=(1, 2))
_SUM_AND_NORM = OperatorSpec(use=Use.SUM, axis_map=AxisMap.SAME, data=(0, 1), weights=(2, 3))
_NORM = OperatorSpec(axis_map=AxisMap.SAME, weights=(1, 2))


def _rows(spec: OperatorSpec, names: str) -> dict[str, OperatorSpec]:
    return dict.fromkeys(names.split(), spec)


TABLE: Final[Mapping[str, OperatorSpec]] = {
    # moves
    **_rows(replace(_MOVE, axis_map=AxisMap.SAME), "Identity Dropout Cast CastLike"),
    **_rows(replace(_MOVE, axis_map=AxisMap.SAME, values=Values.RECODED), "DequantizeLinear"),
    **_rows(
        replace(_MOVE, axis_map=AxisMap.SAME, values=Values.RECODED, rounds=True),
        "QuantizeLinear DynamicQuantizeLinear",
    ),
    "Transpose": replace(_MOVE, axis_map=AxisMap.TRANSPOSE),
    "Reshape": replace(_MOVE, axis_map=AxisMap.RESHAPE),
    "Flatten": replace(_MOVE, axis_map=AxisMap.FLATTEN),
    "Squeeze": replace(_MOVE, axis_map=AxisMap.SQUEEZE),
    "Unsqueeze": replace(_MOVE, axis_map=AxisMap.UNSQUEEZE),
    "Slice": replace(_MOVE, axis_map=AxisMap.SLICE),
    "Split": replace(_MOVE, axis_map=AxisMap.SPLIT),
    "Gather": replace(_MOVE, axis_map=AxisMap.GATHER),
    "Concat": replace(_MOVE, axis_map=AxisMap.CONCAT, data=None),
    "Expand": replace(_MOVE, axis_map=AxisMap.EXPAND),
    "Tile": replace(_MOVE, axis_map=AxisMap.TILE),
    "Pad": replace(_PASS, axis_map=AxisMap.PAD),
    "ConstantOfShape": OperatorSpec(axis_map=AxisMap.FILL),
    **_rows(
        _PASS,
        "SplitToSequence SequenceAt GatherND GatherElements DepthToSpace SpaceToDepth Upsample Resize MaxPool AveragePool LpPool"
        " GlobalAveragePool GlobalMaxPool GlobalLpPool ReduceMean ReduceSum ReduceMax ReduceMin ReverseSequence Col2Im GridSample"
        " Scatter Compress MaxRoiPool RoiAlign MaxUnpool NhwcMaxPool QLinearGlobalAveragePool QLinearAveragePool QLinearReduceMean"
        " RotaryEmbedding GemmaRotaryEmbedding Optional OptionalGetElement RemovePadding RestorePadding",
    ),
    **_rows(
        replace(_PASS, data=None),
        "ConcatFromSequence SequenceConstruct SequenceInsert QLinearConcat ScatterND ScatterElements",
    ),
    **_rows(replace(_PASS, axis_map=AxisMap.SAME), "CumSum Trilu Neg"),
    "Clip": replace(_PASS, axis_map=AxisMap.SAME, data=None),
    "Where": replace(_PASS, axis_map=AxisMap.BROADCAST, data=(1, 2)),
    # functions of each value
    **_rows(
        _FUNCTION,
        "Relu LeakyRelu Elu Selu Celu Gelu Sigmoid HardSigmoid HardSwish Mish Swish Tanh Softplus Softsign ThresholdedRelu Shrink"
        " Sin Cos Tan Asin Acos Atan Sinh Cosh Asinh Acosh Atanh Exp Log Sqrt Abs Sign Floor Ceil Round Erf Reciprocal Not IsNaN"
        " BitwiseNot FastGelu QuickGelu BiasGelu QLinearSigmoid QLinearLeakyRelu",
    ),
    **_rows(
        _COMBINE,
        "Pow Mod Equal Greater GreaterOrEqual Less LessOrEqual And Or Xor BitShift BitwiseAnd BitwiseOr BitwiseXor",
    ),
    "PRelu": replace(_COMBINE, weights=(1,)),
    # sums, products of two signals, choices
    **_rows(replace(_COMBINE, use=Use.SUM), "Add Sub Sum Mean"),
    "QLinearAdd": OperatorSpec(use=Use.SUM, data=(0, 3)),
    **_rows(OperatorSpec(use=Use.SUM, data=None), "BiasAdd BiasDropout BitmaskBiasDropout"),
    "Mul": replace(_COMBINE, use=Use.SCALE, is_linear_in_weight=True),
    "Div": replace(_COMBINE, use=Use.SCALE),
    "QLinearMul": OperatorSpec(use=Use.SCALE, data=(0, 3)),
    **_rows(replace(_COMBINE, use=Use.EXTREMUM), "Max Min"),
    "BiasSplitGelu": OperatorSpec(use=Use.GATE),
    **_rows(OperatorSpec(use=Use.SOFTMAX, axis_map=AxisMap.SAME), "Softmax LogSoftmax"),
    **_rows(OperatorSpec(use=Use.SOFTMAX), "Hardmax QLinearSoftmax BiasSoftmax"),
    # products with weights
    "MatMul": replace(_MATMUL, is_linear_in_weight=True),
    **_rows(_MATMUL, "FusedMatMul"),
    **_rows(replace(_MATMUL, rounds=True), "MatMulInteger"),
    "Gemm": replace(_GEMM, is_linear_in_weight=True),
    **_rows(_GEMM, "FusedGemm"),
    "Conv": replace(_CONV, is_linear_in_weight=True),
    "FusedConv": replace(_CONV, addend=3),
    "NhwcFusedConv": replace(_CONV, addend=3, axis_map=None),
    "ConvInteger": replace(_CONV, rounds=True),
    "ConvTranspose": replace(_CONV, axis_map=AxisMap.CONV_TRANSPOSE, is_linear_in_weight=True),
    "ConvTransposeWithDynamicPads": replace(_CONV, axis_map=AxisMap.CONV_TRANSPOSE),
    "DeformConv": replace(_CONV, operands=(0,), offsets=2),
    "MMCVModulatedDeformConv2d": replace(_CONV, operands=(0,), offsets=1),
    "QLinearConv": replace(_CONV, weights=(3,), operands=(0, 3), output_zero_point=7, rounds=True),
    "QLinearMatMul": replace(PLAIN_PRODUCT, operands=(0, 3), output_zero_point=7, rounds=True),
    "QGemm": replace(PLAIN_PRODUCT, output_zero_point=8),
    "Einsum": replace(PLAIN_PRODUCT, operands=None),
    **_rows(
        PLAIN_PRODUCT,
        "NhwcConv FusedMatMulActivation TransposeMatMul DynamicQuantizeMatMul MatMulIntegerToFloat MatMulNBits MatMulBnb4"
        " MatMulFpQ4 GemmFastGelu GemmFloat8 SparseToDenseMatMul MoE QMoE",
    ),
    **_rows(_RECURRENT, "LSTM GRU RNN"),
    **_rows(replace(_RECURRENT, axis_map=None, weights=(1, 2)), "DynamicQuantizeLSTM AttnLSTM"),
    **_rows(
        _ATTENTION,
        "Attention MultiHeadAttention GroupQueryAttention DecoderMaskedMultiHeadAttention PackedMultiHeadAttention PagedAttention"
        " SparseAttention DecoderMaskedSelfAttention",
    ),
    **_rows(_PROJECTING, "com.microsoft:Attention PackedAttention QAttention LongformerAttention"),
    "DecoderAttention": replace(_ATTENTION, weights=(2, 3, 4)),
    # normalisations
    "BatchNormalization": replace(_NORM, norm="batch_norm", weights=(1, 2, 3, 4)),
    "InstanceNormalization": replace(_NORM, norm="instance_norm"),
    **_rows(replace(_NORM, norm="group_norm"), "GroupNormalization GroupNorm"),
    "LayerNormalization": replace(_NORM, norm="layer_norm"),
    **_rows(replace(_NORM, norm="rms_norm", weights=(1,)), "RMSNormalization SimplifiedLayerNormalization"),
    "MeanVarianceNormalization": replace(_NORM, norm="instance_norm", weights=()),
    "LpNormalization": replace(_NORM, norm="l2_norm", weights=()),
    "LRN": replace(_NORM, norm="local_response_norm", weights=()),
    "SkipLayerNormalization": replace(_SUM_AND_NORM, norm="layer_norm"),
    "SkipSimplifiedLayerNormalization": replace(_SUM_AND_NORM, norm="rms_norm", weights=(2,)),
    "SkipGroupNorm": replace(_SUM_AND_NORM, norm="group_norm", data=(0, 4), weights=(1, 2), axis_map=None),
    **_rows(OperatorSpec(weights=(2, 3, 4, 5, 6)), "EmbedLayerNormalization QEmbedLayerNormalization"),
    # what passes nothing on
    **_rows(OperatorSpec(use=Use.SHAPE, data=()), "Shape Size"),
    **_rows(
        OperatorSpec(use=Use.RANDOM, data=()),
        "RandomNormal RandomUniform RandomNormalLike RandomUniformLike Multinomial",
    ),
    "Bernoulli": OperatorSpec(use=Use.RANDOM, axis_map=AxisMap.SAME),
    **_rows(replace(_MOVE, axis_map=AxisMap.SAME, values=Values.RECODED, rounds=True), "Quant IntQuant BipolarQuant"),
}
"""By `op_type`, or `domain:op_type` where a domain has its own operator of that name."""

UNKNOWN: Final = OperatorSpec()


@cache
def operator_spec(op_type: str, domain: str = "") -> OperatorSpec:
    """What an operator does; `UNKNOWN` where nobody says."""
    full = f"{domain}:{op_type}" if domain else op_type
    return TABLE.get(full) or _contributed().get(full) or TABLE.get(op_type) or UNKNOWN


@cache
def _contributed() -> Mapping[str, OperatorSpec]:
    """Rows of the operator families that other packages bring. `registry.faults` tells of those that are none, or are there already."""
    rows: dict[str, OperatorSpec] = {}
    for entry, family in contributed("initaudit.ops").items():
        types, specs = getattr(family, "types", None), getattr(family, "specs", {})
        if not isinstance(types, tuple) or not all(isinstance(row, OperatorSpec) for row in specs.values()):
            tell(f"entry point {entry!r} of initaudit.ops: types must be a tuple of names, specs hold OperatorSpec")
            continue
        taken = sorted(TABLE.keys() & specs.keys())
        if taken:
            tell(f"entry point {entry!r} of initaudit.ops: initaudit itself says what {taken[0]} does")
            continue
        rows |= dict.fromkeys((name for name in types if name not in TABLE), PLAIN_PRODUCT) | dict(specs)
    return rows
