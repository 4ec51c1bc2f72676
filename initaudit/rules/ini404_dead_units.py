"""INI404 dead-units: units that are never active, whatever the input."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from initaudit.findings import Finding, Remedy, Severity
from initaudit.judgement.severity import fatal_to_learning
from initaudit.rule import Rule, Threshold
from initaudit.stats.one_sided import one_sided_share

if TYPE_CHECKING:
    from initaudit.judgement.model_audit import ModelAudit
    from initaudit.measuring.layer_audit import LayerAudit

RECTIFIERS = frozenset({"relu", "relu6", "threshold", "relu_squared"})
"""Activations with output and slope exactly zero on one side."""
DEAD = 0.5
"""Share of dead units from which a fresh layer is named: most of it is lost. A judgement."""
BEYOND_CHANCE = 3.0
"""Standard errors over the units by which the share must exceed what chance alone kills: one healthy layer in 700 reaches them."""
NEARLY_ALL = 0.95
"""Share from which the layer passes nothing: a warning when trained; when fresh an error, unless it lies in a residual branch of a
network that learns without it."""
MIN_UNITS = 4
"""In layers with fewer units one dead unit is already a large share. A judgement."""


class DeadUnits(Rule):
    """Units that are never active, whatever the input.

    Why: a rectifier whose input is always negative has output zero and gradient zero: it never comes back.
        Where the inputs of a layer are alike, up to half of its units are off for all of them by chance; only what exceeds that is named.
    Harmless when: a trained network is fed with the probe's synthetic input, on which some of its units rest (`--input-data` decides).
        In a residual branch only the branch is lost: a warning where the network learns without it.
    Fix: `initaudit fix --select INI404`; a smaller learning rate or a leaky activation prevents it; in a trained network check the layer
        with real data, and how it was loaded.
    References: Lu et al. 2020, Dying ReLU and Initialization; Maas et al. 2013.
    """

    code = "INI404"
    name = "dead-units"
    severity = Severity.WARNING
    by_consequence = (Severity.ERROR,)
    remedy = Remedy.DRAW_LAYER
    thresholds = (
        Threshold("fresh-share", DEAD, "share of dead units of a fresh network, from"),
        Threshold("trained-share", NEARLY_ALL, "share of dead units of a trained network, from"),
    )

    def check_layer(self, layer: LayerAudit, audit: ModelAudit) -> Iterator[Finding]:
        """Only rectifiers die."""
        signal, facts = layer.signal, layer.layer
        if signal is None or signal.dead is None or facts.activation not in RECTIFIERS or facts.untrainable:
            return
        if layer.stats.std == 0:  # INI002 and INI003 name the cause
            return
        if signal.mean_square == 0 and signal.input is not None and signal.input.mean_square == 0:
            return  # what silences it stands in front of it; a bias of its own does so here
        if (
            audit.obstacle is not None and audit.obstacle.name != "scale" and audit.obstacle.is_everywhere
        ):  # chance kills some layer of a network too deep for its width
            return
        trained = audit.context.has_training
        units = facts.parameters // max(1, facts.fan_in)
        if signal.dead < self.threshold("trained-share" if trained else "fresh-share") or units < MIN_UNITS:
            return
        chance = 0.0
        if signal.dead < NEARLY_ALL:
            chance = one_sided_share(signal.similarity or 0.0, audit.probe.batch or 1)
            if signal.dead <= chance + BEYOND_CHANCE * math.sqrt(chance * (1.0 - chance) / units):
                return
        severity = Severity.WARNING
        if signal.dead >= NEARLY_ALL and not trained:  # past a branch the skip carries the signal
            severity = fatal_to_learning(audit) if facts.in_residual_branch else Severity.ERROR
        yield self.finding(
            layer,
            f"{signal.dead:.0%} of the units are never active, for any of the probe's inputs: they give zero and learn nothing.",
            measured=signal.dead,
            expected=chance,
            severity=severity,
            suggestion="Look again with real data (`--input-data`); if they stay dead, check how weights and bias were loaded."
            if layer.trained
            else "Set the bias to zero and draw the weights around zero with the gain of the activation.",
        )
