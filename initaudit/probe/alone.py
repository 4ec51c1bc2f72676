"""A layer's operator alone, its weight an input: what random changes of the weight do to the layer's output."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from onnx import ModelProto, NodeProto, helper

from initaudit.errors import ProbeError
from initaudit.model.operators import operator_spec
from initaudit.probe.instrument import PREFIX, standard_opset
from initaudit.probe.perturbation import STEP, better_step, signs_of
from initaudit.probe.segments import add_constants
from initaudit.probe.squares import root_mean_square

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from typing import Any

    import onnxruntime

    from initaudit.probe.plan import LayerPlan
    from initaudit.probe.segments import Network, State

WEIGHT, RESULT = f"{PREFIX}weight", f"{PREFIX}alone"
BIAS_OPTIONAL = 11
"""Opset from which Gemm may do without a bias."""
LONGEST_WAY = 16
"""Nodes between an operator and the value where its output is taken apart, at most: as far as the parts of packed weights are followed."""
ATTEMPTS = 3
"""Changes of the step of a finite difference. A judgement: an answer that is nearly linear needs one."""


Sized = tuple[np.ndarray, float]
"""An array of root mean square 1, float32, and the natural logarithm of what it was divided by: minus infinity where all of it is zero."""


def sized(array: np.ndarray, log_size: float = 0.0) -> Sized | None:
    """`array` times exp(`log_size`); None where it is not finite."""
    size = root_mean_square(array)
    if not math.isfinite(size):
        return None
    return (array / np.float32(size), log_size + math.log(size)) if size else (array, -math.inf)


def difference(one: Sized, other: Sized) -> Sized | None:
    """The first less the second; None where it is not finite."""
    largest = max(one[1], other[1])
    if largest == -math.inf:
        return one
    parts = [array * np.float32(math.exp(log_size - largest)) for array, log_size in (one, other)]
    return sized(parts[0] - parts[1], largest)


class LayerAlone:
    """The nodes from a layer's operator to its output."""

    def __init__(self, network: Network, layer: LayerPlan, folder: Path | None, threads: int) -> None:
        """Raises ProbeError where the output is not made from the operator's by moves and sums."""
        self.network = network
        self.layer = layer
        self.folder = folder
        self.threads = threads
        self.node, read = network.nodes[network.position[layer.node_output]]
        way = _way(network, layer.output, layer.node_output, LONGEST_WAY)
        if way is None:
            raise ProbeError(f"{layer.output!r} is not made from {layer.node_output!r} alone")
        self.movers = [node for node, _ in way if node.op_type != "Add"]
        self.aliases = {node.output[0]: source for node, source in way if node not in self.movers}
        made = {name for node in (self.node, *self.movers) for name in node.output} | set(self.aliases)
        wanted = dict.fromkeys([*read, *(name for node in self.movers for name in node.input)])
        self.constants = tuple(n for n in wanted if n and n not in made and not network.is_data(n))
        self.inputs = tuple(n for n in wanted if n and n not in made and network.is_data(n))
        """Values that must be known, of one input of the model."""
        self.session: onnxruntime.InferenceSession | None = None

    def derivatives(self, sources: State, dtype: np.dtype[Any], rng: np.random.Generator, count: int) -> list[Sized]:
        """Of the output in `count` random directions of the weight, a random sign for each element of its own, without those that are not finite.

        Args:
            sources: the values of `inputs`.
            dtype: of the weight.
            rng: draws the signs.
            count: how many, at most; where more would cost too much it is fewer, down to none.
        """
        if self.session is None:
            self.session = self._opened(sources, dtype)
        found = map(sized, self._derivatives(sources, dtype, rng, count))
        return [known for known in found if known is not None]

    def _opened(self, sources: State, dtype: np.dtype[Any]) -> onnxruntime.InferenceSession:
        raise NotImplementedError

    def _derivatives(
        self, sources: State, dtype: np.dtype[Any], rng: np.random.Generator, count: int
    ) -> list[np.ndarray]:
        raise NotImplementedError

    def signs(self, rng: np.random.Generator, dtype: np.dtype[Any]) -> np.ndarray:
        """A random sign for each element of the operand that is the layer's, 0 for the others."""
        signs = np.zeros(self.layer.weight_shape, dtype)
        signs[self.own] = signs_of(signs[self.own].shape, dtype, rng)
        return signs

    @property
    def own(self) -> tuple[slice, ...]:
        """Index of the elements of the operand that are the layer's."""
        return tuple(slice(*span) for span in self.layer.weight_window or ())

    def model(self, first: Sequence[NodeProto], sources: State, dtype: np.dtype[Any]) -> ModelProto:
        """The nodes as a model, with `first` in the place of the operator, and WEIGHT as an input."""
        model = self.network.empty_model("alone")
        graph = model.graph
        for name in self.inputs:
            element = helper.np_dtype_to_tensor_dtype(sources[name].dtype)
            graph.input.append(helper.make_tensor_value_info(name, element, [None] * sources[name].ndim))
        graph.input.append(helper.make_tensor_value_info(WEIGHT, helper.np_dtype_to_tensor_dtype(dtype), None))
        nodes, constants = self.network.constant_part(self.constants)
        graph.node.extend([*nodes, *first])
        for node in self.movers:
            copy = graph.node.add()
            copy.CopyFrom(node)
            for i, name in enumerate(copy.input):
                copy.input[i] = self._source(name)
        add_constants(graph, constants)
        graph.node.append(helper.make_node("Identity", [self._source(self.layer.output)], [RESULT]))
        graph.output.append(helper.make_tensor_value_info(RESULT, helper.np_dtype_to_tensor_dtype(dtype), None))
        return model

    def _source(self, name: str) -> str:
        while name in self.aliases:
            name = self.aliases[name]
        return name

    def _run(self, sources: State, weight: np.ndarray) -> np.ndarray:
        from initaudit.probe.session import run_session

        assert self.session is not None
        feed = {name: sources[name] for name in self.inputs}
        (result,) = run_session(self.session, [RESULT], {**feed, WEIGHT: weight})
        return np.asarray(result, np.float32)


