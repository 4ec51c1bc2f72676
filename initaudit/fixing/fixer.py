"""fix(): draw flagged weights anew by the scheme that fits, write a new file, and audit it to prove the result."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from initaudit.auditor import audit
from initaudit.errors import FixRefused, UsageError
from initaudit.findings import Severity, matches
from initaudit.fixing.centring import centred, readers
from initaudit.fixing.patching import copy_unchanged, positions, write_model
from initaudit.initialisation.schemes import SCHEMES
from initaudit.model.load import load_model

if TYPE_CHECKING:
    from initaudit.config import Config
    from initaudit.findings import Finding
    from initaudit.measuring.layer_audit import LayerAudit
    from initaudit.model.load import Model, Source
    from initaudit.model.tensors import Tensor
    from initaudit.report.report import Report

WEIGHT_CODES = frozenset({"INI001", "INI002", "INI003", "INI004", "INI101", "INI102", "INI103", "INI104", "INI105", "INI201", "INI301", "INI403", "INI404"})  # fmt: skip
"""Rules that name the layer whose weights are to blame."""
NETWORK_CODES = frozenset({"INI401", "INI402", "INI405", "INI501", "INI502", "INI503"})
"""Rules that name where a network-wide fault shows: all layers whose weights do not fit their target are drawn anew."""
FITS = 1.1
"""Factor in std within which a layer that no rule names is left as it is when the network as a whole is at fault. A judgement:
ten such layers come to a factor of 2.6, which any network stands."""
FIXED_KINDS = frozenset({"norm", "scale", "embedding", "other"})
"""Kinds that are changed only when a rule names them: their start is a constant or a table."""
FORGET_BIAS = 1.0
"""Start of an LSTM's forget-gate bias (Jozefowicz, Zaremba & Sutskever 2015)."""
MODES = ("resample", "rescale")


