"""Where links to a layer lead: addresses that a reader understands and that stay when the model is exported again."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

LONGEST = 80
"""Characters of a name that an address keeps. A judgement: longer links are cut by mail programs."""


def layer_anchors(layers: Sequence[Mapping[str, Any]], prefix: str = "") -> dict[str, str]:
    """Layer name -> the id of its row, `layer-` and what can be written in an address of its title; all different.

    Args:
        layers: of one report, each with a name of its own.
        prefix: what tells the reports of a page apart.
    """
    anchors: dict[str, str] = {}
    taken: set[str] = set()
    copies: dict[str, int] = {}
    for layer in layers:
        title = re.sub(r"[^\w.]+", "-", str(layer.get("title") or layer["name"]))[:LONGEST].strip("-")
        first = anchor = f"{prefix}layer-{title}"
        while anchor in taken:
            copies[first] = copies.get(first, 1) + 1
            anchor = f"{first}--{copies[first]}"
        taken.add(anchor)
        anchors[layer["name"]] = anchor
    return anchors
