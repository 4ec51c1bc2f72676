"""INI302 norm-never-trained: in a trained network, a norm or a learned gain still is what it starts at."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from initaudit.findings import Confidence, Finding, Remedy, Severity
from initaudit.judgement.running_statistics import never_updated
from initaudit.judgement.starts import FOLDED, at_start, is_shut, learned_factors, may_be_rounded
from initaudit.kind import Kind
from initaudit.rule import Rule

if TYPE_CHECKING:
    from initaudit.judgement.model_audit import ModelAudit
    from initaudit.measuring.layer_audit import LayerAudit

LEAST_MOVED = 2
"""Norms that must shift their channels for one that does not to be named. A judgement."""
NAMED = 8
"""Layers whose names one finding lists. A judgement: more are not read."""


class NormNeverTrained(Rule):
    """In a trained network, a norm or a learned gain still is what it starts at.

    Why: its values were not in the checkpoint, or not in the optimiser. A BatchNormalization with mean 0 and variance 1 does not
        normalise at inference; the scale and bias of a LayerNorm that the layers behind were trained with are gone; a LayerScale back at
        1e-6 switches its branch off. One step of training moves every one of them.
    Harmless when: it was frozen on purpose; where none of them moved that is likelier, and confidence is medium.
    Fix: load the missing values; recalibrate running statistics on data.
    References: Ioffe & Szegedy 2015, algorithm 2; Ba, Kiros & Hinton 2016; Touvron et al. 2021 (LayerScale).
    """

    code = "INI302"
    name = "norm-never-trained"
    severity = Severity.WARNING
    by_consequence = (Severity.ERROR, Severity.INFO)
    remedy = Remedy.LOAD_VALUES

    def check(self, audit: ModelAudit) -> Iterator[Finding]:
        """Only where other parts of the network were trained."""
        if not audit.context.has_training:
            return
        unused = {layer: None for layer in audit.layers if never_updated(layer.layer)}
        for layer in unused:
            mean = layer.layer.auxiliary["running_mean"]
            yield self.finding(
                layer,
                f"The running statistics of all {layer.stats.count} channels are still mean 0 and variance 1 in a trained network: "
                "it does not normalise.",
                measured=1.0,
                expected=None,
                initializer=mean.tensors[0].name if mean.tensors else None,
                suggestion="Recalibrate the running statistics, or load the missing buffers.",
            )
        yield from self._folded_at_start(audit)
        factors = [layer for layer in learned_factors(audit) if layer not in unused]
        for kind in (Kind.NORM, Kind.SCALE):
            yield from self._unmoved([a for a in factors if a.layer.kind is kind], audit)

    def _folded_at_start(self, audit: ModelAudit) -> Iterator[Finding]:
        """Convolutions into which a norm was folded that shifts nothing, beside others whose norms do."""
        folded = [a for a in audit.layers if a.layer.kind.is_convolution and _has_folded_bias(a)]
        still = [a for a in folded if a.bias is not None and a.bias.min == 0 == a.bias.max]
        moved = len(folded) - len(still)
        for layer in still if moved >= max(LEAST_MOVED, len(still)) else ():
            yield self.finding(
                layer,
                f"The norm that the exporter folded into this convolution shifts none of its {layer.bias.count if layer.bias else 0} channels, as "
                f"before training; those of {moved} others do.",
                measured=0.0,
                expected=None,
                initializer=layer.layer.bias.name if layer.layer.bias else None,
                confidence=Confidence.MEDIUM,
                suggestion="Load the values of the norm, and export again.",
            )

    def _unmoved(self, factors: Sequence[LayerAudit], audit: ModelAudit) -> Iterator[Finding]:
        """Of norms, or of gains: what lets nothing pass, and what stayed behind while others moved, or with most of them."""
        shut = [a for a in factors if is_shut(a)]
        open_ones = [a for a in factors if not is_shut(a)]
        still = [a for a in open_ones if at_start(a)]
        moved = [a for a in open_ones if not at_start(a)]
        for together in _grouped(shut, len(factors) - len(shut)):
            first = together[0]
            bypassed = all(a.layer.in_residual_branch for a in together)
            yield self.finding(
                first,
                f"{_state(first)}: next to nothing passes, for any input{_and_others(together, factors)}.",
                measured=first.stats.mean,
                expected=1.0,
                severity=Severity.WARNING if bypassed else Severity.ERROR,
                suggestion="Load the missing values.",
            )
        nearest = [min(moved, key=lambda a: math.hypot(a.stats.mean - 1.0, a.stats.std))] if moved else []
        for together in _grouped(still, len(moved)):
            first = together[0]
            alone = len(moved) >= len(still)
            unsure = all(may_be_rounded(a, nearest) for a in together) or (not alone and _is_expected(still, audit))
            yield self.finding(
                first,
                f"{_state(first)}, as before training{_and_others(together, factors)}; {len(moved)} others have moved.",
                measured=first.stats.mean,
                expected=None,
                severity=Severity.INFO if unsure else Severity.WARNING,
                confidence=Confidence.HIGH if alone and not unsure else Confidence.MEDIUM,
                suggestion="Load the missing values; if it is frozen on purpose, ignore it with that reason.",
            )


def _has_folded_bias(audit: LayerAudit) -> bool:
    """Whether the bias has the name that torch's older exporter gives to what it computed."""
    bias = audit.layer.bias
    return audit.bias is not None and audit.bias.count > 1 and bias is not None and bias.name.startswith(FOLDED)


def _grouped(layers: Sequence[LayerAudit], others: int) -> list[list[LayerAudit]]:
    """Each alone, or all together where they are more than the others."""
    return [[a] for a in layers] if others >= len(layers) else [list(layers)]


def _is_expected(still: Sequence[LayerAudit], audit: ModelAudit) -> bool:
    """Of factors of which most did not move: whether the layers did not either, or ones multiply the only way."""
    drawn = [a for a in audit.layers if a.provenance is not None]
    frozen = 2 * sum(a.trained for a in drawn) < len(drawn)
    return frozen or all(
        a.layer.kind is Kind.SCALE and a.stats.min == 1 and not a.layer.in_residual_branch for a in still
    )


def _and_others(together: Sequence[LayerAudit], factors: Sequence[LayerAudit]) -> str:
    if len(together) == 1:
        return ""
    names = ", ".join(a.layer.name for a in together[:NAMED]) + (", ..." if len(together) > NAMED else "")
    return f", and so in {len(together)} of {len(factors)}: {names}"


def _state(layer: LayerAudit) -> str:
    """What all its values are."""
    stats, norm = layer.stats, layer.layer.kind is Kind.NORM
    size = stats.min if stats.min == stats.max else stats.root_mean_square
    what = f"{'norm' if norm else 'gain'}'s {'scale' if norm else 'value'}{'' if stats.min == stats.max else ' (root mean square)'}"
    bias = " and its bias 0" if norm and layer.bias is not None and layer.bias.min == 0 == layer.bias.max else ""
    return f"The {what} is {size:.3g}{bias}" + (f" in all {stats.count} channels" if stats.count > 1 else "")
