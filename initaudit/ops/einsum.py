"""Einsum with one constant operand: the fans follow from the equation."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from initaudit.kind import Kind
from initaudit.op import Found, LayerSpec, Operator, WeightPlace

if TYPE_CHECKING:
    from collections.abc import Iterator

    from initaudit.model.graph import Node
    from initaudit.views import Constants


class Einsum(Operator):
    """Products written as an equation, e.g. `bsd,dhk->bhsk`."""

    types = ("Einsum",)

    def find(self, node: Node, constants: Constants) -> Iterator[Found]:
        """One layer per constant operand that shares an axis with an operand that is none."""
        operands = [constants.get(v) for v in node.inputs]
        terms, output = parse(str(node.attr("equation", "")), len(operands))
        for position, (operand, written) in enumerate(zip(operands, terms, strict=True)):
            others = [t for p, t in enumerate(terms) if p != position and operands[p] is None]
            if operand is None or operand.size <= 1 or not operand.is_floating or not others:
                continue
            term = written.replace(".", "")
            if len(term) != operand.rank:
                raise ValueError(f"term {written!r} of equation does not name the {operand.rank} axes of the weight")
            elsewhere = "".join(others)
            # Summed: not in the output. Free: in the output and in no other operand. Else: independent copies (batch, heads).
            summed = tuple(a for a, letter in enumerate(term) if letter not in output)
            free = tuple(a for a, letter in enumerate(term) if letter in output and letter not in elsewhere)
            if not summed and not free:
                continue
            units = [output.index(term[a]) - len(output) for a in free if "." not in output[output.index(term[a]) :]]
            yield LayerSpec(
                kind=Kind.EINSUM,
                operand=operand,
                unit_axes=free,
                input_axes=summed,
                fan_in=math.prod(operand.shape[a] for a in summed),
                fan_out=math.prod(operand.shape[a] for a in free),
                input=next(v for p, v in enumerate(node.inputs) if operands[p] is None),
                output=node.outputs[0],
                channel_axis=units[0] if len(units) == 1 else None,
                place=WeightPlace(position=position, shape=operand.shape),
            )


def parse(equation: str, count: int) -> tuple[list[str], str]:
    """Terms and output of an equation, `.` for an ellipsis; the implicit output is the letters that occur once, sorted."""
    plain = equation.replace(" ", "").replace("...", ".")
    left, arrow, right = plain.partition("->")
    terms = left.split(",")
    if len(terms) != count:
        raise ValueError(f"equation {equation!r} has {len(terms)} terms for {count} operands")
    if not arrow:
        letters = "".join(terms)
        right = ("." if "." in letters else "") + "".join(
            sorted(c for c in set(letters) - {"."} if letters.count(c) == 1)
        )
    return terms, right
