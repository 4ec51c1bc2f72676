"""Mixture of experts: stacked weights [experts, ...] of two or three linear layers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from initaudit.kind import Kind
from initaudit.op import AuxiliaryConstant, Found, LayerSpec, Operator, WeightPlace

if TYPE_CHECKING:
    from collections.abc import Iterator

    from initaudit.model.graph import Node
    from initaudit.views import Constants


class MixtureOfExperts(Operator):
    """MoE (input, router, fc1, fc1 bias, fc2, fc2 bias, fc3, fc3 bias): the experts' weights as independent copies."""

    types = ("com.microsoft:MoE",)

    def find(self, node: Node, constants: Constants) -> Iterator[Found]:
        """A layer each for fc1, fc2 and fc3, all experts together."""
        hidden = constants.dims(node.input(0))
        width = hidden[-1] if hidden else None
        for role, place in (("fc1", 2), ("fc2", 4), ("fc3", 6)):
            weight, bias = constants.get(node.input(place)), constants.get(node.input(place + 1))
            if weight is None:
                continue
            if weight.rank != 3:
                raise ValueError(f"expert weight of shape {list(weight.shape)}")
            units = self._unit_axis(
                weight.shape, bias.shape[-1] if bias is not None else None, width, into=role != "fc2"
            )
            yield LayerSpec(
                kind=Kind.LINEAR,
                operand=weight,
                unit_axes=(units,),
                input_axes=(3 - units,),
                fan_in=weight.shape[3 - units],
                fan_out=weight.shape[units],
                role=role,
                input=node.input(0) if role != "fc2" else None,
                output=node.outputs[0] if role == "fc2" else None,
                feeds=(str(node.attr("activation_type", "relu")),) if role == "fc1" else ("layer",),
                auxiliary=() if bias is None else (AuxiliaryConstant(operand=bias, role="bias"),),
                place=WeightPlace(position=place, shape=weight.shape),
            )

    @staticmethod
    def _unit_axis(shape: tuple[int, ...], bias: int | None, width: int | None, *, into: bool) -> int:
        """Both [experts, in, out] and [experts, out, in] are in use: the bias or the width of the input decides, else the newer one."""
        if bias is not None and shape[1] != shape[2]:
            return 1 if shape[1] == bias else 2
        if width is not None and shape[1] != shape[2]:
            return (2 if shape[1] == width else 1) if into else (1 if shape[1] == width else 2)
        return 1
