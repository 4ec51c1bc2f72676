"""What another package adds to initaudit: a rule, an operator family and an output format."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from initaudit.findings import Finding, Remedy, Severity
from initaudit.format import Format, FormatOptions
from initaudit.kind import Kind
from initaudit.op import AuxiliaryConstant, LayerSpec, Operator
from initaudit.rule import Rule


class EvenWidth(Rule):
    """A layer of this house has an even number of units.

    Why: the house pairs units.
    Harmless when: the layer is the head.
    Fix: none.
    References: none.
    """

    code = "ACM001"
    name = "odd-width"
    severity = Severity.WARNING
    remedy = Remedy.CHECK
    url = "https://acme.example/audit/ACM001"

    def check_layer(self, layer: Any, audit: Any) -> Iterator[Finding]:
        """Heads may have any width."""
        if layer.layer.fan_out % 2 and not layer.layer.is_head:
            yield self.finding(layer, f"{layer.layer.fan_out} units cannot be paired", measured=layer.layer.fan_out)


class Dense(Operator):
    """acme:Dense(data, weight [in, out], bias): a product and its bias in one."""

    types = ("acme:Dense",)

    def find(self, node: Any, constants: Any) -> Iterator[LayerSpec]:
        """One linear layer."""
        weight, bias = constants.get(node.input(1)), constants.get(node.input(2))
        if weight is None:
            return
        yield LayerSpec(
            kind=Kind.LINEAR,
            operand=weight,
            unit_axes=(1,),
            input_axes=(0,),
            fan_in=weight.shape[0],
            fan_out=weight.shape[1],
            input=node.input(0),
            output=node.outputs[0],
            channel_axis=-1,
            auxiliary=() if bias is None else (AuxiliaryConstant(operand=bias, role="bias"),),
        )


class Brief(Format):
    """One line a model."""

    name = "brief"
    suffix = ".brief"

    def render(self, document: Mapping[str, Any], options: FormatOptions) -> str:
        """The status and the number of findings."""
        return "".join(f"{r['verdict']['status']} {len(r['findings'])}\n" for r in document["reports"]) or "\n"
