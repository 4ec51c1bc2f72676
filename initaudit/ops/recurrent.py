"""Recurrent cells: W [directions, gates·hidden, input] and R [directions, gates·hidden, hidden], seen gate by gate."""

from __future__ import annotations

from typing import TYPE_CHECKING

from initaudit.kind import Kind
from initaudit.op import AuxiliaryConstant, Found, LayerSpec, Operator, WeightPlace
from initaudit.views.quantised import dequantise

if TYPE_CHECKING:
    from collections.abc import Iterator

    from initaudit.model.graph import Node, Value
    from initaudit.views import Constants, Operand

GATES = {
    "LSTM": ("input", "output", "forget", "cell"),
    "GRU": ("update", "reset", "hidden"),
    "RNN": ("",),
}
"""In the order of ONNX: i,o,f,c; z,r,h."""

_DIRECTIONS = {"forward": ("forward",), "reverse": ("reverse",), "bidirectional": ("forward", "reverse")}


class Recurrent(Operator):
    """LSTM, GRU and RNN."""

    types = ("LSTM", "GRU", "RNN")

    def find(self, node: Node, constants: Constants) -> Iterator[Found]:
        """A layer per weight, direction and gate."""
        weights = [(role, constants.get(node.input(i))) for i, role in ((1, "W"), (2, "R"))]
        yield from cells(node, weights, GATES[node.op_type], constants, peephole=7)


class DynamicQuantizeLSTM(Operator):
    """LSTM with 8-bit weights, stored transposed: W [directions, input, 4·hidden]."""

    types = ("com.microsoft:DynamicQuantizeLSTM",)

    def find(self, node: Node, constants: Constants) -> Iterator[Found]:
        """A layer per weight, direction and gate, dequantised."""
        weights: list[tuple[str, Operand | None]] = []
        for role, codes, scale, zero in (("W", 1, 8, 9), ("R", 2, 10, 11)):
            stored = constants.get(node.input(codes))
            if stored is not None:
                factors = [_along_last(constants.get(node.input(i)), stored) for i in (scale, zero)]
                stored = dequantise(stored, *factors).transpose((0, 2, 1))
            weights.append((role, stored))
        yield from cells(node, weights, GATES["LSTM"], constants, peephole=7)


def _along_last(factor: Operand | None, codes: Operand) -> Operand | None:
    """Scales [directions] or [directions, 4·hidden] as [directions, 1, 1] or [directions, 1, 4·hidden]."""
    if factor is None or factor.size == 1:
        return factor
    units = factor.shape[1] if factor.rank == 2 else 1
    spread = factor.reshape((codes.shape[0], 1, units))
    shape = (codes.shape[0], 1, codes.shape[2])
    import numpy as np

    wide = spread.then(None, shape, lambda a: np.broadcast_to(a, shape), looks=True) if units == 1 else spread
    full = codes.shape
    return wide.then(None, full, lambda a: np.broadcast_to(a, full), looks=True)


def _output(node: Node) -> Value | None:
    """The states of all steps, or the last one where nobody reads all."""
    read = [value for value in node.outputs if value is not None and (value.consumers or value.is_output)]
    return read[0] if read else node.outputs[0] if node.outputs else None


def cells(
    node: Node,
    weights: list[tuple[str, Operand | None]],
    gates: tuple[str, ...],
    constants: Constants,
    *,
    peephole: int,
) -> Iterator[LayerSpec]:
    """Parts of W and R; bias [directions, 2·gates·hidden] holds that of W, then that of R."""
    directions = _DIRECTIONS.get(node.attr("direction", "forward"), ("forward",))
    bias = constants.get(node.input(3))
    extras = [(constants.get(node.input(5)), "initial_state"), (constants.get(node.input(6)), "initial_state"),
              (constants.get(node.input(peephole)), "peephole")]  # fmt: skip
    shared = tuple(AuxiliaryConstant(operand=o, role=role) for o, role in extras if o is not None)
    for role, weight in weights:
        if weight is None:
            continue
        hidden = weight.shape[1] // len(gates)
        if weight.rank != 3 or weight.shape[0] != len(directions) or hidden * len(gates) != weight.shape[1]:
            raise ValueError(
                f"{node.op_type} weight of shape {list(weight.shape)} does not fit its direction and gates"
            )
        for d, direction in enumerate(directions):
            one = weight.narrow(0, d, d + 1).drop(0)
            for g, gate in enumerate(gates):
                label = "/".join(
                    p for p in (direction if len(directions) > 1 else "", f"gate:{gate}" if gate else "") if p
                )
                start = d * 2 * weight.shape[1] + (role == "R") * weight.shape[1] + g * hidden
                own = (
                    ()
                    if bias is None
                    else (AuxiliaryConstant(operand=bias, role="bias", span=(start, start + hidden)),)
                )
                rows = (g * hidden, (g + 1) * hidden)
                window = ((d, d + 1), rows, (0, weight.shape[2]))
                yield LayerSpec(
                    kind=Kind(node.op_type.lower().removeprefix("dynamicquantize")),
                    operand=one.narrow(0, *rows),
                    unit_axes=(0,),
                    input_axes=(1,),
                    fan_in=weight.shape[2],
                    fan_out=hidden,
                    part=label or None,
                    role=role,
                    hidden_size=hidden,
                    input=node.input(0),
                    output=_output(node),
                    feeds=("recurrent_cell",),
                    auxiliary=own + shared,
                    place=None
                    if weight.computed
                    else WeightPlace(position=1 if role == "W" else 2, shape=weight.shape, window=window),
                )
