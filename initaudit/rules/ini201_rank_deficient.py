"""INI201 rank-deficient: the weight matrix has (almost) lost rank."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from initaudit.findings import Finding, Remedy, Severity
from initaudit.rule import Rule

if TYPE_CHECKING:
    from initaudit.judgement.model_audit import ModelAudit
    from initaudit.measuring.layer_audit import LayerAudit

NEARLY_RANK_ONE = 1.5
"""Stable rank |W|_F^2 / |W|_2^2 at or below which the matrix is a line; an iid square matrix has n/4 (Marchenko-Pastur)."""
SINGULAR = 1e-6
"""Smallest over largest singular value at or below which a direction is lost in float32 (resolution 1.2e-7)."""
MIN_SIDE = 8
"""Matrices with a smaller side lose rank by nature."""

TRAINED = "Ignore it where the layer was pruned or factorised on purpose; else check how it was loaded."
"""What to do about a layer that was trained."""


class RankDeficient(Rule):
    """The weight matrix has (almost) lost rank.

    Why: directions with singular value zero pass neither signal nor gradient; a matrix with one large singular value maps all inputs onto a line.
    Harmless when: the layer was pruned, factorised or is meant to select; in trained networks low rank is common and only information.
    Fix: re-initialise (orthogonal keeps all singular values equal): `initaudit fix --select INI201 --scheme orthogonal`; in a trained
        network check how the layer was loaded.
    References: Saxe et al. 2014; Martin & Mahoney 2021 (spectra of trained layers).
    """

    code = "INI201"
    name = "rank-deficient"
    severity = Severity.INFO
    by_consequence = (Severity.WARNING,)
    remedy = Remedy.DRAW_LAYER

    def check_layer(self, layer: LayerAudit, audit: ModelAudit) -> Iterator[Finding]:
        """Constant and duplicate layers are named by INI002 to INI004."""
        stats, facts = layer.stats, layer.layer
        units = facts.parameters // max(1, facts.fan_in)
        if not facts.kind.mixes_channels or facts.untrainable:
            return
        if min(units, facts.fan_in) < MIN_SIDE or stats.min == stats.max or stats.duplicate_units > 0:
            return
        fresh = not audit.context.has_training
        if stats.stable_rank is not None and stats.stable_rank <= NEARLY_RANK_ONE:
            yield self.finding(
                layer,
                f"Stable rank {stats.stable_rank:.2f} of at most {min(units, facts.fan_in)}: nearly all inputs are mapped onto one line.",
                measured=stats.stable_rank,
                expected=min(units, facts.fan_in) / 4,
                severity=Severity.WARNING if fresh else Severity.INFO,
                suggestion=TRAINED if layer.trained else "Re-initialise the layer, for example orthogonally.",
            )
        elif stats.spectrum_how == "exact" and stats.spectral_norm and stats.smallest_singular_value is not None:
            inverse_condition = stats.smallest_singular_value / stats.spectral_norm
            if inverse_condition <= SINGULAR:
                yield self.finding(
                    layer,
                    f"The smallest singular value is {inverse_condition:.1g} of the largest: some direction passes no signal.",
                    measured=inverse_condition,
                    expected=SINGULAR,
                    severity=Severity.INFO,
                    suggestion=TRAINED
                    if layer.trained
                    else "Re-initialise the layer if the rank was not reduced on purpose.",
                )