@dataclass(frozen=True, slots=True, kw_only=True)
class FixOptions:
    """What to change and how."""

    scheme: str = "auto"
    """`auto` (each layer's target) or a name from `initaudit.initialisation.schemes.SCHEMES`."""
    mode: str = "resample"
    """resample (draw anew) or rescale (multiply the weights, keep their direction)."""
    layers: tuple[str, ...] = ()
    """Globs over names and titles; only these layers are changed."""
    every: bool = False
    """Change every layer that has a target, flagged or not."""
    select: tuple[str, ...] = ()
    """Only what these rules name."""
    force: bool = False
    """Also change layers that were trained."""
    dry_run: bool = False
    """Write nothing."""

    def __post_init__(self) -> None:
        """Raises UsageError."""
        if self.scheme != "auto" and self.scheme not in SCHEMES:
            raise UsageError(f"unknown scheme {self.scheme!r}; there are auto, {', '.join(sorted(SCHEMES))}")
        if self.mode not in MODES:
            raise UsageError(f"mode must be one of {', '.join(MODES)}, not {self.mode!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One layer that gets new weights."""

    layer: str
    title: str
    initializer: str
    scheme: str
    reason: str
    """Why it is changed: codes of the findings, or what was asked for."""
    std_before: float
    std_after: float
    bias: str | None
    """Name of the bias that is reset with it, or None."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """One layer that was asked for but is left as it is."""

    layer: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FixResult:
    """What was done, with the audits before and after."""

    before: Report
    after: Report | None
    """Audit of the written file; None where nothing was written or changed."""
    changes: tuple[Change, ...]
    refusals: tuple[Refusal, ...]
    written: tuple[Path, ...]


def fix(source: Source, output: str | Path | None, config: Config, options: FixOptions) -> FixResult:
    """Audit, change, write, audit again.

    Args:
        source: as for `audit`.
        output: file to write, None or `options.dry_run` to write nothing.
        config: options of both audits.
        options: what to change.

    Raises:
        FixRefused: nothing was written, and why.
        ModelError, UsageError: as for `audit`.
    """
    before = audit(source, config)
    off_centre = _off_centre(before, options)
    chosen = _choose(before, options, off_centre)
    _refuse_trained(before, chosen, options)
    model = load_model(_private_copy(source), whole=True)
    changes, refusals, values, tensors = _new_values(model, before, chosen, off_centre, config.seed, options)
    if chosen and not changes:
        raise FixRefused(f"{before.path}: nothing could be changed: {refusals[0].layer}: {refusals[0].reason}")
    target = None if output is None or options.dry_run else Path(output)
    if target is None:
        return FixResult(before=before, after=None, changes=changes, refusals=refusals, written=())
    if not changes:
        written = () if _same_file(model, target) else tuple(copy_unchanged(model, target))
        return FixResult(before=before, after=None, changes=(), refusals=refusals, written=written)
    written = tuple(write_model(model, target, values, touched=tensors))
    judged_as = before.verdict.context if before.verdict.context in ("fresh", "trained") else config.context
    after = audit(target, replace(config, context=judged_as))
    return FixResult(before=before, after=after, changes=changes, refusals=refusals, written=written)


def _private_copy(source: Source) -> Source:
    """Something whose parsed message nobody else holds: patching must not change the caller's model."""
    from onnx import ModelProto

    from initaudit.model.load import Model

    if isinstance(source, Model):
        source = source.proto
    if isinstance(source, ModelProto):
        copy = ModelProto()
        copy.CopyFrom(source)
        return copy
    return source


def _same_file(model: Model, target: Path) -> bool:
    return model.path is not None and target.exists() and model.path.samefile(target)


def _choose(report: Report, options: FixOptions, off_centre: Mapping[str, float]) -> dict[str, str]:
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


def _network_faults(findings: Sequence[Finding]) -> list[str]:
    return sorted({f.code for f in findings if f.code in NETWORK_CODES and f.severity is not Severity.INFO})


def _off_centre(report: Report, options: FixOptions) -> dict[str, float]:
    """Layers whose weights are to be centred, with their gain: none where the network as a whole is sound, or a scheme was asked for."""
    assert report.audit is not None
    if options.scheme != "auto" or options.mode != "resample" or not _network_faults(report.active):
        return {}
    return readers([a.layer for a in report.audit.layers])


def _misfit(layer: LayerAudit) -> bool:
    """In a network that cannot learn: neither a deliberate zero nor within FITS of its target."""
    facts, ratio = layer.layer, layer.ratio
    if facts.kind in FIXED_KINDS or facts.untrainable is not None or ratio is None:
        return False
    if ratio == 0:
        return not (facts.is_head or facts.ends_residual_branch)
    wild_bias = layer.bias is not None and not layer.bias.nonfinite and (layer.bias.std > 0 or layer.bias.mean != 0)
    return not 1 / FITS <= ratio <= FITS or wild_bias


def _refuse_trained(report: Report, chosen: dict[str, str], options: FixOptions) -> None:
    assert report.audit is not None
    if options.force or not report.audit.context.has_training:
        return
    trained = [n for n in chosen if (p := report.audit.by_name(n).provenance) is None or p.untrained is not True]
    if trained:
        raise FixRefused(
            f"{report.path}: {trained[0]} was trained: drawing it anew destroys what it learned; --force does it all the same"
        )


def _new_values(
    model: Model,
    report: Report,
    chosen: dict[str, str],
    off_centre: Mapping[str, float],
    seed: int,
    options: FixOptions,
) -> tuple[tuple[Change, ...], tuple[Refusal, ...], dict[int, np.ndarray], dict[int, Tensor]]:
    from initaudit.extraction.extract import extract_layers

    assert report.audit is not None
    changes: list[Change] = []
    refusals: list[Refusal] = []
    values: dict[int, np.ndarray] = {}
    tensors: dict[int, Tensor] = {}
    drawn: set[tuple[int, str | None]] = set()
    layers = {layer.name: layer for layer in extract_layers(model).layers}
    for name, reason in chosen.items():
        known, layer = report.audit.by_name(name), layers[name]
        tensor = layer.weight.tensors[0] if layer.weight.tensors else None
        if tensor is not None and (id(tensor), layer.weight.part) in drawn:
            continue  # a tied weight: one change serves all its uses
        try:
            index = positions(layer.weight)
            rng = np.random.default_rng([seed, layer.depth])
            if name in off_centre:
                view, gain = layer.weight, off_centre[name]
                fresh, scheme = _draw(known, view.array, rng, replace(options, scheme="orthogonal"))
                fresh = centred(fresh, view.unit_axes, view.input_axes)
                fresh *= gain / math.sqrt(layer.fan_in) / fresh.std()
                scheme = f"{scheme}, centred"
            else:
                fresh, scheme = _draw(known, layer.weight.array, rng, options)
            bias = _bias_target(known)
        except FixRefused as refusal:
            refusals.append(Refusal(layer=name, reason=str(refusal)))
            continue
        assert tensor is not None
        drawn.add((id(tensor), layer.weight.part))
        _put(values, tensors, tensor, index, fresh)
        reset = None
        if layer.bias is not None and bias is not None and layer.bias.is_floating and layer.bias.proto is not None:
            part = None if layer.bias_slice is None else np.arange(*layer.bias_slice)
            shape = layer.bias.shape if part is None else part.shape
            _put(values, tensors, layer.bias, part, np.full(shape, bias))
            reset = layer.bias.name
        changes.append(
            Change(
                layer=name,
                title=layer.title,
                initializer=tensor.name,
                scheme=scheme,
                reason=reason,
                std_before=known.stats.std,
                std_after=float(fresh.std()),
                bias=reset,
            )
        )
    return tuple(changes), tuple(refusals), values, tensors


def _put(
    values: dict[int, np.ndarray], tensors: dict[int, Tensor], tensor: Tensor, index: np.ndarray | None, new: np.ndarray
) -> None:
    if id(tensor) not in values:
        values[id(tensor)] = np.array(tensor.array(), np.float64).reshape(-1)
        tensors[id(tensor)] = tensor
    flat = values[id(tensor)]
    if index is None:
        flat[:] = new.reshape(-1)
    else:
        flat[index.reshape(-1)] = new.reshape(-1)


def _draw(
    known: LayerAudit, array: Callable[[], np.ndarray], rng: np.random.Generator, options: FixOptions
) -> tuple[np.ndarray, str]:
    """New values (float64, shape of the operand) and the name of what they were drawn from."""
    layer, target = known.layer, known.target
    if target is None:
        raise FixRefused("no scale is better than another here; nothing to draw")
    name = target.scheme if options.scheme == "auto" else options.scheme
    std = target.std if options.scheme == "auto" else SCHEMES[name].std(layer.fan_in, layer.fan_out)
    if options.mode == "rescale":
        if not known.stats.std > 0:
            raise FixRefused("a constant weight cannot be rescaled; use --mode resample")
        return np.array(array(), np.float64) * (std / known.stats.std), f"rescaled to {name}"
    scheme = SCHEMES[name]
    unit = scheme.draw(
        layer.weight.shape,
        rng,
        fan_in=layer.fan_in,
        fan_out=layer.fan_out,
        unit_axes=layer.weight.unit_axes,
        input_axes=layer.weight.input_axes,
    )
    natural = scheme.std(layer.fan_in, layer.fan_out)
    return (unit * (std / natural) if natural else unit), name


def _bias_target(known: LayerAudit) -> float | None:
    """What the bias of a layer that is drawn anew should be: zero, or one for an LSTM's forget gate; None leaves it."""
    layer = known.layer
    if layer.kind in FIXED_KINDS or known.bias is None:
        return None
    forget = layer.kind == "lstm" and layer.weight.part is not None and "forget" in layer.weight.part
    return FORGET_BIAS if forget else 0.0


def exit_code(result: FixResult, fail_on: str) -> int:
    """0 where nothing at or above `fail_on` is left in the output (or in the model, where there was nothing to change); else 1."""
    report = result.after or result.before
    if fail_on == "never" or (result.changes and result.after is None):  # a dry run judges nothing
        return 0
    limit = Severity(fail_on).rank
    return int(any(f.severity.rank >= limit for f in report.active))
