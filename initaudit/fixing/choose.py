"""choose(): which layers get new weights, and why each of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from initaudit.findings import Remedy, fix_acts_on, matches
from initaudit.fixing.named import check_layers
from initaudit.initialisation.spelling import AUTO
from initaudit.judgement.score import SUFFICES
from initaudit.kind import Kind
from initaudit.options import names
from initaudit.redrawing.centring import readers
from initaudit.redrawing.choice import Choice, Refusal
from initaudit.redrawing.misfit import is_misfit
from initaudit.rule import check_words

if TYPE_CHECKING:
    from initaudit.findings import Finding
    from initaudit.fixing.options import FixOptions
    from initaudit.report.report import Report

BIAS_OFF = "INI301"
"""The rule that blames the bias alone: where no other names the layer, its weights stay."""
TRAINED = "it was trained, and a new draw does not bring back what it learned; --force does it all the same"
"""Why a layer is not drawn anew unless that is asked for."""


def choose(report: Report, options: FixOptions) -> tuple[list[Choice], list[Refusal]]:
    """The layers that findings, or names among the options, ask for, in topological order; and those of them that training forbids.

    Raises UsageError where a rule or a layer is asked for that there is not.
    """
    assert report.audit is not None
    check_words("select", options.select)
    check_layers(report, options)
    findings = [f for f in report.active if not options.select or any(matches(f, s) for s in options.select)]
    named: dict[str, set[str]] = {}
    for finding in findings:
        asks = fix_acts_on(finding.remedy, finding.severity, selected=bool(options.select), force=True)
        if asks and finding.layer and finding.remedy is not Remedy.DRAW_NETWORK:
            named.setdefault(finding.layer, set()).add(finding.code)
    network = _network_faults(findings)
    centred = _to_be_centred(report, options)
    chosen: list[Choice] = []
    for layer in report.audit.layers:
        facts = layer.layer
        gain = centred.get(facts.name)
        if options.layers and not any(names(g, n) for n in (facts.name, facts.title) for g in options.layers):
            continue
        if options.spares(facts):
            continue
        if facts.name in named:
            codes = named[facts.name].union(network if gain is not None else ())
            alone = codes == {BIAS_OFF} and not (options.every or options.asks_for(facts))
            reason = ", ".join(sorted(codes))
            chosen.append(Choice(audit=layer, reason=reason, centred_gain=gain, bias_alone=alone))
        elif options.every or (options.layers and not options.select):
            drawable = layer.target is not None or (facts.kind is Kind.EMBEDDING and not options.every)
            drawable = drawable or options.asks_for(facts)
            if drawable and facts.untrainable is None:
                chosen.append(Choice(audit=layer, reason="asked for", centred_gain=gain))
        elif network and (is_misfit(layer) or (gain is not None and layer.ratio)):
            chosen.append(Choice(audit=layer, reason=", ".join(network), centred_gain=gain))
    trained = [] if options.force else [choice for choice in chosen if choice.audit.trained]
    refusals = [Refusal(layer=choice.audit.layer.name, reason=TRAINED) for choice in trained]
    return [choice for choice in chosen if choice not in trained], refusals


def _network_faults(findings: Iterable[Finding]) -> list[str]:
    """Codes of the findings that ask for the network as a whole."""
    return sorted({f.code for f in findings if f.remedy is Remedy.DRAW_NETWORK and fix_acts_on(f.remedy, f.severity)})


def _to_be_centred(report: Report, options: FixOptions) -> dict[str, float]:
    """Layers whose weights are to be centred, with their gain: none where the network as a whole is sound, or a scheme was asked for."""
    assert report.audit is not None
    learning = report.audit.trainability
    sound = not _network_faults(report.active) or learning is None or learning.score >= SUFFICES
    if options.mode != "resample" or sound:
        return {}
    layers = [a.layer for a in report.audit.layers]
    gains, free = readers(layers), {layer.name for layer in layers if options.scheme_for(layer).scheme == AUTO}
    return {name: gain for name, gain in gains.items() if name in free}
