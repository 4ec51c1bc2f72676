"""follow(): what a layer's output goes through, and what it meets first."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from initaudit.activations.bias import with_bias
from initaudit.activations.branches import ends_residual_branch
from initaudit.activations.fused import adds_residual, fused_activation
from initaudit.activations.roles import Role
from initaudit.activations.surroundings import LINKS, is_head, is_normalized, leads_to_output_only
from initaudit.activations.trace import trace_from

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from initaudit.activations.named import Parameters
    from initaudit.activations.trace import Ending, Trace
    from initaudit.model.graph import Node, Value
    from initaudit.model.tensors import Tensor


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Following:
    """What follows a layer; the fields are those of `Layer`."""

    output: Value
    bias: Tensor | None = None
    activation: str | None = None
    activation_params: Parameters = field(default_factory=dict)
    normalized_by: str | None = None
    feeds: tuple[str, ...] = ()
    preactivation: Value
    postactivation: Value | None = None
    ends_residual_branch: bool = False
    is_head: bool = False
    normalized_before_use: bool = False


def follow(value: Value) -> Following:
    """What follows the weight layer, or the part of one, that gives `value`."""
    if value.producer is not None and adds_residual(value.producer):
        return Following(
            output=value,
            preactivation=value,
            feeds=(Role.ADD.value,),
            ends_residual_branch=True,
        )
    fused = fused_activation(value)
    if fused is not None:
        return _fused(value, *fused)
    output, bias = with_bias(value)
    trace = trace_from(output)
    first = _activation(trace.endings)
    gated = gated_linear_unit(trace.endings)
    if gated is not None:
        ending, product = gated
        return _following(
            trace, output, bias, value, activation="glu", pre=output, post=product.outputs[0], norm=ending.norm,
            feeds=("glu",),
        )  # fmt: skip
    if first is None or first.match is None:
        norm = next((e.norm for e in trace.endings if e.norm), None)
        return _following(trace, output, bias, value, norm=norm)
    return _following(
        trace, output, bias, value, activation=first.match.name, parameters=first.match.parameters,
        pre=first.match.start, post=first.match.end, norm=first.norm,
    )  # fmt: skip


def _activation(endings: Sequence[Ending]) -> Ending | None:
    """The first ending at a named activation; at one without a name only where the output goes nowhere else."""
    bent = [e for e in endings if e.match is not None]
    named = next((e for e in bent if e.what != "custom"), None)
    return named or (bent[0] if len(bent) == len(endings) and bent else None)


def _following(  # noqa: PLR0913  gathers the fields of a Following
    trace: Trace,
    output: Value,
    bias: Tensor | None,
    value: Value,
    *,
    activation: str | None = None,
    parameters: Parameters | None = None,
    pre: Value | None = None,
    post: Value | None = None,
    norm: str | None = None,
    feeds: tuple[str, ...] | None = None,
) -> Following:
    ends = ends_residual_branch(trace, value)
    return Following(
        output=output,
        bias=bias if bias is not None else trace.late_bias,
        activation=activation,
        activation_params=dict(parameters or {}),
        normalized_by=norm,
        feeds=feeds or tuple(dict.fromkeys(e.what for e in trace.endings if e.comes_first)),
        preactivation=pre if pre is not None else output,
        postactivation=post,
        ends_residual_branch=ends,
        is_head=not ends and is_head(trace),
        normalized_before_use=is_normalized(trace),
    )


def _fused(value: Value, name: str, parameters: Parameters) -> Following:
    """The operator applies the activation itself: what leaves it is already bent."""
    return Following(
        output=value,
        activation=name,
        activation_params=dict(parameters),
        feeds=(name,),
        preactivation=value,
        postactivation=value,
        is_head=name in LINKS and leads_to_output_only(value),
    )


def gated_linear_unit(endings: Sequence[Ending]) -> tuple[Ending, Node] | None:
    """One half of the output times the sigmoid of the other half: the ending of the sigmoid, and the product."""
    for ending in endings:
        if ending.match is None or ending.match.name != "sigmoid":
            continue
        product = next((n for n in _products(ending.match.end)), None)
        if product is not None and any(
            e.node is product and e.match is None and e.value is not ending.value for e in endings
        ):
            return ending, product
    return None


def _products(value: Value) -> Iterator[Node]:
    for node, _ in value.consumers:
        if node.op_type == "Mul":
            yield node
        elif node.spec.only_moves and node.outputs[0] is not None:
            yield from _products(node.outputs[0])
