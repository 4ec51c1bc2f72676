"""The networks of `layers_changed.py`: small, sound, none trained; and the faults that are planted in them, one at a time."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import numpy_helper
from probe_networks import Builder, Network

INPUTS, CLASSES, CHANNELS, SIDE = 32, 10, 12, 8
TOKENS, VOCABULARY, STEPS = 12, 200, 10
GAINS = {"Relu": 2**0.5, "Tanh": 5 / 3, "Gelu": 1.53, "Selu": 1.0, "Elu": 1.24, "Sigmoid": 1.0}
"""Factors on 1 / sqrt(fan_in): those that PyTorch recommends, and for GELU and ELU what keeps the second moment."""


def layers(b: Builder, *, activation: str, depth: int, width: int = 48, norm: bool = False) -> None:
    """A plain chain, with LayerNorm in front of its activations or without."""
    value, inside = "x", INPUTS
    for i in range(depth):
        value = b.linear(value, f"fc{i}", inside, width, GAINS[activation] / math.sqrt(inside))
        value = normed(b, value, f"norm{i}", width) if norm else value
        value = b.gelu(value, f"act{i}") if activation == "Gelu" else b.add(activation, [value], f"act{i}")
        inside = width
    b.linear(value, "y", inside, CLASSES, 1 / math.sqrt(inside))


def normed(b: Builder, source: str, name: str, width: int) -> str:
    """A LayerNorm with a scale and a shift of its own."""
    own = [b.constant(f"{name}.scale", np.ones(width, np.float32)), b.weight(f"{name}.shift", (width,), 0.0)]
    return b.add("LayerNormalization", [source, *own], name, axis=-1)


def convolutions(b: Builder, *, depth: int, norm: bool) -> None:
    """3 x 3 and ReLU, with BatchNorm as a fresh module has it or without."""
    value, inside = "x", 1
    for i in range(depth):
        value = b.conv(value, f"conv{i}", (inside, CHANNELS), 3, bias=not norm)
        if norm:
            statistics = [
                b.constant(f"bn{i}.{part}", np.full(CHANNELS, start, np.float32))
                for part, start in (("scale", 1), ("shift", 0), ("running_mean", 0), ("running_var", 1))
            ]
            value = b.add("BatchNormalization", [value, *statistics], f"bn{i}")
        value, inside = b.add("Relu", [value], f"act{i}"), CHANNELS
    flat = b.add("Flatten", [b.add("GlobalAveragePool", [value], "average")], "flat")
    b.linear(flat, "y", CHANNELS, CLASSES, 1 / math.sqrt(CHANNELS))


def residual(b: Builder, *, blocks: int, width: int = 48) -> None:
    """x + close(relu(open(x))), the ends divided by the root of their number."""
    value = b.linear("x", "embed", INPUTS, width, 1 / math.sqrt(INPUTS))
    for i in range(blocks):
        inner = b.add("Relu", [b.linear(value, f"{i}.open", width, width, math.sqrt(2 / width))], f"{i}.relu")
        value = b.add(
            "Add", [value, b.linear(inner, f"{i}.close", width, width, 1 / math.sqrt(width * blocks))], f"{i}.add"
        )
    b.linear(value, "y", width, CLASSES, 1 / math.sqrt(width))


def transformer(b: Builder, *, blocks: int, tied: bool, width: int = 32) -> None:
    """Pre-norm, on looked-up words and positions; the answers are products with the same words or with a layer of their own."""
    std, end = 1 / math.sqrt(width), 1 / math.sqrt(2 * blocks * width)
    words = b.weight("words.table", (VOCABULARY, width), 0.02 if tied else 1.0)
    placed = b.weight("positions.table", (TOKENS, width), 0.02 if tied else 1.0)
    value = b.add("Add", [b.add("Gather", [words, "x"], "looked_up"), placed], "placed")
    for i in range(blocks):
        branch = b.attention(normed(b, value, f"{i}.norm1", width), f"{i}", width, 4, std, end)
        value = b.add("Add", [value, branch], f"{i}.add1")
        inner = b.gelu(b.linear(normed(b, value, f"{i}.norm2", width), f"{i}.up", width, 2 * width, std), f"{i}.gelu")
        value = b.add("Add", [value, b.linear(inner, f"{i}.down", 2 * width, width, end / math.sqrt(2))], f"{i}.add2")
    value = normed(b, value, "norm", width)
    if tied:
        b.add("MatMul", [value, b.add("Transpose", [words], "words.turned", perm=[1, 0])], "y")
    else:
        b.linear(value, "y", width, VOCABULARY, std)


def recurrent(b: Builder, *, operator: str, cells: int, width: int = 24) -> None:
    """Xavier's input weights, orthogonal recurrent ones, and a classifier of the last step; the bias of a forget gate is 1, the others 0."""
    value, inside, gates = b.add("Transpose", ["x"], "steps", perm=[1, 0, 2]), INPUTS, 4 if operator == "LSTM" else 3
    for i in range(cells):
        bound = math.sqrt(6 / (inside + width))
        entering = b.rng.uniform(-bound, bound, (1, gates * width, inside))
        turning = np.concatenate([np.linalg.qr(b.rng.normal(size=(width, width)))[0] for _ in range(gates)])
        bias = np.zeros((1, 2 * gates * width))
        if operator == "LSTM":
            bias[0, forget_gate(bias.size)] = 1.0
        own = [
            b.constant(f"{i}.{operator}.{part}", values.astype(np.float32))
            for part, values in (("W", entering), ("R", turning[None]), ("B", bias))
        ]
        states = b.add(operator, [value, *own], f"{i}.cell", hidden_size=width)
        value, inside = b.add("Squeeze", [states, b.constant("axis", np.array([1]))], f"{i}.out"), width
    last = b.add("Gather", [value, b.constant("last", np.int64(STEPS - 1))], "last_step", axis=0)
    b.linear(last, "y", width, CLASSES, 1 / math.sqrt(width))