class LinearAlone(LayerAlone):
    """An operator that is linear in its weight: the direction in the weight's place, without a bias, gives the derivative."""

    def __init__(self, network: Network, layer: LayerPlan, folder: Path | None, threads: int) -> None:
        super().__init__(network, layer, folder, threads)
        assert layer.weight is not None
        weight, bias = self.node.input[layer.weight], self.node.input[2:]
        dropped = {weight, *bias} - {self.node.input[1 - layer.weight]}
        kept = {name for node in self.movers for name in node.input}
        self.constants = tuple(n for n in self.constants if n not in dropped or n in kept)
        self.inputs = tuple(n for n in self.inputs if n not in bias or n in kept)

    def _derivatives(
        self, sources: State, dtype: np.dtype[Any], rng: np.random.Generator, count: int
    ) -> list[np.ndarray]:
        return [self._run(sources, self.signs(rng, dtype)) for _ in range(count)]

    def _opened(self, sources: State, dtype: np.dtype[Any]) -> onnxruntime.InferenceSession:
        from initaudit.probe.session import open_session, quiet_options

        copy = NodeProto()
        copy.CopyFrom(self.node)
        assert self.layer.weight is not None
        del copy.input[2:], copy.output[1:]
        copy.input[self.layer.weight] = WEIGHT
        first = [copy]
        if copy.op_type == "Gemm" and standard_opset(self.network.model) < BIAS_OPTIONAL:
            zero = f"{PREFIX}zero"
            value = helper.make_tensor(zero, helper.np_dtype_to_tensor_dtype(dtype), [1], [0.0])
            first.insert(0, helper.make_node("Constant", [], [zero], value=value))
            copy.input.append(zero)
        return open_session(self.model(first, sources, dtype), self.folder, quiet_options(self.threads))


class LookupAlone(LinearAlone):
    """A table whose rows are looked up along axis 0: only the rows that are read are drawn."""

    def _derivatives(
        self, sources: State, dtype: np.dtype[Any], rng: np.random.Generator, count: int
    ) -> list[np.ndarray]:
        ids = sources[self.node.input[1]]
        read, rows = np.unique(ids, return_inverse=True)
        compact = {**sources, self.node.input[1]: rows.reshape(ids.shape).astype(ids.dtype)}
        shape = (len(read), *self.layer.weight_shape[1:])
        return [self._run(compact, signs_of(shape, dtype, rng)) for _ in range(count)]


class DifferenceAlone(LayerAlone):
    """Any other operator: a small step in the direction, and the difference that it makes."""

    def __init__(self, network: Network, layer: LayerPlan, folder: Path | None, threads: int) -> None:
        super().__init__(network, layer, folder, threads)
        self.level = 1.0
        """Root mean square of the weight, the unit of steps."""

    def _derivatives(
        self, sources: State, dtype: np.dtype[Any], rng: np.random.Generator, count: int
    ) -> list[np.ndarray]:
        still = self._run(sources, np.zeros((), dtype))
        return [self._derivative(sources, still, self.signs(rng, dtype)) for _ in range(count)]

    def _derivative(self, sources: State, still: np.ndarray, signs: np.ndarray) -> np.ndarray:
        level, step = root_mean_square(still) or 1.0, STEP
        for attempt in range(ATTEMPTS + 1):
            taken = step * self.level
            difference = self._run(sources, signs * signs.dtype.type(taken)) - still
            better = better_step(step, root_mean_square(difference) / level)
            if better == step or attempt == ATTEMPTS:
                break
            step = better
        return difference / np.float32(taken)

    def _opened(self, sources: State, dtype: np.dtype[Any]) -> onnxruntime.InferenceSession:
        from initaudit.probe.session import open_session, quiet_options, run_session

        copy = NodeProto()
        copy.CopyFrom(self.node)
        assert self.layer.weight is not None
        stored, moved = copy.input[self.layer.weight], f"{PREFIX}moved"
        copy.input[self.layer.weight] = moved
        model = self.model([helper.make_node("Add", [stored, WEIGHT], [moved]), copy], sources, dtype)
        model.graph.output.append(helper.make_tensor_value_info(moved, helper.np_dtype_to_tensor_dtype(dtype), None))
        session = open_session(model, self.folder, quiet_options(self.threads))
        feed = {name: sources[name] for name in self.inputs}
        (weight,) = run_session(session, [moved], {**feed, WEIGHT: np.zeros((), dtype)})
        level = root_mean_square(np.asarray(weight[self.own], np.float32))
        self.level = level if math.isfinite(level) and level > 0 else 1.0
        return session


def _way(network: Network, value: str, start: str, steps: int) -> list[tuple[NodeProto, str]] | None:
    """The nodes that make `value` from `start` by moves and sums alone, in order, each with the value it takes; None where there are none."""
    if value == start:
        return []
    if steps == 0 or value not in network.position:
        return None
    node, _ = network.nodes[network.position[value]]
    spec = operator_spec(node.op_type, node.domain)
    if node.op_type == "Add":
        taken = list(node.input)
    elif spec.only_moves or spec.selects:
        taken = list(node.input[:1])
    else:
        return None
    for source in taken:
        way = _way(network, source, start, steps - 1)
        if way is not None:
            return [*way, (node, source)]
    return None
