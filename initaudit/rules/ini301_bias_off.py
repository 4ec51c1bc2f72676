"""INI301 bias-off: the bias kills or saturates units, or an LSTM starts by forgetting."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from initaudit.findings import Finding, Remedy, Severity
from initaudit.initialisation.layer_gain import gain_of
from initaudit.judgement.input_scale import is_linear_in_the_input
from initaudit.judgement.model_audit import once_per_audit
from initaudit.judgement.reach import FAR_BEYOND, most_of_inputs, reach_of
from initaudit.kind import Kind
from initaudit.rule import Rule
from initaudit.rules.ini404_dead_units import RECTIFIERS

if TYPE_CHECKING:
    from initaudit.judgement.model_audit import ModelAudit
    from initaudit.measuring.layer_audit import LayerAudit
    from initaudit.model.graph import Node
    from initaudit.stats import WeightStats

MANY = 0.5
"""Share of units that the bias decides alone from which most of the layer is lost; fewer are ordinary in trained networks."""
SMOOTH_RECTIFIERS = frozenset({"softplus", "gelu", "gelu_tanh", "quick_gelu", "silu", "mish", "elu", "celu", "selu"})
TAIL = 10.0
"""Below minus this a smooth rectifier passes less than 10^-3 of a gradient (SiLU, whose slope is the largest there). State space models
start the bias before softplus at -2 to -7, for step sizes of 0.001 to 0.1 (Gu & Dao 2023)."""
BYTES = 255.0
"""Factor that a trained network's inputs may have over unit size: pixels from 0 to 255. The file does not say what it was trained on."""
FORGET = 0.5
"""Mean forget-gate bias (input and recurrent one together) below which the gate is half closed; the recommended start is 1."""

CLOSED = -3.0
"""The same down to which the gate counts as shut: less than a twentieth of the state is left a step later, and the gate's slope is as small. A judgement."""


class BiasOff(Rule):
    """The bias kills or saturates units, or an LSTM starts by forgetting.

    Why: a bias far outside the range that the weighted inputs can reach decides the unit alone, for every input: a ReLU unit is dead,
        a sigmoid unit is stuck; no gradient brings it back. That of one class beyond what any input brings the others makes it the answer
        to all inputs. An LSTM whose forget gate starts at zero forgets half of its state each step.
    Harmless when: the head's bias encodes class frequencies (Lin et al. 2017), or a gate is meant to start closed.
    Fix: `initaudit fix --select INI301` sets the bias to zero (a forget gate's two biases to a sum of one) and leaves the weights; in a
        trained network check how it was loaded.
    References: Jozefowicz, Zaremba & Sutskever 2015 (forget bias); He et al. 2015; Lu et al. 2020 (dying ReLU).
    """

    code = "INI301"
    name = "bias-off"
    severity = Severity.WARNING
    by_consequence = (Severity.ERROR, Severity.INFO)
    remedy = Remedy.DRAW_LAYER

    def check_layer(self, layer: LayerAudit, audit: ModelAudit) -> Iterator[Finding]:
        """Static estimate: inputs of unit second moment, as the probe feeds them."""
        bias, facts = layer.bias, layer.layer
        if bias is None or not facts.kind.is_drawn or facts.kind is Kind.EMBEDDING or bias.nonfinite or bias.count == 0:
            return
        if facts.is_forget_gate:
            level = _cell_bias(layer, audit)
            if not audit.context.has_training and level < FORGET and facts.role == "W":
                yield self.finding(
                    layer,
                    f"The forget gate's bias starts at {level:.2g}: it forgets "
                    f"{1 - 1 / (1 + math.exp(-level)):.0%} of the state at each step.",
                    measured=level,
                    expected=1.0,
                    severity=Severity.WARNING if level <= CLOSED else Severity.INFO,
                    suggestion="Start the forget gate's bias at 1.",
                )
            return
        if facts.normalized_by is not None or (layer.target is not None and layer.target.of_chain):
            return  # the norm takes it out again; or the chain was shaped as a whole, and the shift is a part of that
        if not audit.context.has_training and facts.activation is None and "gate" in facts.feeds:
            return  # a factor that starts at a constant leaves the other factor to pass (gMLP: Liu et al. 2021, section 2.1)
        if (lead := _lead(layer)) is not None:
            yield self._constant_answer(layer, bias, lead)
            return
        reach = reach_of(layer)
        first = is_linear_in_the_input(layer, audit)
        if first and audit.context.has_training and bias.min < bias.max:  # trained ones differ from unit to unit
            reach *= BYTES
        values = bias.sample.astype("float64")
        below, above = _flat_sides(layer)
        # a straight line, or a wave, passes on what comes however far it is shifted
        values = values.clip(-math.inf if below else 0.0, math.inf if above else 0.0)
        if facts.activation in SMOOTH_RECTIFIERS:
            reach = max(reach, TAIL)
        share = float((abs(values) > reach).mean()) if reach > 0 and values.size else 0.0
        few = int((abs(values) > FAR_BEYOND * reach).sum()) if reach > 0 else 0
        if share <= MANY and few and not first:
            yield self.finding(
                layer,
                f"The bias of {few} of {values.size} units is beyond {FAR_BEYOND * reach:.3g}, far more than their weighted inputs reach: "
                "they do not depend on the input.",
                measured=float(abs(values).max()),
                expected=reach,
                severity=Severity.INFO,
                initializer=facts.bias.name if facts.bias else None,
                suggestion=_suggestion(layer, first=first),
            )
        if share > MANY:
            lost = float((values < -reach).mean())
            effect = "dead" if lost > MANY and facts.activation in RECTIFIERS else "stuck"
            yield self.finding(
                layer,
                f"The bias of {share:.0%} of the units is beyond {reach:.3g}, more than their weighted inputs reach: they are {effect} for {'inputs of unit size' if first else 'every input'}.",
                measured=float(abs(values).max()),
                expected=reach,
                severity=Severity.ERROR if facts.activation in RECTIFIERS and lost > MANY else Severity.WARNING,
                initializer=facts.bias.name if facts.bias else None,
                suggestion=_suggestion(layer, first=first),
            )

    def _constant_answer(self, layer: LayerAudit, bias: WeightStats, lead: Lead) -> Finding:
        """One unit of a head wins whatever comes in: behind a softmax that is the answer; elsewhere it is where the largest output counts."""
        certain = "softmax" in layer.layer.feeds
        effect = (
            "the answer is the same for every input" if certain else "the largest output is the same for every input"
        )
        return self.finding(
            layer,
            f"The bias of unit {int(bias.sample.argmax())} is {lead.measured:.3g} above that of every other, of which no input can make up more than "
            f"{lead.bound:.3g}: {effect}.",
            measured=lead.measured,
            expected=lead.bound,
            severity=Severity.ERROR if certain else Severity.WARNING,
            initializer=layer.layer.bias.name if layer.layer.bias else None,
            suggestion=_suggestion(layer, first=False),
        )


