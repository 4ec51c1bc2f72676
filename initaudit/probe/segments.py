"""Cutting a network into pieces that run one after the other, each in a session of its own.

Between two pieces lies a *cut*: the values that were made before it and are needed behind it. Whoever runs the pieces
sees these values and may change them on the way, which is what the backward probe lives by.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper

from initaudit.model.build import build_graph
from initaudit.model.operators import Use, operator_spec
from initaudit.probe.instrument import PREFIX

if TYPE_CHECKING:
    from pathlib import Path

    import onnxruntime

MAX_SEGMENTS = 12
"""Pieces at most: each has a session, and each adds a call of the runtime to every perturbation. A judgement."""
WINDOW = 2
"""Layers to either side of an even division among which the cut with the fewest values is taken. A judgement."""

State = dict[str, np.ndarray]
Stored = TensorProto | onnx.SparseTensorProto


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """A place in the node order and what must be carried across it."""

    position: int
    """Number of nodes in front of it."""
    carried: tuple[str, ...]
    """Values made from the data in front of the cut and needed behind it, outputs of the model included."""


class Network:
    """The nodes of a flattened model in topological order, with what each reads."""

    def __init__(self, model: ModelProto) -> None:
        self.model = model
        self.inputs = [info.name for info in model.graph.input]
        self.outputs = [info.name for info in model.graph.output]
        self._fed = frozenset(self.inputs)
        self.constants: dict[str, Stored] = {t.name: t for t in model.graph.initializer}
        self.constants |= {t.values.name: t for t in model.graph.sparse_initializer}
        static = set(self.constants)
        self.static_nodes: dict[str, tuple[int, NodeProto, tuple[str, ...]]] = {}
        """By output: nodes that depend on no input of the model, numbered in order, with what each reads."""
        self.nodes: list[tuple[NodeProto, tuple[str, ...]]] = []
        """The others with the values they and their bodies read."""
        for number, node in enumerate(build_graph(model, None, checked=True).nodes):
            read = tuple(dict.fromkeys(value.name for value in node.reads()))
            if static.issuperset(read) and node.spec.use is not Use.RANDOM:
                static.update(node.proto.output)
                self.static_nodes |= {name: (number, node.proto, read) for name in node.proto.output if name}
            else:
                self.nodes.append((node.proto, read))
        self.position = {name: i for i, (node, _) in enumerate(self.nodes) for name in node.output if name}
        """Index in `nodes` of the node that makes a value."""

    def is_data(self, name: str) -> bool:
        """Whether a value is made from the inputs of the model, or is one."""
        return name in self.position or name in self._fed

    def empty_model(self, name: str) -> ModelProto:
        """A model with the operator sets of this one, and a graph of this name that holds nothing yet."""
        model = ModelProto(ir_version=self.model.ir_version)
        model.opset_import.extend(self.model.opset_import)
        model.graph.name = name
        return model

    @property
    def is_random(self) -> bool:
        """Whether some node draws numbers, so that no two runs are alike."""
        return any(operator_spec(node.op_type, node.domain).use is Use.RANDOM for node, _ in self.nodes)

    def cuts(self, values: Sequence[str]) -> list[Cut]:
        """Up to MAX_SEGMENTS - 1 cuts that divide `values` (outputs of layers) evenly, with little to carry."""
        places = sorted({self.position[v] for v in values if v in self.position})
        last_use: dict[str, int] = dict.fromkeys(self.outputs, len(self.nodes))
        for i, (_, read) in enumerate(self.nodes):
            for name in read:
                if name in self.position:
                    last_use[name] = max(last_use.get(name, 0), i)
        changes = [0] * (len(self.nodes) + 2)
        for name, use in last_use.items():
            made = self.position.get(name)
            if made is not None and use > made:
                changes[made + 1] += 1
                changes[use + 1] -= 1
        weight = np.cumsum(changes)  # weight[p]: values alive between node p-1 and node p
        gaps = [min(range(a + 1, b + 1), key=lambda p: weight[p]) for a, b in pairwise(places)]
        pieces = min(MAX_SEGMENTS, len(places))
        chosen: set[int] = set()
        for k in range(1, pieces):
            middle = round(k * len(places) / pieces) - 1
            near = gaps[max(0, middle - WINDOW) : middle + WINDOW + 1] if len(places) > MAX_SEGMENTS else [gaps[middle]]
            chosen.add(min(near, key=lambda p: (weight[p], abs(p - gaps[middle]))))
        return [
            Cut(
                position=p,
                carried=tuple(n for n, use in last_use.items() if n in self.position and self.position[n] < p <= use),
            )
            for p in sorted(chosen)
        ]

    def constant_part(self, names: Iterable[str]) -> tuple[list[NodeProto], list[Stored]]:
        """The nodes, in order, and the stored tensors that make those of the values `names` that depend on no input."""
        nodes: dict[int, NodeProto] = {}
        constants: set[str] = set()
        queue = list(names)
        while queue:
            name = queue.pop()
            if name in self.constants:
                constants.add(name)
            elif name in self.static_nodes:
                number, node, read = self.static_nodes[name]
                if number not in nodes:
                    nodes[number] = node
                    queue.extend(read)
        return [nodes[number] for number in sorted(nodes)], [self.constants[name] for name in sorted(constants)]

    def segment(self, start: int, stop: int, *, inject: Sequence[str], expose: Sequence[str]) -> Segment:
        """The piece made of nodes [start, stop); see `Segment`."""
        return Segment(self, start, stop, tuple(inject), tuple(expose))


class Segment:
    """A piece of the network, with an addend for each value in `inject`."""

    def __init__(
        self, network: Network, start: int, stop: int, inject: tuple[str, ...], expose: tuple[str, ...]
    ) -> None:
        self.inject = frozenset(inject)
        self.outputs = expose
        nodes = network.nodes[start:stop]
        made = {name for node, _ in nodes for name in node.output if name}
        self.made = frozenset(made)
        """Values that its nodes give."""
        needed = {name for _, read in nodes for name in read if name not in made}
        self._static, self._constants = network.constant_part([*needed, *(n for n in expose if n not in made)])
        self._nodes = [node for node, _ in nodes]
        self.inputs = tuple(sorted(n for n in needed if network.is_data(n)))
        """Data values it reads: from the cut in front of it, or inputs of the model."""
        self._network = network
        self.session: onnxruntime.InferenceSession | None = None
        """None until `open`."""
        self._zeros: State = {}

    def open(
        self,
        state: Mapping[str, np.ndarray],
        dtypes: Mapping[str, np.dtype[Any]],
        folder: Path | None,
        threads: int,
    ) -> None:
        """Make the session, with input types as in `state` and addend types as in `dtypes`. Raises ProbeError."""
        from initaudit.probe.session import open_session, quiet_options

        model = self._network.empty_model("segment")
        graph = model.graph
        for name in self.inputs:
            array = state[name]
            element = helper.np_dtype_to_tensor_dtype(array.dtype)
            graph.input.append(helper.make_tensor_value_info(name, element, [None] * array.ndim))
        graph.node.extend(self._static)
        for node in self._nodes:
            copy = graph.node.add()
            copy.CopyFrom(node)
            for i, name in enumerate(node.output):
                if name not in self.inject:
                    continue
                raw, addend = f"{PREFIX}raw/{name}", addend_of(name)
                copy.output[i] = raw
                graph.node.append(helper.make_node("Add", [raw, addend], [name]))
                dtype = dtypes[name]
                graph.input.append(onnx.ValueInfoProto(name=addend))
                graph.input[-1].type.tensor_type.elem_type = helper.np_dtype_to_tensor_dtype(dtype)
                self._zeros[addend] = np.zeros((), dtype)
        add_constants(graph, self._constants)
        graph.output.extend(onnx.ValueInfoProto(name=name) for name in self.outputs)
        self.session = open_session(model, folder, quiet_options(threads))

    def run(self, state: Mapping[str, np.ndarray], addends: Mapping[str, np.ndarray], outputs: Sequence[str]) -> State:
        """`outputs` of the piece for the inputs in `state`. Raises ProbeError."""
        from initaudit.probe.session import run_session

        assert self.session is not None
        if not outputs:
            return {}
        feed = {name: state[name] for name in self.inputs} | self._zeros
        feed |= {addend_of(name): array for name, array in addends.items()}
        return dict(zip(outputs, run_session(self.session, outputs, feed), strict=True))


def add_constants(graph: GraphProto, constants: Iterable[Stored]) -> None:
    """Put stored tensors into a graph, dense and sparse ones where they belong."""
    for constant in constants:
        if isinstance(constant, TensorProto):
            graph.initializer.append(constant)
        else:
            graph.sparse_initializer.append(constant)


def addend_of(value: str) -> str:
    """Name of the input that is added to `value`."""
    return f"{PREFIX}add/{value}"
