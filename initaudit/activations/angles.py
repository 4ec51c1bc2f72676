"""Angles: products that go on to a sine and a cosine (rotary positions, Fourier features)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from initaudit.model.operators import Values

if TYPE_CHECKING:
    from initaudit.model.graph import Value


MAX_BACK = 8
"""Operators between a product and the sine and cosine of it: Transpose, Concat, Cast and the like. A judgement; a bound on the
search."""


def goes_to_sine_and_cosine(output: Value | None) -> bool:
    """Whether a value ends, through moves and scalings at most, in both Sin and Cos: angles of fixed frequencies."""
    seen: set[str] = set()
    front = [output]
    for _ in range(MAX_BACK):
        following: list[Value | None] = []
        for value in front:
            for node, _ in value.consumers if value is not None else ():
                if node.op_type in ("Sin", "Cos"):
                    seen.add(node.op_type)
                elif (node.spec.values is Values.KEPT or node.op_type == "Mul") and node.outputs:
                    following.append(node.outputs[0])
        front = following[:MAX_BACK]
    return len(seen) == 2
