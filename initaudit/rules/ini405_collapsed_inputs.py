"""INI405 collapsed-inputs: different inputs give the same output."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from initaudit.findings import Finding, Remedy, Severity
from initaudit.judgement.unreached import unreached_outputs
from initaudit.kind import Kind
from initaudit.rule import Rule
from initaudit.rules.limiting_factor import limiting_factors

if TYPE_CHECKING:
    from initaudit.judgement.model_audit import ModelAudit

COLLAPSED = 1e-6
"""1 - similarity below which inputs are told apart by less than a thousandth of the activation's rms."""


class CollapsedInputs(Rule):
    """Different inputs give the same output.

    Why: the part of the activations that depends on the input is tiny beside the part that does not (biases, means of the activation);
        a loss cannot tell the inputs apart. Normalisation hides this: every layer looks healthy alone.
        Where no input leads to the layers of an output at all, the exporter has baked an example into the file.
    Harmless when: the network really ignores its input (constants, positions only).
    Fix: `initaudit fix` with zero biases and the gain of the activation; shorter or residual paths;
        in a trained network check how the weights were loaded and scaled.
    References: Schoenholz et al. 2017 (correlation fixed point c* = 1); Hayou et al. 2019.
    """

    code = "INI405"
    name = "collapsed-inputs"
    severity = Severity.ERROR
    by_consequence = (Severity.WARNING, Severity.INFO)
    remedy = Remedy.DRAW_NETWORK

    def check(self, audit: ModelAudit) -> Iterator[Finding]:
        """Outputs that no input reaches. A fresh network: what limits its trainability. A trained one: the first layer that ignores its input."""
        yield from self._unreached(audit)
        yield from limiting_factors(
            self, audit, suggestion="Zero the biases and re-initialise with the gain of the activation."
        )
        if not audit.context.has_training:
            return
        for layer in audit.layers:
            signal = layer.signal
            if signal is None or signal.similarity is None or signal.input is None or layer.layer.untrainable:
                continue
            if layer.layer.kind is Kind.EMBEDDING or not signal.input.variance > 0:
                continue
            if layer.stats.std == 0:  # INI002 and INI003 name the cause
                continue
            if 1 - signal.similarity < COLLAPSED:
                yield self.finding(
                    layer,
                    f"Different inputs are {signal.similarity:.6%} alike behind this layer: what follows no longer depends on the input.",
                    measured=signal.similarity,
                    expected=0.0,
                    severity=Severity.WARNING,
                    suggestion="Check the bias of this layer and the units before it.",
                    remedy=Remedy.LOAD_VALUES,
                )
                return

    def _unreached(self, audit: ModelAudit) -> Iterator[Finding]:
        """The outputs that are the same for all inputs, in one finding: layers that get nothing are not to blame."""
        found = unreached_outputs(audit.model.graph, audit.layers, audit.probe)
        if not found:
            return
        cut_off = all(unreached.is_cut_off for unreached in found)
        names = ", ".join(repr(unreached.output) for unreached in found[:3]) + (", ..." if len(found) > 3 else "")
        first, behind = found[0].first.layer.title, max(unreached.behind for unreached in found)
        what = (
            f"Output {names} is the same for all inputs"
            if len(found) == 1
            else f"Outputs {names} are the same for all inputs"
        )
        cause = (
            f"no input leads to the {behind} layers behind it, the first of which, {first}, reads a stored constant instead."
            if cut_off
            else f"nothing that differs between the probe's inputs arrives at the {behind} layers behind it, the first of which is {first}."
        )
        yield self.finding(
            None,
            f"{what}: {cause}",
            measured=1.0,
            expected=0.0,
            severity=Severity.ERROR if cut_off and len(found) == len(audit.model.graph.outputs) else Severity.WARNING,
            suggestion="Export again with the input as an argument of what is traced: the example input was baked into the file."
            if cut_off
            else "Look again with real data (`--input-data`), and at what stands between the inputs and that layer.",
            remedy=Remedy.CHECK,
        )
