"""Normalisations as operators: a scale per channel, with bias and running statistics beside it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from initaudit.kind import Kind
from initaudit.op import AuxiliaryConstant, Found, LayerSpec, Operator, WeightPlace

if TYPE_CHECKING:
    from collections.abc import Iterator

    from initaudit.model.graph import Node, Value
    from initaudit.views import Constants, Operand


def norm(scale: Operand, *, source: Value | None, output: Value | None, channel_axis: int | None,
         position: int | None, auxiliary: tuple[AuxiliaryConstant, ...] = ()) -> LayerSpec:  # fmt: skip
    """A normalisation layer: each scale value, of input `position` of the node, multiplies one input value, so both fans are 1."""
    return LayerSpec(
        kind=Kind.NORM,
        operand=scale,
        unit_axes=tuple(range(scale.rank)),
        input_axes=(),
        fan_in=1,
        fan_out=1,
        input=source,
        output=output,
        channel_axis=channel_axis,
        auxiliary=auxiliary,
        place=None if position is None else WeightPlace(position=position, shape=scale.shape),
    )


class Normalisation(Operator):
    """Operators with (data, scale, bias, running mean, running variance), as many of them as they take."""

    types = (
        "BatchNormalization", "LayerNormalization", "InstanceNormalization", "GroupNormalization", "RMSNormalization",
        "SimplifiedLayerNormalization", "com.microsoft:SimplifiedLayerNormalization", "com.microsoft:GroupNorm",
        "com.microsoft:LayerNormalization",
    )  # fmt: skip
    _roles: ClassVar[tuple[tuple[int, str], ...]] = ((2, "bias"), (3, "running_mean"), (4, "running_var"))

    def find(self, node: Node, constants: Constants) -> Iterator[Found]:
        """One norm layer."""
        scale = constants.get(node.input(1))
        if scale is None:
            return
        roles = self._roles if node.op_type == "BatchNormalization" else self._roles[:1]
        found = [(constants.get(node.input(i)), role) for i, role in roles]
        channels_first = node.op_type in ("BatchNormalization", "InstanceNormalization", "GroupNormalization")
        spec = norm(
            scale,
            source=node.input(0),
            output=node.outputs[0],
            channel_axis=1 if channels_first else -1,
            position=1,
            auxiliary=tuple(AuxiliaryConstant(operand=o, role=role) for o, role in found if o is not None),
        )
        if _is_group_norm_core(node):
            spec = replace(
                spec, untrainable="ones that the exporter put in; the learned scale of the group norm multiplies behind"
            )
        yield spec


def _is_group_norm_core(node: Node) -> bool:
    """GroupNorm as torch exports it: reshape into groups, InstanceNormalization with ones and zeros, reshape back."""
    before = node.inputs[0].producer if node.inputs and node.inputs[0] is not None else None
    after = [n for n, _ in node.outputs[0].consumers] if node.outputs and node.outputs[0] is not None else []
    return (
        node.op_type == "InstanceNormalization"
        and before is not None
        and before.op_type == "Reshape"
        and any(n.op_type == "Reshape" for n in after)
    )


class SkipNormalisation(Operator):
    """A residual add and a normalisation in one: (input, skip, scale, bias, bias of the layer before)."""

    types = ("com.microsoft:SkipLayerNormalization", "com.microsoft:SkipSimplifiedLayerNormalization",
             "com.microsoft:SkipGroupNorm")  # fmt: skip

    def find(self, node: Node, constants: Constants) -> Iterator[Found]:
        """The norm layer; the last constant is the bias of the layer that made the input."""
        from initaudit.op import DetachedConstant

        first = 1 if node.op_type == "SkipGroupNorm" else 2
        scale = constants.get(node.input(first))
        has_bias = node.op_type != "SkipSimplifiedLayerNormalization"
        bias = constants.get(node.input(first + 1)) if has_bias else None
        if scale is not None:
            yield norm(
                scale,
                source=node.input(0),
                output=node.outputs[0],
                channel_axis=-1,
                position=first,
                auxiliary=() if bias is None else (AuxiliaryConstant(operand=bias, role="bias"),),
            )
        earlier = constants.get(node.input(first + 1 + has_bias + (node.op_type == "SkipGroupNorm")))
        before = node.input(0)
        if earlier is not None and before is not None:
            yield DetachedConstant(operand=earlier, to=before)
