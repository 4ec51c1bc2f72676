"""From a value of the graph back to the stored tensors it is made of."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from initaudit.errors import InitauditError
from initaudit.model.operators import Use
from initaudit.views.arithmetic import ARITHMETIC, QONNX
from initaudit.views.evaluation import evaluated
from initaudit.views.operand import MAX_INDEX_TABLE, MAX_INDEX_WORK, MAX_STEPS, Operand, leaf
from initaudit.views.shapes import MAX_VECTOR, Dims, Vector, dims_of_outputs, vector_of_output
from initaudit.views.steps import step_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from initaudit.model.graph import Graph, Node, Value

__all__ = ["MAX_STEPS", "Constants", "Operand"]

MAX_WORK = 1 << 32
"""Elements that may be computed for all shapes, axes and positions of a model together, some ten seconds; the rest is followed without."""
MAX_ELEMENTS = 1 << 25
"""Elements of them that are kept for a model, at most 256 MiB."""
_INDICES = ("int64", "int32", "bool")
_QONNX = ("qonnx.custom_op.general", "finn.custom_op.general", "onnx.brevitas")


class Constants:
    """Every value of a graph that does not depend on the model's inputs, as an Operand; and what is known of all shapes."""

    def __init__(self, graph: Graph, opset: Mapping[str, int]) -> None:
        self._opset = {d: v for d, v in opset.items() if d in ("", "com.microsoft")} or {"": 17}
        self._known: dict[Value, Operand] = {}
        self._dims: dict[Value, Dims] = {}
        self._vectors: dict[Value, Vector] = {}
        self._work_left, self._elements_left = MAX_WORK, MAX_ELEMENTS
        self.opaque: dict[Value, str] = {}
        """Constants whose values cannot be followed, with the reason."""
        for value, tensor in graph.tensors():
            self._known[value] = leaf(tensor)
        for node in graph.walk():
            if node.subgraphs:
                self._loop_invariants(node)
            elif node.spec.use is not Use.RANDOM and self._is_constant(node):
                self._follow(node)
            elif node.is_standard or node.domain == "com.microsoft":
                self._follow_shape(node)

    def get(self, value: Value | None) -> Operand | None:
        """The operand behind a value, or None where it depends on the input or cannot be followed."""
        return None if value is None else self._known.get(value)

    def dims(self, value: Value | None) -> Dims | None:
        """Shape of a value with None for unknown lengths; None where the rank is unknown."""
        if value is None:
            return None
        operand = self._known.get(value)
        if operand is not None:
            return operand.shape
        known = self._dims.get(value)
        if known is None and value.dims is not None:
            return tuple(d if isinstance(d, int) else None for d in value.dims)
        return known

    def vector(self, value: Value | None) -> Vector | None:
        """Elements of a small integer vector, None for the unknown ones; None where it is no such vector."""
        if value is None:
            return None
        operand = self._known.get(value)
        if operand is None:
            return self._vectors.get(value)
        if operand.size > MAX_VECTOR or operand.rank > 1:
            return None
        try:
            return list(operand.integers())
        except (InitauditError, ValueError):
            return None

    def _is_constant(self, node: Node) -> bool:
        given = [v for v in node.inputs if v is not None]
        return bool(given) and all(v in self._known or v in self.opaque for v in given)

    def _follow(self, node: Node) -> None:
        inputs = [None if v is None else self._known.get(v) for v in node.inputs]
        reason = next((self.opaque[v] for v in node.inputs if v is not None and v in self.opaque), None)
        if reason is None:
            try:
                outputs = [self._settled(o) if o.dtype in _INDICES else o for o in self._outputs(node, inputs)]
            except (InitauditError, ValueError, IndexError, TypeError, ArithmeticError) as error:
                reason = f"{node.op_type} of constants cannot be followed: {error}"
            else:
                for value, operand in zip(node.outputs, outputs, strict=False):
                    if value is not None:
                        self._known[value] = operand
                return
        for value in node.outputs:
            if value is not None:
                self.opaque[value] = reason

    def _settled(self, operand: Operand) -> Operand:
        """With its values computed at once, where they are few and that is quick.

        Chains of shapes, positions and masks are long, and what stands behind reads them again and again.
        """
        if (
            operand.size > min(MAX_INDEX_TABLE, self._elements_left)
            or operand.work > min(MAX_INDEX_WORK, self._work_left)
            or not operand.work
        ):
            return operand
        self._work_left -= operand.work
        self._elements_left -= operand.size
        return operand.settled()

    def _follow_shape(self, node: Node) -> None:
        """Shapes of what depends on the input; a vector of which all elements are known is a constant after all."""
        output = node.outputs[0] if node.outputs else None
        if output is None:
            return
        try:
            vector = vector_of_output(node, self.dims, self.vector)
            shapes = dims_of_outputs(node, self.dims, self.vector)
        except (ValueError, IndexError, TypeError):
            return
        if vector is not None and None not in vector:
            values = np.asarray(vector, np.int64)
            scalar = node.op_type in ("Gather", "Squeeze") and self._is_scalar(node)
            values = values.reshape(()) if scalar and values.size == 1 else values
            self._known[output] = Operand(tensors=(), shape=values.shape, dtype="int64", compute=lambda: values)
        elif vector is not None:
            self._vectors[output] = vector
        for value, dims in zip(node.outputs, shapes, strict=False):
            if value is not None and dims is not None and (value.dims is None or None not in dims):
                self._dims[value] = dims

    def _is_scalar(self, node: Node) -> bool:
        if node.op_type == "Squeeze":
            return True
        index = self._known.get(node.inputs[1]) if len(node.inputs) > 1 and node.inputs[1] is not None else None
        return index is not None and index.rank == 0

    def _outputs(self, node: Node, inputs: list[Operand | None]) -> list[Operand]:
        if node.is_standard or node.domain == "com.microsoft":
            step = ARITHMETIC.get(node.op_type) or step_of(node)
            if step is not None:
                return list(step(node, inputs))
        if node.domain in _QONNX and node.op_type in QONNX:
            return list(QONNX[node.op_type](node, inputs))
        if node.is_standard:
            return [self._settled(o) for o in evaluated(node, inputs, self._opset)]
        raise ValueError(f"unknown operator of domain {node.domain}")

    def _loop_invariants(self, node: Node) -> None:
        """Constants that enter a Loop or Scan as state and leave every iteration unchanged are constants in the body."""
        if node.op_type not in ("Loop", "Scan") or "body" not in node.subgraphs:
            return
        body = node.subgraphs["body"]
        if node.op_type == "Loop":
            pairs = zip(node.inputs[2:], body.inputs[2:], body.outputs[1:], strict=False)
        else:
            states = len(node.inputs) - int(node.attr("num_scan_inputs", 0))
            pairs = zip(node.inputs[:states], body.inputs[:states], body.outputs[:states], strict=False)
        for outer, inner, result in pairs:
            if outer is not None and outer in self._known and _same(result, inner):
                self._known[inner] = self._known[outer]


def _same(value: Value, source: Value) -> bool:
    """Whether `value` is `source`, passed through Identity at most."""
    for _ in range(MAX_STEPS):
        if value is source:
            return True
        node = value.producer
        if node is None or node.op_type != "Identity" or node.inputs[0] is None:
            return False
        value = node.inputs[0]
    return False
