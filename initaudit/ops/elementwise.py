"""Constants that are added or multiplied element by element: biases, positions, scales, and what only looks like them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from initaudit.activations.angles import MAX_BACK, goes_to_sine_and_cosine
from initaudit.errors import InitauditError
from initaudit.kind import Kind
from initaudit.model.parameter_names import module_of, names_a_gain
from initaudit.op import DetachedConstant, Found, LayerSpec, NotALayer, Operator
from initaudit.ops import decoys
from initaudit.ops.embedding import table
from initaudit.ops.normalisation import norm

if TYPE_CHECKING:
    from collections.abc import Iterator

    from initaudit.model.graph import Node, Value
    from initaudit.views import Constants, Operand

DOUBTFUL = 2
"""Strength of these claims: a tensor that a product, a lookup or a norm uses is theirs."""


def learned_table(constant: Operand, *, source: Value | None, output: Value | None) -> LayerSpec:
    """A learned constant that enters the graph as it is: positions [.., T, D] as a table, vectors and the rest as they are."""
    wide = [axis for axis, length in enumerate(constant.shape) if length > 1]
    if len(wide) == 2:
        spec = table(constant, axis=wide[0], source=source, output=output, doubt=DOUBTFUL)
        if constant.rank == 2:
            return spec
        # Axes of length 1 (the batch) count as copies.
        return LayerSpec(
            kind=Kind.EMBEDDING,
            operand=constant,
            unit_axes=(wide[1],),
            input_axes=(wide[0],),
            fan_in=constant.shape[wide[0]],
            fan_out=constant.shape[wide[1]],
            input=source,
            output=output,
            channel_axis=wide[1] - constant.rank,
            doubt=DOUBTFUL,
        )
    return LayerSpec(
        kind=Kind.OTHER,
        operand=constant,
        unit_axes=tuple(range(constant.rank)),
        input_axes=(),
        fan_in=1,
        fan_out=1,
        input=source,
        output=output,
        channel_axis=wide[0] - constant.rank if len(wide) == 1 else None,
        doubt=DOUBTFUL,
    )


def fixed_reason(constant: Operand) -> str | None:  # noqa: PLR0911  one line a reason
    """Why these values are evidently no learned ones, or None. Reads little; what cannot be read is not evident."""
    if decoys.is_anchor_table(constant.shape):
        return "table of anchors or boxes of a detection head"
    if constant.size > decoys.MAX_READ:
        return None
    try:
        values = constant.array()
    except InitauditError:
        return None
    if decoys.is_mask(values):
        return "mask of zeros and minus infinity"
    if decoys.is_selection(values):
        return "table of zeros and ones"
    if decoys.is_geometric(values):
        return "geometric progression: frequencies or slopes of a position encoding"
    if decoys.is_grid(values):
        return "table of positions or strides"
    wide = [n for n in constant.shape if n > 1]
    if len(wide) == 2 and decoys.is_sinusoidal(values.reshape(wide)):
        return "table of sines and cosines"
    return None


def _split(node: Node, constants: Constants) -> tuple[Operand, Value, int] | None:
    """(constant, other operand, position of the constant) where exactly one of two operands is a constant of floats."""
    left, right = (constants.get(node.input(i)) for i in (0, 1))
    if (left is None) == (right is None):
        return None
    position = 0 if right is None else 1
    constant, other = (left if right is None else right), node.input(1 - position)
    if constant is None or other is None or not constant.is_floating:
        return None
    if constant.size == 0 or (constant.size == 1 and not _is_learned_gain(node, constant, other)):
        return None
    return constant, other, position


def _is_learned_gain(node: Node, constant: Operand, other: Value) -> bool:
    """Whether a scalar is a parameter that multiplies a signal (ReZero, SkipInit), and not a fixed number that a formula needs."""
    tensor = constant.tensors[0] if constant.tensors else None
    if node.op_type != "Mul" or tensor is None or tensor.size != 1 or other.is_static:
        return False
    return tensor.origin == "initializer" and names_a_gain(tensor.name)


def _normalises_input(constant: Operand, other: Value, constants: Constants) -> bool:
    """Whether a vector meets the model's input before anything but other constants does: its mean or standard deviation."""
    if sum(length > 1 for length in constant.shape) > 1:
        return False
    at: Value | None = other
    for _ in range(MAX_BACK):
        if at is None or at.is_input:
            return at is not None and at.graph.owner is None
        node = at.producer
        if node is None or (not node.spec.only_moves and node.op_type not in ("Add", "Sub", "Mul", "Div")):
            return False
        data = [v for v in node.inputs if v is not None and constants.get(v) is None]
        at = data[0] if len(data) == 1 else None
    return False


def fill_reason(constant: Operand) -> str | None:
    """Why a constant that starts or pads something is not learned; a parameter with a name may well be zero (a class token)."""
    tensor = constant.tensors[0] if constant.tensors else None
    if tensor is None or (tensor.origin == "initializer" and module_of(tensor.name)):
        return None
    try:
        small = constant.size <= decoys.MAX_READ
        return "a fill of one value" if small and decoys.is_constant_fill(constant.array()) else None
    except InitauditError:
        return None


def _table_or_fixed(node: Node, constant: Operand, other: Value) -> LayerSpec | NotALayer:
    reason = fixed_reason(constant) or (fill_reason(constant) if constant.rank > 1 else None)
    if reason is not None:
        return NotALayer(operand=constant, reason=reason)
    return learned_table(constant, source=other, output=node.outputs[0])


