"""What a run of a network costs, counted from the shapes of its values: the same on every machine, however busy it is.

The unit is a product (a multiplication and an addition) of a large matrix product; an element that is read from or written to memory
is worth some of them.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from initaudit.model.operators import Use, operator_spec
from initaudit.probe.shapes import known_shapes

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from onnx import ModelProto, NodeProto

    from initaudit.probe.shapes import Shape

TOUCH_COST = 10
"""Products that an element of a weight that is read, or of a value that is made, is worth. Measured on two cores: Add, Softmax, Erf and the like take
0.6 to 0.9 ns, a weight read for one row of inputs 0.8 ns, a product of a large matrix 0.1 ns."""
NODE_COST = 5e5
"""Products that one node is worth, however small its tensors. An estimate from a toy BERT of 1,900 nodes, for planning."""
PRODUCTS_PER_SECOND = 3e10
"""Of two idle cores, to count a time limit in products. Measured: 2e10 to 6e10 by the shapes of the matrices, and 1e10 where others use both cores,
too: plans leave room for that."""


def run_cost(model: ModelProto, fed: Mapping[str, Shape], *, known: Mapping[str, Shape] | None = None) -> float:
    """Products that a run of a flattened model is worth; bodies of loops count once, as nodes.

    Args:
        model: its weights may lie in external files.
        fed: shapes of the inputs.
        known: shapes of further values, by measurement; the others are inferred, or guessed from what they are made of.
    """
    shapes = {**(known_shapes(model, fed) or fed), **(known or {})}
    nodes = model.graph.node
    elements = guessed_elements(nodes, shapes)
    weights = sum(math.prod(tensor.dims) for tensor in model.graph.initializer)
    made = sum(elements[name] for node in nodes for name in node.output if name)
    return (
        sum(_products(node, elements, shapes) for node in nodes)
        + TOUCH_COST * (weights + made)
        + NODE_COST * len(nodes)
    )


def guessed_elements(nodes: Iterable[NodeProto], shapes: Mapping[str, Shape]) -> dict[str, int]:
    """Elements of each value of a graph in topological order; one without a shape is taken to have as many as the largest it is made of."""
    elements = {name: math.prod(shape) for name, shape in shapes.items()}
    for node in nodes:
        largest = max((elements.get(name, 1) for name in node.input), default=1)
        for name in node.output:
            elements.setdefault(name, largest)
    return elements


def most_elements(nodes: Sequence[NodeProto], elements: Mapping[str, int]) -> int:
    """Elements that are alive at once at most: each value from the node that makes it to the last that reads it."""
    made = {name for node in nodes for name in node.output if name}
    last = {name: i for i, node in enumerate(nodes) for name in (*node.output, *node.input)}
    alive = most = 0
    for i, node in enumerate(nodes):
        alive += sum(elements[name] for name in node.output if name)
        most = max(most, alive)
        alive -= sum(elements[name] for name in made.intersection((*node.input, *node.output)) if last[name] == i)
    return most


def _products(node: NodeProto, elements: Mapping[str, int], shapes: Mapping[str, Shape]) -> float:
    """Multiplications of a node, where its operator is known to be one of products."""
    spec = operator_spec(node.op_type, node.domain)
    made = sum(elements[name] for name in node.output if name)
    given = [shapes[name] for name in node.input if shapes.get(name)]
    if spec.use is Use.PRODUCT:
        return float(made * _summed(node, shapes))
    if spec.use is Use.RECURRENT:  # at each step, each state meets its share of the weights
        steps = given[0][0] * given[0][1] if given and len(given[0]) > 1 else 1
        return float(steps * sum(math.prod(shape) for shape in given[1:3]))
    if spec.use is Use.ATTENTION:  # queries meet keys, and weights meet values
        return 2.0 * made * max((shape[-2] for shape in given if len(shape) > 2), default=1)
    return 0.0


def _summed(node: NodeProto, shapes: Mapping[str, Shape]) -> int:
    """Terms of the sum that makes one element of a product."""
    spec = operator_spec(node.op_type, node.domain)
    positions = range(len(node.input)) if spec.operands is None else spec.operands
    operands = [shapes.get(node.input[i], ()) for i in positions if i < len(node.input)]
    made = math.prod(shapes.get(node.output[0], ())) or 1
    if node.op_type == "Einsum":
        equation = next((a.s.decode(errors="replace") for a in node.attribute if a.name == "equation"), "")
        labels = zip(equation.partition("->")[0].replace(" ", "").split(","), operands, strict=False)
        sizes = {
            label: size
            for term, shape in labels
            if len(term) == len(shape)
            for label, size in zip(term, shape, strict=True)
        }
        return max(1, math.prod(sizes.values()) // made)
    if len(operands) > 1 and "Conv" in node.op_type and len(operands[1]) > 2:
        return math.prod(operands[1]) // max(1, operands[1][0])
    return operands[0][-1] if operands and operands[0] else 1