class Lead(NamedTuple):
    """By how much the largest bias exceeds the second, and what the weights can make up of that."""

    measured: float
    bound: float


def _lead(layer: LayerAudit) -> Lead | None:
    """Of the units of a head, where no input of the measured size outweighs the largest bias; None elsewhere.

    Besides their biases two units differ by at most twice what one makes of the input.
    """
    bias, most = layer.bias, most_of_inputs(layer)
    answers = layer.layer.is_head and layer.layer.activation is None and {"softmax", "output"} & set(layer.layer.feeds)
    if bias is None or most is None or not answers or bias.count < 2 or bias.count > bias.sample.size:
        return None
    second, first = np.partition(bias.sample, -2)[-2:].astype(np.float64)
    bound, lead = 2.0 * most, float(first - second)
    return Lead(lead, bound) if math.isfinite(bound) and lead > bound > 0 else None  # INI003 names weights of zero


def _suggestion(layer: LayerAudit, *, first: bool) -> str:
    if not layer.trained:
        return "Set the bias to zero."
    if first:
        return "Look again with real inputs (`--input-data`); if they stay so, check how the bias was loaded and converted."
    return "Check how the bias was loaded and converted; units that training drove there are lost to it."


def _flat_sides(layer: LayerAudit) -> tuple[bool, bool]:
    """Whether what follows the layer is flat far below and far above zero; both where that is unknown, or nothing follows."""
    gain = gain_of(layer.layer) if layer.layer.activation is not None else None
    if gain is None:
        return True, True
    return any(low == -math.inf for low, _ in gain.saturated), any(high == math.inf for _, high in gain.saturated)


def _cell_bias(layer: LayerAudit, audit: ModelAudit) -> float:
    """Mean of what a gate of a recurrent cell adds: the bias of its input weights and that of its recurrent ones."""
    return _gate_biases(audit).get((layer.layer.node, layer.layer.weight.part), 0.0)


@once_per_audit
def _gate_biases(audit: ModelAudit) -> dict[tuple[Node, str | None], float]:
    """Sum of the means of the biases, by node and part of it."""
    sums: dict[tuple[Node, str | None], float] = {}
    for a in audit.layers:
        if a.bias is not None:
            gate = (a.layer.node, a.layer.weight.part)
            sums[gate] = sums.get(gate, 0) + a.bias.mean
    return sums
