"""The range of float16 against what a network computes: which values overflow it, which vanish in it.

The CPU kernels of onnxruntime compute most float16 operators in float32 and round at the end of a row of them, so that an overflow on the
way stays hidden, which a GPU shows. What is compared is therefore always what the network computes in float32.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from onnx import TensorProto

from initaudit.model.operators import OperatorSpec, Use, operator_spec
from initaudit.probe.element_types import element_types
from initaudit.probe.segments import Network
from initaudit.probe.shadow import uses

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

LARGEST = 65504.0
"""Largest finite number of float16 (IEEE 754 binary16)."""
OVERFLOW = 65520.0
"""Numbers from here on are rounded to infinity: half a step of 32 above LARGEST."""
VANISHING = 2.0**-25
"""Numbers up to here are rounded to zero: half of the smallest subnormal number of float16."""
MASKING = LARGEST / 2
"""A stored number of this size that is added or multiplied, element by element, is a mask: it is not the data that leaves the range."""
GROWING = frozenset(
    ("Exp", "Pow", "Sinh", "Cosh", "Tan", "Reciprocal", "ReduceSum", "ReduceSumSquare", "ReduceL2", "CumSum")
)
"""Operators that may give numbers larger than any they get, beside products, sums, norms and cells."""
_USES = frozenset((Use.PRODUCT, Use.SUM, Use.SCALE, Use.GATE, Use.RECURRENT, Use.ATTENTION))
_FLOATS = frozenset((TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.FLOAT, TensorProto.DOUBLE))


def half_values(model: ModelProto) -> frozenset[str]:
    """Values that the file declares to be float16; `model` is flattened."""
    if not uses(model, frozenset((TensorProto.FLOAT16,))):
        return frozenset()
    return frozenset(name for name, code in element_types(model).items() if code == TensorProto.FLOAT16)


class Ranges:
    """Which values of a network to measure, and what their sizes mean for float16."""

    def __init__(self, model: ModelProto) -> None:
        network = Network(model)
        types = element_types(model)
        self.network = network
        self.measured = [
            name for node, _ in network.nodes if _may_grow(node) and types.get(name := node.output[0]) in _FLOATS
        ]
        """Values that may be larger or smaller than everything they are made of, in topological order."""
        self.constants = {
            name
            for value in self.measured
            if _is_elementwise(node := network.nodes[network.position[value]][0])
            for name in self._sources(node)
            if not network.is_data(name) and types.get(name) in _FLOATS
        }
        """Stored numbers that are added to such a value, or multiply it."""

    @property
    def wanted(self) -> list[str]:
        """Values whose largest element is to be brought out."""
        return [*self.measured, *sorted(self.constants)]

    def verdict(self, largest: Mapping[str, float], half: frozenset[str]) -> dict[str, Any]:
        """What does not fit into float16.

        Args:
            largest: by value of `wanted`, the largest magnitude over all inputs; NaN where the value is not finite.
            half: values that the file itself holds in float16.

        Returns:
            {"largest": float | None, "node": the one that gives it, "overflow" and "underflow": [{"node", "largest", "stored": whether the
            file computes it in float16}]}.
        """
        masked = {name for name in self.constants if largest[name] >= MASKING}
        overflow: list[str] = []
        out_of_range: set[str] = set()
        for name in self.measured:
            if largest[name] < OVERFLOW:
                continue
            node, _ = self.network.nodes[self.network.position[name]]
            sources = set(self._sources(node))
            if _is_elementwise(node) and sources & masked and not sources & out_of_range:
                masked.add(name)
            else:
                out_of_range.add(name)
                overflow.append(name)
        underflow = [name for name in self.measured if 0.0 < largest[name] <= VANISHING]
        judged = [name for name in self.measured if name not in masked and largest[name] == largest[name]]
        top = max(judged, key=lambda name: largest[name], default=None)

        def told(names: Iterable[str]) -> list[dict[str, Any]]:
            return [{"node": self._node(n), "largest": largest[n], "stored": n in half} for n in names]

        return {
            "largest": None if top is None else largest[top],
            "node": None if top is None else self._node(top),
            "overflow": told(overflow),
            "underflow": told(underflow),
        }

    def _node(self, value: str) -> str:
        node, _ = self.network.nodes[self.network.position[value]]
        return node.name or f"{node.op_type} that gives {value}"

    def _sources(self, node: NodeProto) -> list[str]:
        """What the node is made of: values that are measured, inputs and stored numbers, looked for behind what only moves or bounds them."""
        spec = operator_spec(node.op_type, node.domain)
        found: dict[str, None] = {}
        queue = [name for i, name in enumerate(node.input) if name and (spec.carries(i) or _is_elementwise(node))]
        seen: set[str] = set()
        while queue:
            name = queue.pop()
            if name in seen:
                continue
            seen.add(name)
            position = self.network.position.get(name)
            maker = None if position is None else self.network.nodes[position][0]
            if maker is None or _may_grow(maker):
                found[name] = None
            else:
                spec = operator_spec(maker.op_type, maker.domain)
                queue += [n for i, n in enumerate(maker.input) if n and spec.carries(i)]
        return list(found)


def _may_grow(node: NodeProto) -> bool:
    spec = operator_spec(node.op_type, node.domain)
    return spec.use in _USES or spec.norm is not None or node.op_type in GROWING


def _is_elementwise(node: NodeProto) -> bool:
    spec: OperatorSpec = operator_spec(node.op_type, node.domain)
    return spec.use in (Use.SUM, Use.SCALE) and spec.norm is None
