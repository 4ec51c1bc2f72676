"""Random masks that multiply values: stochastic depth, and dropout written out in simple operators."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from onnx import NodeProto, TensorProto, helper, numpy_helper

from initaudit.errors import ProbeError
from initaudit.model.bodies import bodies_of, walk_nodes
from initaudit.model.graph import DEFAULT_DOMAINS
from initaudit.model.operators import Use, operator_spec
from initaudit.probe.instrument import PREFIX, standard_opset
from initaudit.probe.session import open_session, run_session, trial_options

if TYPE_CHECKING:
    from onnx import ModelProto

EXPECTED = "random masks that multiply values (stochastic depth, dropout) were taken at their expectation"
DRAWN = frozenset(("RandomUniform", "RandomUniformLike", "Bernoulli"))
"""Operators that draw each element of its own, of which masks are made."""
STEPS = frozenset(
    [
        "Less",
        "LessOrEqual",
        "Greater",
        "GreaterOrEqual",
        "Not",
        "Cast",
        "Floor",
        "Ceil",
        "Identity",
        "Add",
        "Sub",
        "Mul",
        "Div",
    ]
)
"""Operators that make a mask of draws: each element of its own, with numbers that are the same for all."""
OUTCOMES = 1 << 14
"""Equally likely outcomes of a draw that a mask is computed for. A judgement: its expectation is then right to 6e-5 of its level, far less than
a probe can tell."""
ELEMENTS = frozenset(
    (TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16, TensorProto.BOOL, TensorProto.INT32, TensorProto.INT64)
)
"""Element types of draws that masks are made of."""
FILL_OPSET = 9
"""Opset from which there is ConstantOfShape."""


def expect_masks(model: ModelProto) -> list[str]:
    """Replace each mask that is made of random draws, and of nothing else, by its expectation, in place.

    A mask is 0 or one positive number at each element, and all that its draws do is to multiply values by masks. Other draws stay:
    noise that is added or that scales (a latent variable), orders, samples of what the network computed.

    Returns:
        The note for the report; empty where nothing was changed.
    """
    if standard_opset(model) < FILL_OPSET or not any(
        operator_spec(node.op_type, node.domain).use is Use.RANDOM for node in model.graph.node
    ):
        return []
    graph = _Graph(model)
    found = [draw for draw in map(graph.masks, model.graph.node) if draw is not None]
    if not found:
        return []
    gone = {name for draw in found for name in draw.values}
    expectations = {mask: (level, draw) for draw in found for mask, level in draw.masks.items()}
    nodes: list[NodeProto] = []
    for node in model.graph.node:
        if not gone.isdisjoint(node.output):
            nodes += [
                made for name in node.output if name in expectations for made in _constant(name, *expectations[name])
            ]
        else:
            nodes.append(NodeProto.FromString(node.SerializeToString()))
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return [EXPECTED]


@dataclass(frozen=True, slots=True, kw_only=True)
class Draw:
    """A node that draws, with what is made of it."""

    node: NodeProto
    values: frozenset[str]
    """What it draws, and all that is made of that up to the masks."""
    masks: Mapping[str, np.ndarray]
    """Those of them that multiply other values, with their expectation: of their element type, no axes."""


class _Graph:
    """The main graph of a model, with who makes and who reads a value."""

    def __init__(self, model: ModelProto) -> None:
        self.model = model
        self.numbers: dict[str, np.ndarray] = {}
        """Stored values of one element."""
        for tensor in model.graph.initializer:
            self._know(tensor.name, tensor)
        self.readers: dict[str, list[NodeProto]] = {}
        for node in model.graph.node:
            if node.op_type == "Constant":
                for attribute in node.attribute:
                    if attribute.name == "value":
                        self._know(node.output[0], attribute.t)
                    elif attribute.name == "value_float":
                        self.numbers[node.output[0]] = np.array(attribute.f, np.float32)
            for name in node.input:
                self.readers.setdefault(name, []).append(node)
        inside = (
            n
            for node in model.graph.node
            for a in node.attribute
            for body in bodies_of(a)
            for n in walk_nodes(body.node)
        )
        self.elsewhere = Counter(name for node in inside for name in node.input)
        self.elsewhere.update(info.name for info in model.graph.output)

    def _know(self, name: str, tensor: TensorProto) -> None:
        if tensor.data_location != TensorProto.EXTERNAL and int(np.prod(tensor.dims)) == 1:
            self.numbers[name] = numpy_helper.to_array(tensor)

    def masks(self, node: NodeProto) -> Draw | None:
        """What a node draws, where it is masks and nothing else; None for any other node."""
        drawn = self._outcomes(node)
        if drawn is None:
            return None
        steps: list[NodeProto] = []
        values, masks = [node.output[0]], set()
        for value in values:  # grows
            if self.elsewhere[value]:
                return None
            for reader in self.readers.get(value, ()):
                others = [name for name in reader.input if name != value]
                if reader.domain not in DEFAULT_DOMAINS or len(others) != len(reader.input) - 1:
                    return None
                if reader.op_type in STEPS and all(name in self.numbers for name in others):
                    steps.append(reader)
                    values.append(reader.output[0])
                elif reader.op_type == "Mul":
                    masks.add(value)
                else:
                    return None
        known = set(values)
        if any(
            name in known for mask in masks for reader in self.readers[mask] for name in reader.input if name != mask
        ):
            return None  # a product of two masks of one draw has another expectation
        levels = self._expectations(node.output[0], drawn, steps, sorted(masks))
        return None if levels is None else Draw(node=node, values=frozenset(values), masks=levels)

    def _outcomes(self, node: NodeProto) -> np.ndarray | None:
        """Equally likely outcomes of an element that a node draws; None where it does not draw, or does as the data tell."""
        if node.op_type not in DRAWN or node.domain not in DEFAULT_DOMAINS:
            return None
        given = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        even = (np.arange(OUTCOMES) + 0.5) / OUTCOMES
        if node.op_type == "Bernoulli":
            chance = self.numbers.get(node.input[0])
            if chance is None:
                return None
            element = given.get("dtype", helper.np_dtype_to_tensor_dtype(chance.dtype))
            drawn = even < chance.item()
        else:
            element = given.get("dtype", TensorProto.FLOAT)
            low, high = given.get("low", 0.0), given.get("high", 1.0)
            drawn = low + (high - low) * even
        return drawn.astype(helper.tensor_dtype_to_np_dtype(element)) if element in ELEMENTS else None

    def _expectations(
        self, value: str, drawn: np.ndarray, steps: Sequence[NodeProto], masks: Sequence[str]
    ) -> dict[str, np.ndarray] | None:
        """Of each mask; None where one of them takes other values than a mask does."""
        if not masks:
            return None
        feeds = {value: drawn}
        names = dict.fromkeys(name for step in steps for name in step.input if name in self.numbers)
        graph = helper.make_graph(
            [NodeProto.FromString(step.SerializeToString()) for step in steps],
            "masks",
            [helper.make_tensor_value_info(value, helper.np_dtype_to_tensor_dtype(drawn.dtype), [OUTCOMES])],
            [helper.make_empty_tensor_value_info(name) for name in masks if name != value],
            [numpy_helper.from_array(self.numbers[name], name) for name in names],
        )
        small = helper.make_model(graph, opset_imports=self.model.opset_import, ir_version=self.model.ir_version)
        wanted = [info.name for info in graph.output]
        if wanted:
            try:
                feeds |= dict(
                    zip(wanted, run_session(open_session(small, None, trial_options()), wanted, feeds), strict=True)
                )
            except ProbeError:
                return None
        found = {mask: feeds[mask] for mask in masks}
        if not all(_is_mask(array) for array in found.values()):
            return None
        return {mask: np.array(array.mean(dtype=np.float64), array.dtype) for mask, array in found.items()}


def _is_mask(outcomes: np.ndarray) -> bool:
    """Whether they are 0 and one positive number, real numbers both."""
    levels = np.unique(outcomes)
    return outcomes.dtype.kind == "f" and levels[-1] > 0.0 and set(levels) <= {0.0, levels[-1]}


def _constant(name: str, level: np.ndarray, draw: Draw) -> list[NodeProto]:
    """Nodes that make `name` of `level`, in the shape of what was drawn."""
    shape = f"{PREFIX}shape/{name}"
    sizes = next((helper.get_attribute_value(a) for a in draw.node.attribute if a.name == "shape"), None)
    if sizes is None:
        front = helper.make_node("Shape", [draw.node.input[0]], [shape])
    else:
        front = helper.make_node("Constant", [], [shape], value=numpy_helper.from_array(np.array(sizes, np.int64)))
    return [
        front,
        helper.make_node("ConstantOfShape", [shape], [name], value=numpy_helper.from_array(level.reshape(1))),
    ]
