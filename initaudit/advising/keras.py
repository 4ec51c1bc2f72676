"""Keras: the arguments that start layers as they should be, and what the layers are called."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from initaudit.advising.parameters import TORCH_GATES
from initaudit.kind import Kind

if TYPE_CHECKING:
    from initaudit.advising.start import Start
    from initaudit.extraction.layer import Layer
    from initaudit.measuring.layer_audit import LayerAudit

EQUAL = 5e-3
"""Relative difference of two variances' roots that are one scheme: three digits, and the rounding of tabulated gains."""
NAMED = 8
"""Layers whose names stand behind an argument that they share. A judgement: what one line holds."""
_WEIGHTS = {
    Kind.EMBEDDING: "embeddings_initializer",
    Kind.DEPTHWISE_CONV: "depthwise_initializer",
    Kind.NORM: "gamma_initializer",
}
_SCHEMES = {
    ("fan_in", 2.0): "he",
    ("fan_in", 1.0): "lecun",
    ("fan_avg", 1.0): "glorot",
}
"""Keras' names of `VarianceScaling(scale, mode)`."""


def layer_name(layer: Layer) -> str:
    """The name that `model.get_layer` knows: the last step of the path in the file, without the cell of a recurrent layer."""
    path = layer.title.partition("[")[0].partition(";")[0]
    steps = [step for step in path.split(".") if not step.endswith("_cell")]
    return steps[-1] if steps else path


def arguments(audit: LayerAudit, start: Start) -> list[str] | None:
    """Arguments of the layer's constructor; None where Keras has none for this."""
    layer, found = audit.layer, []
    if start.sums_to_zero or layer.kind in (Kind.SCALE, Kind.OTHER):
        return None
    if start.distribution is not None:
        name = "recurrent_initializer" if layer.role == "R" else _WEIGHTS.get(layer.kind, "kernel_initializer")
        found.append(f"{name}={_initialiser(audit, start)}")
    if start.bias is not None:
        forget = layer.is_forget_gate and layer.role == "W"
        found.append("unit_forget_bias=True" if forget else f"bias_initializer={_constant(start.bias)}")
    return found


def code(each: Sequence[tuple[LayerAudit, Start]], *, from_keras: bool) -> str | None:
    """The arguments of all layers, those that share them in one line; None where Keras has none for one of them.

    The layers are called by their names in Keras, or by what they stand in front of where another framework named them.
    """
    lines: dict[str, list[str]] = {}
    for audit, start in each:
        given = arguments(audit, start)
        if given is None:
            return None
        where = audit.layer.activation
        name = layer_name(audit.layer) if from_keras else f"in front of {where}" if where else "without an activation"
        names = lines.setdefault(", ".join(given), [])
        if name not in names:
            names.append(name)
    if len(each) == 1:
        return next(iter(lines))
    return "\n".join(f"{line}  # {_listed(names)}" for line, names in lines.items())


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def _initialiser(audit: LayerAudit, start: Start) -> str:
    """The scheme by its name where Keras, which counts fans on its own shape of the kernel, gives its scale; else by the scale."""
    layer = audit.layer
    if start.distribution == "constant":
        return _constant(start.std)
    inputs, outputs = _fans(layer)
    if start.distribution == "orthogonal":
        gain = start.std * math.sqrt(max(inputs, outputs))
        return '"orthogonal"' if _is(gain, 1.0) else f"keras.initializers.Orthogonal(gain={gain:.3g})"
    uniform = start.distribution == "uniform"
    own = audit.target is not None and audit.target.scheme.startswith("xavier")
    for (mode, scale), family in sorted(_SCHEMES.items(), reverse=not own):
        fan = inputs if mode == "fan_in" else (inputs + outputs) / 2.0
        if _is(start.std, math.sqrt(scale / fan)):
            return f'"{family}_{"uniform" if uniform else "normal"}"'
    if layer.kind is Kind.EMBEDDING or layer.kind in (Kind.CONV_TRANSPOSE, Kind.DEPTHWISE_CONV):
        bound = math.sqrt(3.0) * start.std
        return (
            f"keras.initializers.RandomUniform(-{bound:.3g}, {bound:.3g})"
            if uniform
            else f"keras.initializers.RandomNormal(stddev={start.std:.3g})"
        )
    law = ', distribution="uniform"' if uniform else ""
    return f'keras.initializers.VarianceScaling(scale={start.std**2 * inputs:.3g}, mode="fan_in"{law})'


def _fans(layer: Layer) -> tuple[float, float]:
    """As Keras counts them: on the last two axes of the kernel, whatever they mean, and over all gates of a cell."""
    shape = layer.weight.shape
    if layer.kind.is_recurrent:
        return layer.fan_in, layer.fan_out * len(TORCH_GATES[layer.kind])
    if layer.kind is Kind.DEPTHWISE_CONV:  # [kernel, inputs, multiplier]
        kernel, channels = math.prod(shape[2:]), layer.groups
        return kernel * channels, kernel * shape[0] / channels
    if layer.kind.is_convolution:  # [kernel, inputs, outputs], or [kernel, outputs, inputs] of a transposed one
        return math.prod(shape[1:]), math.prod(shape[2:]) * shape[0]
    return layer.fan_in, layer.fan_out


def _constant(value: float) -> str:
    known = {0.0: '"zeros"', 1.0: '"ones"'}
    return known.get(value) or f"keras.initializers.Constant({value:g})"


def _is(std: float, other: float) -> bool:
    return math.isclose(std, other, rel_tol=EQUAL)
