"""A recurrent operator step by step: what random changes of its weights, or of its first input, do to its later states.

Over many steps a change may vanish or explode by any factor (Bengio et al. 1994; Pascanu et al. 2013). As along the depth of
a network, the deviation is brought back to a fixed small size after each step, with the factor written down (Benettin et al. 1980).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from onnx import NodeProto, helper

from initaudit.probe.instrument import PREFIX
from initaudit.probe.perturbation import STEP
from initaudit.probe.segments import add_constants
from initaudit.probe.squares import LARGEST, SMALLEST, root_mean_square

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from typing import Any

    import onnxruntime

    from initaudit.probe.segments import Network, State

X, W, R, BIAS, LENGTHS, HIDDEN, CELL, PEEPHOLE = range(8)
"""Inputs of LSTM; GRU and RNN have the first six of them."""
HELD = (W, R, BIAS, PEEPHOLE)
"""Those that hold what the operator has learned, one direction after the other."""
PER_DIRECTION = ("activations", "activation_alpha", "activation_beta")
"""Attributes that list the values of one direction after the other."""

LARGEST_LOG = 700.0
"""Natural logarithm at which a factor is cut off, short of the overflow of float64."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A change and its size, so that the true change is `values` times exp(`log_size`)."""

    values: tuple[np.ndarray, ...]
    """Of the hidden state, and of the cell state where there is one."""
    log_size: float


class Recurrence:
    """One direction of an LSTM, GRU or RNN node, a step at a time."""

    def __init__(self, network: Network, node: NodeProto, direction: int, *, folder: Path | None, threads: int) -> None:
        """`direction` is the index of the direction. Call only where `can_step`."""
        self.network = network
        self.node = node
        self.direction = direction
        self.folder = folder
        self.threads = threads
        self.is_reverse = direction == 1 or attribute_of(node, "direction", b"forward") == b"reverse"
        given = {i: name for i, name in enumerate(node.input) if name}
        self.states = (HIDDEN, CELL) if node.op_type == "LSTM" else (HIDDEN,)
        self.sequence = given[X]
        self.initial = {i: given[i] for i in self.states if i in given}
        self.inputs = tuple(n for n in (self.sequence, *self.initial.values()) if network.is_data(n))
        """Values that must be known."""
        self.held = {i: given[i] for i in HELD if i in given}
        self._seen: tuple[list[np.ndarray], list[tuple[np.ndarray, ...]]] | None = None
        self._levels: list[tuple[float, ...]] = []
        """Sizes of the states that were seen, which every change is measured by."""

    @cached_property
    def weights(self) -> dict[int, np.ndarray]:
        """W, R, bias and peepholes of this direction, each with a first axis of length 1."""
        own = slice(self.direction, self.direction + 1)
        return {i: self._constants[name][own] for i, name in self.held.items()}

    @cached_property
    def _constants(self) -> State:
        """The constants among the operator's inputs, by name."""
        from initaudit.probe.session import open_session, quiet_options, run_session

        read = dict.fromkeys((self.sequence, *self.held.values(), *self.initial.values()))
        names = [name for name in read if not self.network.is_data(name)]
        model = self.network.empty_model("weights")
        nodes, stored = self.network.constant_part(names)
        model.graph.node.extend(nodes)
        add_constants(model.graph, stored)
        outputs = [f"{PREFIX}{name}" for name in names]
        for name, output in zip(names, outputs, strict=True):
            model.graph.node.append(helper.make_node("Identity", [name], [output]))
            model.graph.output.add(name=output)
        session = open_session(model, self.folder, quiet_options(self.threads))
        return dict(zip(names, run_session(session, outputs, {}), strict=True))

    @cached_property
    def _session(self) -> onnxruntime.InferenceSession:
        """One step of this direction: input, weights and states in, states out."""
        from initaudit.probe.session import open_session, quiet_options

        node = NodeProto()
        node.CopyFrom(self.node)
        names = [str(i) if i in (X, *self.weights, *self.states) else "" for i in range(8)]
        while not names[-1]:
            names.pop()
        del node.input[:], node.output[:], node.attribute[:]
        node.input.extend(names)
        node.output.extend(["", *(f"after/{i}" for i in self.states)])
        directions = 2 if attribute_of(self.node, "direction", b"forward") == b"bidirectional" else 1
        for attribute in self.node.attribute:
            if attribute.name == "direction":
                continue
            own = node.attribute.add()
            own.CopyFrom(attribute)
            if attribute.name in PER_DIRECTION:
                for listed in (own.strings, own.floats):
                    each = len(listed) // directions
                    kept = list(listed)[self.direction * each : (self.direction + 1) * each]
                    del listed[:]
                    listed.extend(kept)
        model = self.network.empty_model("step")
        model.graph.node.append(node)
        element = helper.np_dtype_to_tensor_dtype(self.weights[W].dtype)
        for name in filter(None, names):
            model.graph.input.append(helper.make_tensor_value_info(name, element, None))
        for i in self.states:
            model.graph.output.append(helper.make_tensor_value_info(f"after/{i}", element, None))
        return open_session(model, None, quiet_options(self.threads))

    def steps(self, sources: State) -> np.ndarray:
        """The inputs [steps, batch, inputs] in the order of the steps."""
        x = self._value(self.sequence, sources)
        return x[::-1] if self.is_reverse else x

    def start(self, sources: State, batch: int) -> tuple[np.ndarray, ...]:
        """The states before the first step, each [1, batch, hidden]."""
        hidden = self.weights[R].shape[2]
        own = slice(self.direction, self.direction + 1)
        return tuple(
            self._value(self.initial[i], sources)[own]
            if i in self.initial
            else np.zeros((1, batch, hidden), self.weights[R].dtype)
            for i in self.states
        )

    def _value(self, name: str, sources: State) -> np.ndarray:
        return sources[name] if name in self.inputs else self._constants[name]

    def step(
        self, x: np.ndarray, states: Sequence[np.ndarray], weights: dict[int, np.ndarray]
    ) -> tuple[np.ndarray, ...]:
        """The states behind one step, for its input x [1, batch, inputs]."""
        from initaudit.probe.session import run_session

        feed = {str(i): weights.get(i, array) for i, array in self.weights.items()}
        feed |= {str(i): state for i, state in zip(self.states, states, strict=True)}
        return tuple(run_session(self._session, [f"after/{i}" for i in self.states], {**feed, str(X): x}))

    def trajectory(self, sources: State) -> list[tuple[np.ndarray, ...]]:
        """The states before each step and behind the last."""
        given = [sources[name] for name in self.inputs]
        if self._seen is None or any(a is not b for a, b in zip(self._seen[0], given, strict=True)):
            x = self.steps(sources)
            states = [self.start(sources, x.shape[1])]
            for t in range(len(x)):
                states.append(self.step(x[t : t + 1], states[-1], {}))
            self._seen = given, states
            self._levels = [tuple(map(_level, some)) for some in states]
        return self._seen[1]

    @np.errstate(over="ignore")  # of squares, see `_size`
    def follow(
        self,
        sources: State,
        *,
        weights: dict[int, np.ndarray] | None = None,
        push: np.ndarray | None = None,
    ) -> list[Change]:
        """What becomes of the states behind each step where the weights change by `weights`, and the input of the first one by `push`.

        To first order: the true size of the changes that are given does not count.
        """
        weights = weights or {}
        x, states = self.steps(sources), self.trajectory(sources)
        change = Change(values=tuple(np.zeros_like(state) for state in states[0]), log_size=0.0)
        heaviest = max((_relative(w, self.weights[i]) for i, w in weights.items()), default=0.0)
        found: list[Change] = []
        for t in range(len(x)):
            entering, pushed = x[t : t + 1], push if t == 0 else None
            carried = max(_size(c) / level for c, level in zip(change.values, self._levels[t], strict=True))
            added = max(heaviest, 0.0 if pushed is None else _relative(pushed, entering))
            fresh = math.exp(min(LARGEST_LOG, -change.log_size)) if added else 0.0
            size = max(carried, fresh * added)
            if not math.isfinite(size) or size == 0.0:
                found.append(change)
                continue
            unit = STEP / size
            moved = [s + c * c.dtype.type(unit) for s, c in zip(states[t], change.values, strict=True)]
            heavier = {i: self.weights[i] + w * w.dtype.type(fresh * unit) for i, w in weights.items()}
            if pushed is not None:
                entering = entering + pushed * pushed.dtype.type(fresh * unit)
            after = self.step(entering, moved, heavier)
            differences = tuple(a - b for a, b in zip(after, states[t + 1], strict=True))
            change = _rescaled(differences, change.log_size - math.log(unit))
            found.append(change)
        return found


