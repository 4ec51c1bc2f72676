"""Layers that only comparisons and other steps join to the outputs: no gradient comes back to them, whatever their weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from initaudit.measuring.layer_audit import LayerAudit
    from initaudit.model.graph import Graph, Node

STEPS = frozenset(
    {
        "And",
        "ArgMax",
        "ArgMin",
        "Equal",
        "Greater",
        "GreaterOrEqual",
        "IsInf",
        "IsNaN",
        "Less",
        "LessOrEqual",
        "NonZero",
        "Not",
    }
    | {"OneHot", "Or", "Xor"}
)
"""Operators without a derivative. Rounding and signs are measured as if they had the one that training gives them."""


def why_stepped(graph: Graph, layers: Sequence[LayerAudit]) -> str | None:
    """Why the gradients that the probe measured do not tell whether the network learns; None where they do.

    Decision trees written as matrices decide by comparisons. What a network has besides, a hard router say, does not make it one.
    """
    passing, steps = _differentiable(graph)
    drawn = [a for a in layers if a.layer.kind.is_drawn and not a.layer.untrainable]
    cut = [a for a in drawn if a.layer.output is not None and id(a.layer.output.producer) not in passing]
    if not steps or not cut or 2 * len(cut) < len(drawn):
        return None
    return (
        f"Whether it learns was not judged: from the outputs to {len(cut)} of its layers ({cut[0].layer.name} is the first) there is no way back "
        f"but through {', '.join(sorted(steps))}, which no gradient passes."
    )


def _differentiable(graph: Graph) -> tuple[set[int], set[str]]:
    """The nodes from which a derivative reaches an output, by identity, and the operators where the others end."""
    passing: set[int] = set()
    steps: set[str] = set()
    stack = list(graph.outputs)
    while stack:
        node: Node | None = stack.pop().producer
        if node is None or id(node) in passing:
            continue
        if node.op_type in STEPS:
            steps.add(node.op_type)
            continue
        passing.add(id(node))
        passing.update(id(inner) for body in node.subgraphs.values() for inner in body.walk())
        stack.extend(node.reads())
    return passing, steps
