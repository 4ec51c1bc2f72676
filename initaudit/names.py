"""Names of layers: one that is unique and stable, and one that a person recognises."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from initaudit.graph import Node
    from initaudit.op import LayerSpec


def name_layers(specs: Sequence[tuple[Node, LayerSpec]]) -> list[tuple[str, str]]:
    """(name, title) per layer, in order."""
    seen: Counter[str] = Counter()
    named = []
    for node, spec in specs:
        base = node.name or f"{node.op_type}"
        label = " ".join(p for p in (spec.role, spec.part) if p)
        name = f"{base}[{label}]" if label else base
        seen[name] += 1
        if seen[name] > 1:
            name = f"{name}#{seen[name]}"
        named.append((name, name))
    return named
