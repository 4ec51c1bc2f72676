"""How deep the messages of a file are nested: why protobuf may refuse a file that is neither cut short nor damaged."""

from __future__ import annotations

from initaudit.model.outline import MOST_FIELDS, MalformedError, fields

DEEPEST = 100
"""Messages within messages that protobuf reads (its recursion limit)."""
_INNER = {
    "model": {7: "graph", 25: "function"},
    "graph": {1: "node"},
    "function": {7: "node"},
    "node": {5: "attribute"},
    "attribute": {6: "graph", 11: "graph"},
}
"""By message: field numbers of what nests further, and what that is (onnx.proto)."""


def is_nested_too_deep(raw: bytes) -> bool:
    """Whether graphs within graphs go deeper than protobuf reads, as far as the first MOST_FIELDS fields say."""
    stack = [("model", fields(raw, 0, len(raw)))]
    try:
        for _ in range(MOST_FIELDS):
            kind, rest = stack[-1]
            number, _, start, stop = next(rest, (0, 0, 0, 0))
            if number in _INNER[kind]:
                stack.append((_INNER[kind][number], fields(raw, start, stop)))
            elif number == 0:
                stack.pop()
            if not stack or len(stack) > DEEPEST:
                break
    except MalformedError:
        return False
    return len(stack) > DEEPEST
