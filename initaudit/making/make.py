"""make(): a small network, built layer by layer, and then drawn as `fix` draws."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from initaudit.auditor import audit
from initaudit.config import Config
from initaudit.errors import UsageError
from initaudit.fixing.choose import choose
from initaudit.fixing.named import check_layers
from initaudit.fixing.options import FixOptions
from initaudit.initialisation.schemes import SCHEMES
from initaudit.making.activation import ACTIVATIONS, read_activation
from initaudit.making.architectures import find_architecture
from initaudit.making.build import BUILDERS
from initaudit.making.net import Net
from initaudit.making.options import AUTO_BIAS, NO_BIAS, MakeOptions
from initaudit.making.sizes import read_sizes
from initaudit.making.style import Style
from initaudit.making.values import Shape, Values
from initaudit.model.load import load_model, private_copy
from initaudit.redrawing.draw import TABLE
from initaudit.redrawing.positions import set_values
from initaudit.redrawing.redraw import redraw

if TYPE_CHECKING:
    from onnx import ModelProto

    from initaudit.making.architectures import Architecture
    from initaudit.making.net import Array

LARGEST = 2**26
"""Weights of one network: 256 MiB as float32. A judgement: a larger one is no small network any more."""


def make(architecture: str, sizes: str | None, options: MakeOptions) -> ModelProto:
    """The network; the same bytes for the same arguments.

    Args:
        architecture: a name in `initaudit.making.architectures`.
        sizes: as that says they are written; None for the usual ones.
        options: everything else.

    Raises:
        UsageError: there is no such network, and why.
    """
    kind = find_architecture(architecture)
    written = kind.sizes if sizes is None else sizes
    read = read_sizes(written, kind)
    net = Net(f"{architecture} {written}")
    model = BUILDERS[kind.name](net, read, _style(kind, options), _Placeholders(options).values())
    return drawn(model, options)


@np.errstate(all="ignore")  # what does not fit is found below
def drawn(proto: ModelProto, options: MakeOptions) -> ModelProto:
    """The network with every layer drawn anew as `fix --all --force --scheme` does it; what that leaves (tables) stays.

    Raises UsageError where a scheme names a layer that there is not, or one cannot be drawn by its scheme.
    """
    recipe = FixOptions(
        scheme=options.scheme,
        gain=options.gain,
        bias=AUTO_BIAS if options.bias == AUTO_BIAS else "keep",
        every=True,
        force=True,
    )
    model = load_model(proto)
    report = audit(model, Config(probe="none", context="fresh", seed=options.seed))
    assert report.audit is not None
    check_layers(report, recipe)
    made = private_copy(model)
    _, refusals, contents = redraw(made, choose(report, recipe), options.seed, recipe)
    if refusals:
        raise UsageError(f"scheme: {refusals[0].layer} cannot be drawn by it: {refusals[0].reason}")
    for identity, tensor in contents.tensors.items():
        values = contents.values[identity]
        if not (np.abs(values) <= np.finfo(np.float32).max).all():
            raise UsageError(f"scheme: {tensor.name} would not fit float32")
        set_values(tensor, values)
    return made.proto


def _style(kind: Architecture, options: MakeOptions) -> Style:
    """Raises UsageError where the architecture has no such norm or activation."""
    if kind.activation is None and options.activation is not None:
        raise UsageError(f"the cells of {kind.name} have activations of their own; leave --activation out")
    norm = kind.norms[0] if options.norm is None else options.norm
    if norm not in kind.norms:
        raise UsageError(f"norm of {kind.name} is {' or '.join(kind.norms)}, not {norm}")
    activation = options.activation or kind.activation
    activate = ACTIVATIONS["linear"] if activation is None else read_activation(activation)
    return Style(activate=activate, norm=norm, dropout=options.dropout)


class _Placeholders:
    """What a network is built with: weights of no account, which are drawn later, and the biases that were asked for."""

    def __init__(self, options: MakeOptions) -> None:
        self._rng = np.random.default_rng(options.seed)
        self._bias = options.bias
        self._count = 0

    def values(self) -> Values:
        """As a builder asks for them."""
        return Values(weight=self._weight, bias=self._biases)

    def _weight(self, name: str, shape: Shape) -> Array:
        """Those of a table are kept. Raises UsageError where it becomes too much."""
        self._count += math.prod(shape)
        if self._count > LARGEST:
            raise UsageError(f"such a network has more than {LARGEST} weights; {name} alone is {list(shape)}")
        return SCHEMES[TABLE].draw(shape, self._rng, fan_in=1, fan_out=1)

    def _biases(self, name: str, shape: Shape) -> Array | None:
        if self._bias == NO_BIAS:
            return None
        return np.full(shape[0], 0.0 if isinstance(self._bias, str) else self._bias)
