"""Which stored tensors are accounted for by a layer, and why the others are not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from initaudit.layers import Extraction, Layer, Skipped

if TYPE_CHECKING:
    from initaudit.find import Finds
    from initaudit.graph import Graph, Value
    from initaudit.tensors import Tensor
    from initaudit.views import Constants, Operand


def account(graph: Graph, constants: Constants, finds: Finds, layers: tuple[Layer, ...]) -> Extraction:
    """Count every stored tensor once: as part of a layer, or as skipped with a reason."""
    claimed: dict[int, int] = {}
    for _, spec in finds.specs:
        _claim(claimed, spec.operand)
        for companion in spec.companions:
            _claim(claimed, companion.operand)
    for layer in layers:
        if layer.bias is not None:
            claimed.setdefault(id(layer.bias), layer.bias.size)
    audited = sum(claimed.values())
    reasons = {id(t): a for a in finds.asides for t in a.operand.tensors}
    uses: dict[int, list[Value]] = {}
    tensors: dict[int, Tensor] = {}
    for value, tensor in graph.tensors():
        tensors[id(tensor)] = tensor
        uses.setdefault(id(tensor), []).append(value)
    skipped = []
    for identity, tensor in tensors.items():
        if identity in claimed:
            continue
        learned = tensor.is_floating and tensor.size > 1
        aside = reasons.get(identity)
        if aside is not None:
            reason, learned = aside.reason, aside.is_parameter
        else:
            reason = finds.refused.get(identity) or _reason(tensor, uses[identity])
        skipped.append(Skipped(initializer=tensor.name, parameters=tensor.size, reason=reason, is_parameter=learned))
    unaudited = sum(s.parameters for s in skipped if s.is_parameter)
    return Extraction(layers=layers, skipped=tuple(skipped), parameters=audited + unaudited, audited=audited)


def _claim(claimed: dict[int, int], operand: Operand) -> None:
    """Weights count by their elements; what only encodes them (scales, zero points) is accounted for and counts nothing."""
    for position, tensor in enumerate(operand.tensors):
        size = (operand.count or tensor.size) if position == 0 else tensor.size if _counts(operand, tensor) else 0
        claimed[id(tensor)] = max(claimed.get(id(tensor), 0), size)


def _counts(operand: Operand, tensor: Tensor) -> bool:
    """Whether a further tensor of an operand holds learned values of its own, unlike the scales of a quantised one."""
    quantised = not operand.tensors[0].is_floating
    return tensor.is_floating and not quantised


def _reason(tensor: Tensor, values: list[Value]) -> str:
    users = sorted({node.op_type for value in values for node, _ in value.consumers})
    if tensor.size <= 1:
        return "a scalar"
    if not tensor.is_floating:
        return "a table of integers"
    return f"read by {', '.join(users)}" if users else "no operator reads it"
