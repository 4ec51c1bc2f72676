"""Which layers get new weights, and why each of them; and which must not."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from initaudit.findings import Remedy, Severity, fix_acts_on
from initaudit.fixing.named import check_layers
from initaudit.initialisation.spelling import AUTO
from initaudit.judgement.drowned import drowning, size_beside
from initaudit.judgement.score import SUFFICES
from initaudit.judgement.table_rows import rows_are_equal
from initaudit.kind import Kind
from initaudit.options import names
from initaudit.redrawing.centring import readers
from initaudit.redrawing.choice import Choice, Refusal
from initaudit.redrawing.misfit import misfit
from initaudit.rule import check_words

if TYPE_CHECKING:
    from initaudit.findings import Finding
    from initaudit.fixing.options import FixOptions
    from initaudit.measuring.layer_audit import LayerAudit
    from initaudit.report.report import Report

ENOUGH = 0.85
"""Trainability from which a network is left as it is but for faults of single layers: of healthy networks nearly all score more. A judgement."""
OF_SCALE = frozenset({"INI101", "INI102", "INI103"})
"""Rules about the size of a layer's weights, of which a network may have one for all layers."""
BIAS_OFF = "INI301"
"""The rule that blames the bias alone: where no other names the layer, its weights stay."""
OFF_CENTRE = "It reads an activation that is mostly mean, which its weights are to take out."
"""What is wrong with a layer that is to be centred and nothing else."""
TRAINED = "it was trained, and a new draw does not bring back what it learned; --force does it all the same"
"""Why a layer is not drawn anew unless that is asked for."""
PERHAPS_TRAINED = (
    "the file does not tell whether it was trained, and a new draw would not bring back what it learned; "
    "--context fresh says that it was not, --force does it all the same"
)
"""The same where nothing is known."""


def choose(report: Report, options: FixOptions) -> list[Choice]:
    """The layers that findings, or names among the options, ask for, in topological order."""
    assert report.audit is not None
    named = {name: found for name, found in asking(report, options).items() if not is_mild(found, report, options)}
    network = network_faults(filter(options.follows, report.active))
    told = f" {next(iter(network.values())).message}" if network else ""
    centred = _to_be_centred(report, options)
    chosen: list[Choice] = []
    for layer in report.audit.layers:
        facts = layer.layer
        gain = centred.get(facts.name)
        if not is_asked_for(layer, options):
            continue
        if facts.name in named:
            findings = named[facts.name]
            codes = {f.code for f in findings}.union(network if gain is not None else ())
            chosen.append(
                Choice(
                    audit=layer,
                    reason=", ".join(sorted(codes)),
                    wrong=findings[0].message,
                    centred_gain=gain,
                    bias_alone=codes == {BIAS_OFF} and not (options.every or options.asks_for(facts)),
                    keeps_bias=facts.kind is Kind.NORM and not (layer.bias is not None and layer.bias.nonfinite),
                    beside=size_beside(layer, report.audit),
                )
            )
        elif options.every or (options.layers and not options.select):
            drawable = layer.target is not None or (facts.kind is Kind.EMBEDDING and not options.every)
            drawable = drawable or options.asks_for(facts)
            if drawable and facts.untrainable is None:
                chosen.append(Choice(audit=layer, reason="asked for", centred_gain=gain))
        elif network and (off := misfit(layer) or (OFF_CENTRE if gain is not None and layer.ratio else None)):
            chosen.append(Choice(audit=layer, reason=", ".join(network), centred_gain=gain, wrong=off + told))
    return chosen


def is_mild(findings: Sequence[Finding], report: Report, options: FixOptions) -> bool:
    """Whether all that is held against a layer is a scale which the network learns well with; a table that drowns another is more than that."""
    assert report.audit is not None
    learning = report.audit.trainability
    well = learning is not None and learning.score >= ENOUGH and not options.select
    of_scale = all(f.code in OF_SCALE and f.severity is not Severity.ERROR for f in findings)
    return well and of_scale and not any(f.layer in drowning(report.audit) for f in findings)


def allowed(chosen: Sequence[Choice], report: Report, options: FixOptions) -> tuple[list[Choice], list[Refusal]]:
    """Those of the layers that no training forbids to change; and the others, each with the reason.

    A constant layer holds nothing that training taught it, and replacing single values that are no numbers loses nothing.
    """
    assert report.audit is not None
    unknown = report.audit.context.name == "unknown"
    free, refused = [], []
    for choice in chosen:
        stats = choice.audit.stats
        holds_nothing = stats.min == stats.max or rows_are_equal(choice.audit)
        learned = (choice.audit.trained or unknown) and not holds_nothing and not choice.repair
        if learned and not options.force:
            refused.append(Refusal(layer=choice.audit.layer.name, reason=PERHAPS_TRAINED if unknown else TRAINED))
        else:
            free.append(choice)
    return free, refused


def is_asked_for(audit: LayerAudit, options: FixOptions) -> bool:
    """Whether the layer is among those that may be changed."""
    facts = audit.layer
    named = not options.layers or any(names(g, n) for n in (facts.name, facts.title) for g in options.layers)
    return named and not options.spares(facts)


def asking(report: Report, options: FixOptions) -> dict[str, list[Finding]]:
    """By name of the layer: the findings that ask for new values of it alone, the worst first."""
    asked: dict[str, list[Finding]] = {}
    for finding in filter(options.follows, report.active):
        asks = fix_acts_on(finding.remedy, finding.severity, selected=bool(options.select), force=True)
        if asks and finding.layer and finding.remedy is not Remedy.DRAW_NETWORK:
            asked.setdefault(finding.layer, []).append(finding)
    return {name: sorted(found, key=lambda f: -f.severity.rank) for name, found in asked.items()}


def check_options(report: Report, options: FixOptions) -> None:
    """Raises UsageError where a rule or a layer is asked for that there is not."""
    check_words("select", options.select)
    check_layers(report, options)


def network_faults(findings: Iterable[Finding]) -> dict[str, Finding]:
    """By code, sorted: the findings that ask for the network as a whole, the first of each."""
    asking = (f for f in findings if f.remedy is Remedy.DRAW_NETWORK and fix_acts_on(f.remedy, f.severity))
    found: dict[str, Finding] = {}
    for finding in sorted(asking, key=lambda f: f.code):
        found.setdefault(finding.code, finding)
    return found


def _to_be_centred(report: Report, options: FixOptions) -> dict[str, float]:
    """Layers whose weights are to be centred, with their gain: none where the network as a whole is sound, or a scheme was asked for."""
    assert report.audit is not None
    learning = report.audit.trainability
    sound = not network_faults(report.active) or learning is None or learning.score >= SUFFICES
    if options.mode != "resample" or sound:
        return {}
    layers = [a.layer for a in report.audit.layers]
    gains, free = readers(layers), {layer.name for layer in layers if options.scheme_for(layer).scheme == AUTO}
    return {name: gain for name, gain in gains.items() if name in free}