def can_step(network: Network, node: NodeProto) -> bool:
    """Whether a recurrent node can be run a step at a time: constant weights, and all sequences of the same length."""
    given = {i: name for i, name in enumerate(node.input) if name}
    held = [given[i] for i in HELD if i in given]
    own_lengths = LENGTHS in given or attribute_of(node, "layout", 0) != 0
    return node.op_type in ("LSTM", "GRU", "RNN") and not own_lengths and not any(map(network.is_data, held))


def attribute_of(node: NodeProto, name: str, default: Any) -> Any:
    """The value of an attribute."""
    found = next((a for a in node.attribute if a.name == name), None)
    return default if found is None else helper.get_attribute_value(found)


def _rescaled(values: tuple[np.ndarray, ...], log_size: float) -> Change:
    """The same change with values of size 1."""
    size = max(map(_size, values))
    if size == 0.0 or not math.isfinite(size):
        return Change(values=values, log_size=log_size)
    return Change(values=tuple(v / v.dtype.type(size) for v in values), log_size=log_size + math.log(size))


def _relative(change: np.ndarray, level: np.ndarray) -> float:
    return _size(change) / _level(level)


def _level(array: np.ndarray) -> float:
    """What changes of an array are relative to."""
    return _size(array) or 1.0


def _size(array: np.ndarray) -> float:
    """Root mean square, quickly where no square overflows or vanishes."""
    flat = array.reshape(-1)
    square = float(np.dot(flat, flat))
    return math.sqrt(square / flat.size) if SMALLEST < square < LARGEST else root_mean_square(array)
