"""One answer for a network that was probed once for each choice of its branches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def merged(answers: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What the probe's process answered for all choices together; inputs and batch are those of the first."""
    first = dict(answers[0])
    if len(answers) == 1:
        return first
    for key in ("signals", "skipped", "tails"):
        first[key] = {name: value for answer in answers for name, value in answer[key].items()}
    for key in ("nonfinite_node", "interrupted", "cut_short"):
        first[key] = next((answer[key] for answer in answers if answer.get(key)), None)
    first["notes"] = list(dict.fromkeys(note for answer in answers for note in answer["notes"]))
    first["notes"].append(f"probed {len(answers)} times: each branch of the network has inputs of its own")
    first["float16"] = _float16([answer["float16"] for answer in answers if answer["float16"] is not None])
    return first


def _float16(found: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Nodes out of range in any of the answers, and the largest magnitude of all."""
    if not found:
        return None
    largest = max(found, key=lambda one: one["largest"] or 0.0)
    told: dict[str, Any] = {"largest": largest["largest"], "node": largest["node"]}
    for key in ("overflow", "underflow"):
        told[key] = list({entry["node"]: entry for one in found for entry in one[key]}.values())
    return told
