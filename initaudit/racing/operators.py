"""Operators that behave otherwise in training, or that the converter gets wrong: as modules of torch, in a domain of their own.

BatchNormalization goes by its batch in training, Dropout drops; the converter knows both only as they are in use. Its Gather takes no
index that counts from the end, its RNN no activation but tanh.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from initaudit.racing.rewriting import DOMAIN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from onnx import NodeProto

EPSILON = 1e-5
"""Of BatchNormalization where the node has none (ONNX operator specification)."""
RATIO = 0.5
"""Of Dropout where the node has none (likewise)."""
ACTIVATIONS = {"Relu": torch.relu, "Tanh": torch.tanh, "Sigmoid": torch.sigmoid}
"""Of a recurrence (`initaudit.racing.rewriting.RECURRENCES`)."""


class BatchNorm(nn.Module):  # type: ignore[misc]
    """By the statistics of the batch in training, by the stored ones else; those are never changed: a race is too short for a running average."""

    def __init__(self, epsilon: float, *, always: bool) -> None:
        super().__init__()
        self.epsilon, self.always = epsilon, always

    def forward(self, x: Tensor, scale: Tensor, bias: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
        """Units along axis 1."""
        if self.training or self.always:
            return functional.batch_norm(x, None, None, scale, bias, training=True, eps=self.epsilon)
        return functional.batch_norm(x, mean, variance, scale, bias, training=False, eps=self.epsilon)


class Dropout(nn.Module):  # type: ignore[misc]
    """Drops in training."""

    def forward(self, x: Tensor, ratio: Tensor | float) -> Tensor:
        """The share `ratio` of the values becomes zero."""
        return functional.dropout(x, float(ratio), training=self.training)


class Gather(nn.Module):  # type: ignore[misc]
    """Slices by their numbers, which may count from the end."""

    def __init__(self, axis: int) -> None:
        super().__init__()
        self.axis = axis

    def forward(self, x: Tensor, places: Tensor) -> Tensor:
        """Of the shape of `x` with that of `places` in the place of the axis."""
        axis = self.axis % x.dim()
        places = places.long()
        places = torch.where(places < 0, places + x.shape[axis], places)
        taken = x.index_select(axis, places.flatten())
        return taken.reshape((*x.shape[:axis], *places.shape, *x.shape[axis + 1 :]))


class Recurrence(nn.Module):  # type: ignore[misc]
    """Of one layer, without gates."""

    def __init__(self, activations: Sequence[str], direction: str) -> None:
        super().__init__()
        self.activations, self.direction = activations, direction

    def forward(
        self, x: Tensor, weights: Tensor, recurrent: Tensor, bias: Tensor | None, initial: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Every state [steps, directions, batch, units] and the last ones, of inputs [steps, batch, values]."""
        every, last = [], []
        for place in range(len(weights)):
            act = ACTIVATIONS[self.activations[place]]
            given = x @ weights[place].T
            if bias is not None:
                given = given + bias[place].reshape(2, -1).sum(0)
            state = torch.zeros_like(given[0]) if initial is None else initial[place]
            backwards = place == 1 or self.direction == "reverse"
            states = []
            for step in given.flip(0) if backwards else given:
                state = act(step + state @ recurrent[place].T)
                states.append(state)
            last.append(state)
            every.append(torch.stack(states[::-1] if backwards else states))
        return torch.stack(every, 1), torch.stack(last)


@cache
def register() -> None:
    """Make them known to the converter, once."""
    from onnx2fx import register_op

    register_op("BatchNormalization", _batch_norm, domain=DOMAIN)
    register_op("Dropout", _dropout, domain=DOMAIN)
    register_op("Gather", _gather, domain=DOMAIN)
    register_op("RNN", _recurrence, domain=DOMAIN)


def _batch_norm(builder: Any, node: NodeProto) -> Any:
    attributes = _attributes(node)
    always = bool(attributes["training_mode"].i) if "training_mode" in attributes else False
    epsilon = attributes["epsilon"].f if "epsilon" in attributes else EPSILON
    return _call(builder, node, BatchNorm(epsilon, always=always), node.input[:5])


def _dropout(builder: Any, node: NodeProto) -> Any:
    attributes = _attributes(node)
    ratio: Any = attributes["ratio"].f if "ratio" in attributes else RATIO
    if len(node.input) > 1 and node.input[1]:
        ratio = builder.get_value(node.input[1])
    return _call(builder, node, Dropout(), node.input[:1], ratio)


def _gather(builder: Any, node: NodeProto) -> Any:
    attributes = _attributes(node)
    return _call(builder, node, Gather(attributes["axis"].i if "axis" in attributes else 0), node.input)


def _recurrence(builder: Any, node: NodeProto) -> Any:
    attributes = _attributes(node)
    activations = [name.decode() for name in attributes["activations"].strings]
    direction = attributes["direction"].s.decode() if "direction" in attributes else "forward"
    names = [*node.input, *[""] * 6]
    optional = [builder.get_value(name) if name else None for name in (names[3], names[5])]
    return _call(builder, node, Recurrence(activations, direction), node.input[:3], *optional)


def _call(builder: Any, node: NodeProto, module: nn.Module, names: Any, *more: Any) -> Any:
    name = builder.register_submodule(node.name, module)
    return builder.call_module(name, args=(*(builder.get_value(n) for n in names), *more))


def _attributes(node: NodeProto) -> dict[str, Any]:
    return {attribute.name: attribute for attribute in node.attribute}
