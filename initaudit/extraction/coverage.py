"""Which stored tensors are accounted for by a layer, and why the others are not."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from initaudit.extraction.layer import Extraction, Layer, Skipped

if TYPE_CHECKING:
    from collections.abc import Sequence

    from initaudit.extraction.find import Discovered
    from initaudit.model.graph import Graph, Value
    from initaudit.model.tensors import Tensor
    from initaudit.op import NotALayer
    from initaudit.views import Operand


MOST_PACKED = 8
"""Weights that one stored value can hold: a byte of 1-bit weights."""


def account(graph: Graph, discovered: Discovered, layers: tuple[Layer, ...]) -> Extraction:
    """Count every stored tensor once: as part of a layer, or as skipped with a reason."""
    claimed: dict[int, int] = {}
    for _, spec in discovered.specs:
        _claim(claimed, spec.operand)
        for constant in spec.auxiliary:
            _claim(claimed, constant.operand)
    for layer in layers:
        if layer.bias is not None:
            claimed.setdefault(id(layer.bias), layer.bias.held)
    not_layers = {id(t): a for a in discovered.not_layers if a.operand is not None for t in a.operand.tensors}
    uses: dict[int, list[Value]] = {}
    tensors: dict[int, Tensor] = {}
    for value, tensor in graph.tensors():
        tensors[id(tensor)] = tensor
        uses.setdefault(id(tensor), []).append(value)
    skipped = [
        _skipped(tensor, uses[identity], not_layers.get(identity), discovered.refused.get(identity))
        for identity, tensor in tensors.items()
        if identity not in claimed
    ]
    for excluded in discovered.not_layers:
        if excluded.operand is None:
            name = excluded.name or "?"
            skipped.append(
                Skipped(initializer=name, parameters=excluded.parameters, reason=excluded.reason, is_parameter=False)
            )
    skipped += _missing(graph)
    audited = sum(claimed.values())
    unaudited = sum(s.parameters for s in skipped if s.is_parameter)
    return Extraction(
        layers=layers, skipped=tuple(skipped), parameters=audited + unaudited, audited=audited, claimed=claimed
    )


def without_unread(extraction: Extraction, unread: Sequence[tuple[Layer, str]]) -> Extraction:
    """What is accounted for where the weights of some layers turned out unreadable, each for its reason.

    A stored tensor counts once, whatever is computed from it and however many of these layers use it; and it does not count where another
    layer does read it.
    """
    lost = {id(layer) for layer, _ in unread}
    settled = {id(t) for layer in extraction.layers if id(layer) not in lost for t in layer.weight.tensors}
    skipped: list[Skipped] = []
    for layer, reason in unread:
        tensors = {id(t) for t in layer.weight.tensors} - settled
        settled |= tensors
        name = layer.weight.tensors[0].name if layer.weight.tensors else layer.name
        size = sum(extraction.claimed.get(tensor, 0) for tensor in tensors)
        if size or not any(s.initializer == name and s.reason == reason for s in skipped[-1:]):
            skipped.append(Skipped(initializer=name, parameters=size, reason=reason, is_parameter=True))
    return replace(
        extraction,
        skipped=(*extraction.skipped, *skipped),
        audited=extraction.audited - sum(s.parameters for s in skipped),
    )


def _skipped(tensor: Tensor, values: list[Value], excluded: NotALayer | None, refused: str | None) -> Skipped:
    """A stored tensor that no layer uses: by default, floats that some operator reads count as parameters."""
    users = sorted({node.op_type for value in values for node, _ in value.consumers if node.op_type != "Identity"})
    learned = tensor.is_floating and tensor.size > 1
    if tensor.dtype == "string":
        reason, learned = "text", False
    elif tensor.size <= 1:
        reason = "a scalar"
    elif refused is not None:
        reason = refused
    elif excluded is not None:
        reason, learned = excluded.reason, excluded.is_parameter
    elif not tensor.is_floating:
        reason = "a table of integers"
    elif users:
        reason = f"read by {', '.join(users)}, which initaudit does not know to hold weights here"
    elif any(value.is_output for value in values):
        reason, learned = "an output of the model as it is; no operator reads it", False
    else:
        reason, learned = "no operator reads it", False
    return Skipped(initializer=tensor.name, parameters=tensor.held, reason=reason, is_parameter=learned)


def _missing(graph: Graph) -> list[Skipped]:
    """Graph inputs without value that stand where operators take their weights: the file does not hold them."""
    missing = []
    for value in graph.inputs:
        if value.is_input and value.consumers and all(place in node.spec.weights for node, place in value.consumers):
            size = math.prod(d for d in value.dims or (0,) if isinstance(d, int))
            reason = "a weight that is an input of the model: the file holds no values for it"
            missing.append(
                Skipped(initializer=value.name, parameters=size, reason=reason, is_parameter=False, stored=False)
            )
    return missing


def _claim(claimed: dict[int, int], operand: Operand) -> None:
    """Weights count by their elements; what only encodes them (scales, zero points) is accounted for and counts nothing."""
    for position, tensor in enumerate(operand.tensors):
        size = tensor.held if position == 0 or _counts(operand, tensor) else 0
        if position == 0 and operand.count is not None:
            size = min(operand.count, MOST_PACKED * tensor.held)
        claimed[id(tensor)] = max(claimed.get(id(tensor), 0), size)


def _counts(operand: Operand, tensor: Tensor) -> bool:
    """Whether a further tensor of an operand holds learned values of its own, unlike the scales of a quantised one."""
    quantised = not operand.tensors[0].is_floating
    return tensor.is_floating and not quantised
