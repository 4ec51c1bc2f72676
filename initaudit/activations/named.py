"""Activation functions that have a name: one entry each, with its closed form and how to read its parameters off values.

Pure numpy, float64, no ONNX. Names are torch's functional names. An unknown elementwise function `f` is recognised by
its values: for each entry the parameters are read off `f` at a few points, and the closed form is compared on `GRID`.
That recognises every decomposition that an exporter may write, in whatever order its nodes and constants stand.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

from initaudit.activations import formulas
from initaudit.activations.formulas import LEAKY_SLOPE, QUICK_GELU_SLOPE, Array

Function: TypeAlias = Callable[[Array], Array]
Parameters: TypeAlias = Mapping[str, float]

FAR = 100.0
"""Far enough out for every bound or asymptote in use (bounds beyond it guard against overflow and bend nothing), and
small enough that exp(FAR) is finite in float64."""
GRID: Array = np.concatenate(
    [[-FAR, -40.0, -20.0, -12.0], np.linspace(-8.0, 8.0, 129) + 0.003, [12.0, 20.0, 40.0, FAR]]
)
"""Points of comparison: dense where signals live, a few far out; shifted off zero, where many functions agree."""
EXACT = 1e-4
"""Deviation, relative to 1 + |value|, within which two functions are the same: constants stored in float32."""
CLOSE = 4e-3
"""The same for constants stored in bfloat16 (relative rounding 2^-8)."""

DIGITS = 6
"""Significant digits of a parameter read off: what float32 constants hold."""


def _nothing(_: Function) -> Parameters | None:
    return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Activation:
    """An elementwise activation function."""

    name: str
    """torch's functional name."""
    function: Callable[..., Array] = field(repr=False)
    """function(z, **parameters), elementwise, float64."""
    fit: Callable[[Function], Parameters | None] = field(default=_nothing, repr=False)
    """Parameters with which `function` may equal an unknown f, leaving out those at their default; None if none can."""
    operators: frozenset[str] = frozenset()
    """Operators that decide for this name where another one has (almost) the same values."""


def _at(f: Function, z: float) -> float:
    return float(f(np.array([z]))[0])


def _unless(default: float, name: str, value: float) -> Parameters | None:
    """{name: value}, or {} at the default; None where it is no number."""
    if not math.isfinite(value):
        return None
    return {} if abs(value - default) <= EXACT * (1 + abs(default)) else {name: value}


def _boundary(inside: Callable[[float], bool], low: float, high: float) -> float | None:
    """Where `inside` turns from true at `low` to false at `high`, by bisection."""
    if not inside(low) or inside(high):
        return None
    for _ in range(50):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if inside(middle) else (low, middle)
    return round(0.5 * (low + high), 9)


def _fit_silu(f: Function) -> Parameters | None:
    share = _at(f, 1.0)
    beta = math.log(share / (1 - share)) if 0.5 < share < 1 else 0.0
    if beta <= 0 or abs(beta / QUICK_GELU_SLOPE - 1) <= CLOSE:
        return None
    return _unless(1.0, "beta", beta)


def _fit_softplus(f: Function) -> Parameters | None:
    at_zero = _at(f, 0.0)
    return _unless(1.0, "beta", math.log(2.0) / at_zero) if at_zero > 0 else None


def _fit_hardtanh(f: Function) -> Parameters | None:
    low, high = _at(f, -FAR), _at(f, FAR)
    if not low < high:
        return None
    bounds: dict[str, float] = {}
    for name, default, bound in (("min_val", -1.0, low), ("max_val", 1.0, high)):
        bounds |= _unless(default, name, bound) or {}
    return bounds


def _fit_hardsigmoid(f: Function) -> Parameters | None:
    slope, middle = (_at(f, 0.1) - _at(f, -0.1)) / 0.2, _at(f, 0.0)
    return {**(_unless(1 / 6, "alpha", slope) or {}), **(_unless(0.5, "beta", middle) or {})}


def _fit_threshold(f: Function) -> Parameters | None:
    value = _at(f, -FAR)
    if abs(_at(f, FAR) - FAR) > EXACT or abs(_at(f, -0.5 * FAR) - value) > EXACT:
        return None
    edge = _boundary(lambda z: abs(_at(f, z) - value) <= EXACT, -FAR, FAR)
    return None if edge is None else {"threshold": edge, "value": value}


def _fit_hardshrink(f: Function) -> Parameters | None:
    edge = _boundary(lambda z: _at(f, z) == 0, 0.0, FAR)
    return None if not edge else _unless(0.5, "lambd", edge)


def _fit_softshrink(f: Function) -> Parameters | None:
    lambd = FAR - _at(f, FAR)
    return _unless(0.5, "lambd", lambd) if lambd > EXACT else None