class Additive(Operator):
    """Add and Sub of a constant: the bias of the layer before, a learned table of positions, or a fixed table."""

    types = ("Add", "Sub")

    def find(self, node: Node, constants: Constants) -> Iterator[Found]:
        """An attachment to the layer before, and what the constant is where no layer fits."""
        found = _split(node, constants)
        if found is None:
            return
        constant, other, position = found
        if _normalises_input(constant, other, constants):
            yield NotALayer(operand=constant, reason="shift of the model's input")
            return
        candidates = [other]
        maker = other.producer
        if node.op_type == "Sub" and position == 0 and maker is not None and maker.op_type == "Mul":
            candidates += [
                v for v in maker.inputs if v is not None
            ]  # beta - mean · (scale / std), as TensorFlow writes it
        yield DetachedConstant(
            operand=constant,
            to=candidates[0],
            also=tuple(candidates[1:]),
            otherwise=partial(_table_or_fixed, node, constant, other),
        )


class FusedBias(Operator):
    """Operators of onnxruntime that add a bias (input 1) before they do something else."""

    types = ("com.microsoft:BiasGelu", "com.microsoft:FastGelu", "com.microsoft:BiasAdd", "com.microsoft:BiasSplitGelu",
             "com.microsoft:BiasDropout", "com.microsoft:BitmaskBiasDropout")  # fmt: skip

    def find(self, node: Node, constants: Constants) -> Iterator[Found]:
        """The bias, for the layer before."""
        constant, other = constants.get(node.input(1)), node.input(0)
        if constant is not None and other is not None and constant.size > 1:
            yield DetachedConstant(
                operand=constant, to=other, otherwise=partial(_table_or_fixed, node, constant, other)
            )


class Multiplicative(Operator):
    """Mul and Div by a constant: the scale of a decomposed norm, LayerScale, a learned gain, or a fixed table."""

    types = ("Mul", "Div")

    def find(self, node: Node, constants: Constants) -> Iterator[Found]:
        """A scale layer, or why it is none."""
        found = _split(node, constants)
        if found is None:
            return
        constant, other, position = found
        if _normalises_input(constant, other, constants):
            yield NotALayer(operand=constant, reason="scale of the model's input")
            return
        # The scale of a norm is all that happens to what is normalised; one of several factors is a mixture of the network's own.
        normalised = is_normalised(other) and sum(n.op_type not in ("Shape", "Size") for n, _ in other.consumers) == 1
        reason = None if normalised else fixed_reason(constant)
        if reason is None and not normalised and fill_reason(constant) and not constant.array().any():
            reason = "zeros: an initial state"
        if reason is None and not normalised and goes_to_sine_and_cosine(node.outputs[0]):
            reason = "frequencies of sines and cosines"
        if reason is not None:
            yield NotALayer(operand=constant, reason=reason)
            return
        wide = [axis for axis, length in enumerate(constant.shape) if length > 1]
        channel_axis = wide[0] - constant.rank if len(wide) == 1 else None
        spec = norm(constant, source=other, output=node.outputs[0], channel_axis=channel_axis, position=position)
        from dataclasses import replace

        yield replace(spec, kind=Kind.NORM if normalised else Kind.SCALE, doubt=DOUBTFUL)


class Slope(Operator):
    """PRelu: a learned slope per channel."""

    types = ("PRelu",)

    def find(self, node: Node, constants: Constants) -> Iterator[Found]:
        """The slopes as a scale layer."""
        from dataclasses import replace

        slope = constants.get(node.input(1))
        if slope is not None:
            wide = [axis for axis, length in enumerate(slope.shape) if length > 1]
            axis = wide[0] - slope.rank if len(wide) == 1 else None
            spec = norm(slope, source=node.input(0), output=node.outputs[0], channel_axis=axis, position=1)
            yield replace(spec, kind=Kind.SCALE, role="slope")


def is_normalised(value: Value) -> bool:
    """Whether a value is (or is the reciprocal of) something divided by its own spread: x / sqrt(...), x · rsqrt, a norm operator."""
    at: Value | None = value
    for _ in range(MAX_BACK):
        node = at.producer if at is not None else None
        if node is None:
            return False
        if node.spec.norm or _is_reciprocal_root(node):
            return True
        if node.op_type == "Div":
            return _is_root(node.input(1))
        if node.op_type == "Mul":
            return any(
                v is not None and v.producer is not None and _is_reciprocal_root(v.producer) for v in node.inputs
            )
        if not node.spec.only_moves:
            return False
        at = node.inputs[0]
    return False


def _is_root(value: Value | None) -> bool:
    """Produced by Sqrt or a norm, with a clip or an epsilon at most in between."""
    at = value
    for _ in range(MAX_BACK):
        node = at.producer if at is not None else None
        if node is None:
            return False
        if node.op_type in ("Sqrt", "ReduceL2", "LpNormalization"):
            return True
        if not node.spec.only_moves and node.op_type not in ("Add", "Clip", "Max", "Expand"):
            return False
        at = next((v for v in node.inputs if v is not None and v.tensor is None), None)
    return False


def _is_reciprocal_root(node: Node) -> bool:
    if node.op_type in ("Reciprocal", "Div"):
        return _is_root(node.input(0 if node.op_type == "Reciprocal" else 1)) and (
            node.op_type == "Reciprocal" or (node.inputs[0] is not None and node.inputs[0].tensor is not None)
        )
    exponent = node.input(1)
    return node.op_type == "Pow" and exponent is not None and exponent.tensor is not None and _is_negative(exponent)


def _is_negative(value: Value) -> bool:
    assert value.tensor is not None
    return value.tensor.size == 1 and float(value.tensor.array().reshape(-1)[0]) < 0
