"""Signal: what the probe measured at one layer, and the theory's prediction beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from initaudit.histogram import Histogram


@dataclass(frozen=True, slots=True, kw_only=True)
class Moments:
    """Second moments of the elements of a value. Both are infinite or NaN where the value is."""

    mean_square: float
    """q = E[z^2] over inputs, units and positions."""
    variance: float
    """s: variance over *inputs* of each element, averaged over elements (unbiased)."""
    dimension: float | None = None
    """In how many directions the inputs differ: the participation ratio (sum of eigenvalues)^2 / (sum of their squares)
    of the covariance over inputs; 1 where all lie on one line, at most one less than there are inputs. None where they
    do not differ."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """What reached one layer when random inputs went through the network, and what gradient came back.

    Measured where the activation begins: after bias and normalisation, before the nonlinearity.
    None means that the quantity does not exist here or was not measured; the probe's notes say which.
    """

    mean_square: float
    variance: float
    """Signal variance s: what distinguishes one input from another. Dies while `mean_square` stays up when biases or
    activations off zero take over (Schoenholz et al. 2017)."""
    similarity: float | None
    """c = 1 - s / E[z^2], in [0, 1]: 1 where all inputs look the same. None where z is zero everywhere."""
    variance_resolved: bool = True
    """False where s lies below what the rounding of the values can carry: then it is an upper bound."""
    saturated: float | None = None
    """Share of elements in a flat part of the activation (slope below 1 % of its maximum); for ReLU the zero half."""
    dead: float | None = None
    """Share of units that stay in one flat part for every input and position."""
    nonfinite: float = 0.0
    """Share of elements that are NaN or infinite."""
    after: Moments | None = None
    """After the activation."""
    own: Moments | None = None
    """The layer's own output, where a normalisation stands between it and the activation."""
    input: Moments | None = None
    """The layer's data operand."""
    elements: int | None = None
    """Elements of the layer's output for one input: its units times the positions it is applied to."""
    histogram: Histogram | None = None
    gradient_rms: float | None = None
    """Root mean square, per element of the layer's output, of the gradient that a cotangent drawn from N(0, I) at the
    outputs sends back. 0 where no perturbation of the layer reaches an output."""
    gradient_error: float | None = None
    """Relative standard error of `gradient_rms`."""
    gradient_resolved: bool | None = None
    """False where the response lies below float resolution: the gradient is smaller than any that was resolved."""
    weight_gradient: float | None = None
    """Frobenius norm of dL/dW for one input and the same cotangent."""
    weight_gradient_error: float | None = None
    """Relative standard error of `weight_gradient`."""
    weight_contrast: float | None = None
    """Of the gain of a norm and other factors: share of what a change of it does to the outputs that differs from input to input,
    1 - K(x, x')/K(x, x) of its part of the tangent kernel. Where only a part of the positions is read on, it is that of those."""
    weight_gradient_ratio: float | None = None
    """|dL/dW| / |W|, Frobenius norms."""
    memory: float | None = None
    """Of a recurrent layer, in its first gate: what is left of a small change of its state a step later, the geometric mean over the steps:
    the exponential of the largest Lyapunov exponent."""
    predicted_variance: float | None = None
    """Variance that mean-field theory expects from the weights and from what was measured at the layer's input."""
    growth: float | None = None
    """Variance over that of the previous layer on the path."""
    chi: float | None = None
    """Squared gradient at the previous layer over that here, as mean-field theory expects it from the weights and the activation between."""
    chi_measured: float | None = None
    """The same as measured, over all elements of both outputs and on every way between them."""

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Signal:
        """From what the probe's process answered for this layer."""
        fields = dict(values)
        for name in ("after", "own", "input"):
            if fields.get(name) is not None:
                fields[name] = Moments(**fields[name])
        if fields.get("histogram") is not None:
            counts = tuple(fields["histogram"]["counts"])
            fields["histogram"] = Histogram(**{**fields["histogram"], "counts": counts})
        return cls(**fields)