ACTIVATIONS: Mapping[str, Activation] = {
    entry.name: entry
    for entry in (
        Activation(name="relu", function=lambda z: np.maximum(z, 0.0)),
        Activation(name="relu6", function=lambda z: np.clip(z, 0.0, 6.0)),
        Activation(name="abs", function=np.abs),
        Activation(
            name="prelu",
            function=lambda z, weight=0.25: formulas.leaky_relu(z, weight),
            fit=lambda f: _unless(0.25, "weight", -_at(f, -1.0)),
            operators=frozenset({"PRelu"}),
        ),
        Activation(
            name="leaky_relu",
            function=formulas.leaky_relu,
            fit=lambda f: _unless(LEAKY_SLOPE, "negative_slope", -_at(f, -1.0)),
        ),
        Activation(name="elu", function=formulas.elu, fit=lambda f: _unless(1.0, "alpha", -_at(f, -FAR))),
        Activation(
            name="celu",
            function=formulas.celu,
            fit=lambda f: _unless(1.0, "alpha", -_at(f, -FAR)) if _at(f, -FAR) < 0 else None,
            operators=frozenset({"Celu"}),
        ),
        Activation(name="selu", function=formulas.selu),
        Activation(name="gelu", function=formulas.gelu, operators=frozenset({"Erf", "Gelu", "BiasGelu"})),
        Activation(name="gelu_tanh", function=formulas.gelu_tanh, operators=frozenset({"Tanh", "FastGelu", "Gelu"})),
        Activation(name="quick_gelu", function=lambda z: formulas.silu(z, QUICK_GELU_SLOPE)),
        Activation(name="silu", function=formulas.silu, fit=_fit_silu),
        Activation(name="mish", function=lambda z: z * np.tanh(formulas.softplus(z))),
        Activation(name="hardswish", function=lambda z: z * formulas.hardsigmoid(z)),
        Activation(name="hardsigmoid", function=formulas.hardsigmoid, fit=_fit_hardsigmoid),
        Activation(name="sigmoid", function=formulas.sigmoid),
        Activation(name="logsigmoid", function=lambda z: -formulas.softplus(-z)),
        Activation(name="tanh", function=np.tanh),
        Activation(name="hardtanh", function=formulas.hardtanh, fit=_fit_hardtanh),
        Activation(name="softplus", function=formulas.softplus, fit=_fit_softplus),
        Activation(name="softsign", function=lambda z: z / (1.0 + np.abs(z))),
        Activation(name="tanhshrink", function=lambda z: z - np.tanh(z)),
        Activation(name="softshrink", function=formulas.softshrink, fit=_fit_softshrink),
        Activation(name="hardshrink", function=formulas.hardshrink, fit=_fit_hardshrink),
        Activation(name="threshold", function=formulas.threshold, fit=_fit_threshold),
        Activation(name="relu_squared", function=lambda z: np.maximum(z, 0.0) ** 2),
        Activation(name="square", function=np.square),
        Activation(name="sin", function=np.sin),
        Activation(name="cos", function=np.cos),
    )
}
"""By name; where two entries have the same values the first one gives the name, unless an operator decides."""


def closed_form(name: str, parameters: Parameters | None = None) -> Function | None:
    """The named function with its parameters, or None where the name stands for no elementwise function."""
    entry = ACTIVATIONS.get(name)
    if entry is None:
        return None
    given = dict(parameters or {})
    return lambda z: entry.function(np.asarray(z, np.float64), **given)


def is_affine(f: Function) -> bool:
    """Whether f is a straight line on GRID (a constant included)."""
    with np.errstate(all="ignore"):
        values = f(GRID)
        low, high = _at(f, -1.0), _at(f, 1.0)
    line = 0.5 * (low + high) + 0.5 * (high - low) * GRID
    return _deviation(values, line) <= EXACT


def identify(f: Function, operators: frozenset[str] = frozenset()) -> tuple[str, Parameters] | None:
    """Name and parameters (those off their default) of an elementwise function; None where it has no name here.

    `operators` are the op_types it is made of; they decide between names whose values (almost) agree.
    """
    with np.errstate(all="ignore"):
        values = f(GRID)
        candidates: list[tuple[float, Activation, Parameters]] = []
        for entry in ACTIVATIONS.values():
            parameters = entry.fit(f)
            if parameters is None:
                continue
            deviation = _deviation(values, entry.function(GRID, **parameters))
            if deviation <= CLOSE:
                candidates.append((deviation, entry, parameters))
    decided = [c for c in candidates if c[1].operators & operators]
    open_to_all = [c for c in candidates if not c[1].operators or c[1].operators & operators]
    pool = decided or open_to_all or candidates
    exact = [c for c in pool if c[0] <= EXACT]
    best = exact[0] if exact else min(pool, key=lambda c: c[0], default=None)
    if best is None:
        return None
    return best[1].name, {name: float(f"{value:.{DIGITS}g}") for name, value in best[2].items()}


def _deviation(values: Array, reference: Array) -> float:
    difference = np.abs(values - reference) / (1.0 + np.abs(reference))
    return float(np.max(difference)) if np.all(np.isfinite(values)) else math.inf
