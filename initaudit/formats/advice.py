"""Advice for the terminal: what to do about a finding, as lines."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from initaudit.formats.printing import visible

READERS = {"pytorch": "PyTorch", "keras": "Keras", "onnx": "The file"}
"""How the reader of advice is called."""


def fitting(advice: Sequence[Mapping[str, str]], *, every: bool) -> list[Mapping[str, str]]:
    """For the reader whom the model's producer suggests, who comes first, and for whoever has the file alone; or for every one."""
    return [a for i, a in enumerate(advice) if every or i == 0 or a["reader"] == "onnx"]


def advice_lines(advice: Sequence[Mapping[str, Any]], told: Collection[str], *, every: bool) -> Iterator[str]:
    """A line with the reader and what the code does, then the code; without the code that was `told` already."""
    for piece in fitting(advice, every=every):
        if piece["code"] in told:
            continue
        yield visible(f"{READERS[piece['reader']]}: {piece['text']}")
        yield from (f"    {visible(line)}" for line in piece["code"].split("\n"))
