"""Classifiers of sequences: LSTM layers, and a dense one that reads the last state."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from onnx import ModelProto

    from initaudit.making.net import Net
    from initaudit.making.style import Style
    from initaudit.making.values import Values

FIRST = 65
"""Number in the name of the first weight: any will do, exporters count the values of the graph."""


def lstm(
    net: Net,
    sequence: tuple[int | str, int],
    hidden: Sequence[int],
    classes: int,
    style: Style,
    values: Values,
) -> ModelProto:
    """Gates stand in the order i, o, f, c; of the biases first those of the inputs, then the recurrent ones.

    Args:
        net: to be filled.
        sequence: steps (text leaves them free) and features of each.
        hidden: units of each layer.
        classes: of the dense layer at the end.
        style: whose dropout stands in front of the last layer; the cells have activations of their own, whatever it says.
        values: of the weights, asked for the inputs' (`rnn.0.W`), the recurrent ones (`rnn.0.R`) and the dense layer's (`fc`); the bias of
            `rnn.0.B` has eight values a unit.
    """
    features = sequence[1]
    x = net.op("Transpose", net.input("input", ["batch", *sequence]), perm=[1, 0, 2])
    for i, units in enumerate(hidden):
        weights = [values.weight(f"rnn.{i}.{key}", (4 * units, n)) for key, n in (("W", features), ("R", units))]
        bias = values.bias(f"rnn.{i}.B", (8 * units, features))
        stored = [*weights, *([] if bias is None else [bias])]
        names = [net.weight(f"onnx::LSTM_{FIRST + 3 * i + k}", value[None]) for k, value in enumerate(stored)]
        where, last = "/rnn" if len(hidden) == 1 else f"/rnn.{i}", i == len(hidden) - 1
        states, final, _ = net.op("LSTM", x, *names, scope=where, outputs=3, hidden_size=units)
        axis = net.constant([0 if last else 1], np.int64)
        x = net.op("Squeeze", final if last else states, axis, scope=where)
        features = units
    x = style.dropped(net, x, "/drop")
    weight = values.weight("fc", (classes, features))
    return net.model(net.linear(x, "fc", weight, values.bias("fc", weight.shape)), ["batch", classes])
