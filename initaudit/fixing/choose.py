"""choose(): which layers get new weights, and why each of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from initaudit.errors import FixRefused
from initaudit.findings import Severity, matches
from initaudit.fixing.centring import readers

if TYPE_CHECKING:
    from initaudit.findings import Finding
    from initaudit.fixing.options import FixOptions
    from initaudit.measuring.layer_audit import LayerAudit
    from initaudit.report.report import Report

WEIGHT_CODES = frozenset({"INI001", "INI002", "INI003", "INI004", "INI101", "INI102", "INI103", "INI104", "INI105", "INI201", "INI301", "INI403", "INI404"})  # fmt: skip
"""Rules that name the layer whose weights are to blame."""
NETWORK_CODES = frozenset({"INI401", "INI402", "INI405", "INI501", "INI502", "INI503"})
"""Rules that name where a network-wide fault shows: all layers whose weights do not fit their target are drawn anew."""
FITS = 1.1
"""Factor in std within which a layer that no rule names is left as it is when the network as a whole is at fault."""
FIXED_KINDS = frozenset({"norm", "scale", "embedding", "other"})
"""Kinds that are changed only when a rule names them: their start is a constant or a table."""


def choose(report: Report, options: FixOptions, off_centre: Mapping[str, float]) -> dict[str, str]:
    """Layer name -> reason, in topological order."""
    assert report.audit is not None
    findings = [f for f in report.active if not options.select or any(matches(f, s) for s in options.select)]
    named: dict[str, set[str]] = {}
    for finding in findings:
        asked = bool(options.select) or finding.severity is not Severity.INFO
        if finding.layer and finding.code in WEIGHT_CODES and asked:
            named.setdefault(finding.layer, set()).add(finding.code)
    network = _network_faults(findings)
    chosen: dict[str, str] = {}
    for layer in report.audit.layers:
        facts = layer.layer
        if options.layers and not any(fnmatchcase(n, g) for n in (facts.name, facts.title) for g in options.layers):
            continue
        if facts.name in named:
            chosen[facts.name] = ", ".join(sorted(named[facts.name].union(network if facts.name in off_centre else ())))
        elif options.every or (options.layers and not options.select):
            if layer.target is not None and facts.untrainable is None:
                chosen[facts.name] = "asked for"
        elif network and (_misfit(layer) or (facts.name in off_centre and layer.ratio)):
            chosen[facts.name] = ", ".join(network)
    return chosen


def to_be_centred(report: Report, options: FixOptions) -> dict[str, float]:
    """Layers whose weights are to be centred, with their gain: none where the network as a whole is sound, or a scheme was asked for."""
    assert report.audit is not None
    if options.scheme != "auto" or options.mode != "resample" or not _network_faults(report.active):
        return {}
    return readers([a.layer for a in report.audit.layers])


def refuse_trained(report: Report, chosen: dict[str, str], options: FixOptions) -> None:
    """Raises FixRefused where a chosen layer was trained and that was not said to be meant."""
    assert report.audit is not None
    if options.force or not report.audit.context.has_training:
        return
    trained = [n for n in chosen if (p := report.audit.by_name(n).provenance) is None or p.untrained is not True]
    if trained:
        raise FixRefused(
            f"{report.path}: {trained[0]} was trained: drawing it anew destroys what it learned; --force does it all the same"
        )


def _network_faults(findings: Sequence[Finding]) -> list[str]:
    return sorted({f.code for f in findings if f.code in NETWORK_CODES and f.severity is not Severity.INFO})


def _misfit(layer: LayerAudit) -> bool:
    """In a network that cannot learn: neither a deliberate zero nor within FITS of its target."""
    facts, ratio = layer.layer, layer.ratio
    if facts.kind in FIXED_KINDS or facts.untrainable is not None or ratio is None:
        return False
    if ratio == 0:
        return not (facts.is_head or facts.ends_residual_branch)
    wild_bias = layer.bias is not None and not layer.bias.nonfinite and (layer.bias.std > 0 or layer.bias.mean != 0)
    return not 1 / FITS <= ratio <= FITS or wild_bias
