"""What the JSON document says of the network's wiring: its places, and which reads which."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from initaudit.extraction.wiring import Place


def graph_entry(places: Sequence[Place]) -> dict[str, Any]:
    """`nodes`, each behind those that it reads, and `edges` as pairs of positions among them: from, to."""
    nodes = [
        {
            "kind": place.kind,
            "name": place.name,
            "op_type": place.op_type,
            "layers": list(place.layers),
            "inside": list(place.inside),
        }
        for place in places
    ]
    edges = [[source, position] for position, place in enumerate(places) for source in place.reads]
    return {"nodes": nodes, "edges": edges}