def forget_gate(size: int) -> slice:
    """Where an LSTM's bias of this size holds that of the forget gate's input: gates stand in the order input, output, forget, cell (ONNX)."""
    return slice(size // 8 * 2, size // 8 * 3)


def _layers(activation: str, depth: int, *, norm: bool = False) -> Network:
    return Network(fill=lambda b: layers(b, activation=activation, depth=depth, norm=norm), shape=(INPUTS,))


NETWORKS = {
    "ReLU, 3 layers": _layers("Relu", 2),
    "ReLU, 6 layers": _layers("Relu", 5),
    "ReLU, 13 layers": _layers("Relu", 12),
    "tanh, 6 layers": _layers("Tanh", 5),
    "GELU, 9 layers": _layers("Gelu", 8),
    "SELU, 11 layers": _layers("Selu", 10),
    "ELU, 5 layers": _layers("Elu", 4),
    "sigmoid, 3 layers": _layers("Sigmoid", 2),
    "LayerNorm, 6 layers": _layers("Relu", 5, norm=True),
    "CNN": Network(fill=lambda b: convolutions(b, depth=5, norm=False), shape=(1, SIDE, SIDE)),
    "BatchNorm CNN": Network(fill=lambda b: convolutions(b, depth=5, norm=True), shape=(1, SIDE, SIDE)),
    "residual": Network(fill=lambda b: residual(b, blocks=4), shape=(INPUTS,)),
    "transformer": Network(fill=lambda b: transformer(b, blocks=3, tied=False), shape=(TOKENS,), takes_ids=True),
    "tied transformer": Network(fill=lambda b: transformer(b, blocks=3, tied=True), shape=(TOKENS,), takes_ids=True),
    "LSTM": Network(fill=lambda b: recurrent(b, operator="LSTM", cells=2), shape=(STEPS, INPUTS)),
    "GRU": Network(fill=lambda b: recurrent(b, operator="GRU", cells=2), shape=(STEPS, INPUTS)),
}


Edit = Callable[[np.ndarray, np.random.Generator], None]
"""Changes values in place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What is done to one stored tensor."""

    of: tuple[str, ...]
    """Endings of the names of the tensors that it may be done to."""
    edit: Edit

    def places(self, model: onnx.ModelProto) -> list[str]:
        """Names of the tensors of a model that may have it, in the order of the layers."""
        return [tensor.name for tensor in model.graph.initializer if tensor.name.endswith(self.of)]

    def planted(self, model: onnx.ModelProto, place: str, rng: np.random.Generator) -> onnx.ModelProto:
        """A copy of the model with it."""
        copy = onnx.ModelProto()
        copy.CopyFrom(model)
        for tensor in copy.graph.initializer:
            if tensor.name == place:
                values = numpy_helper.to_array(tensor).copy()
                self.edit(values, rng)
                tensor.CopyFrom(numpy_helper.from_array(values, place))
        return copy


def scaled(factor: float) -> Edit:
    def edit(values: np.ndarray, rng: np.random.Generator) -> None:
        values *= np.float32(factor)

    return edit


def filled(number: float) -> Edit:
    def edit(values: np.ndarray, rng: np.random.Generator) -> None:
        values[...] = number

    return edit


def one(number: float) -> Edit:
    """A single value, at random."""

    def edit(values: np.ndarray, rng: np.random.Generator) -> None:
        values.reshape(-1)[rng.integers(values.size)] = number

    return edit


def equal_units(values: np.ndarray, rng: np.random.Generator) -> None:
    values[...] = values[:, :1] if values.ndim == 2 else values[:1]


def forgets(number: float) -> Edit:
    def edit(values: np.ndarray, rng: np.random.Generator) -> None:
        values[0, forget_gate(values.size)] = number

    return edit


WEIGHTS = (".weight", ".W", ".R")
BIASES = (".bias", ".shift", ".B")
FAULTS = {
    "weights x 30": Fault(of=WEIGHTS, edit=scaled(30)),
    "weights x 0.01": Fault(of=WEIGHTS, edit=scaled(0.01)),
    "weights zero": Fault(of=WEIGHTS, edit=filled(0)),
    "weights constant": Fault(of=WEIGHTS, edit=filled(0.02)),
    "equal units": Fault(of=(".weight",), edit=equal_units),
    "one NaN weight": Fault(of=WEIGHTS, edit=one(math.nan)),
    "one weight infinite": Fault(of=WEIGHTS, edit=one(math.inf)),
    "bias 50": Fault(of=BIASES, edit=filled(50)),
    "bias -50": Fault(of=BIASES, edit=filled(-50)),
    "one bias 50": Fault(of=BIASES, edit=one(50)),
    "one NaN bias": Fault(of=BIASES, edit=one(math.nan)),
    "norm scale 0.001": Fault(of=(".scale",), edit=filled(1e-3)),
    "norm scale 30": Fault(of=(".scale",), edit=filled(30)),
    "norm scale zero": Fault(of=(".scale",), edit=filled(0)),
    "forget bias -10": Fault(of=(".LSTM.B",), edit=forgets(-10)),
    "forget bias 50": Fault(of=(".LSTM.B",), edit=forgets(50)),
    "table zero": Fault(of=(".table",), edit=filled(0)),
    "table constant": Fault(of=(".table",), edit=filled(0.02)),
    "table x 1000": Fault(of=(".table",), edit=scaled(1000)),
    "one NaN in a table": Fault(of=(".table",), edit=one(math.nan)),
}
