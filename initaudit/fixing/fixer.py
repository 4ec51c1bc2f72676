"""fix(): draw flagged weights anew by the scheme that fits, write a new file, and audit it to prove the result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from initaudit.auditor import audit
from initaudit.errors import FixRefused
from initaudit.findings import Severity
from initaudit.fixing.choose import Refusal, choose
from initaudit.fixing.contents import Contents
from initaudit.fixing.draw import new_bias, new_weights
from initaudit.fixing.options import FixOptions
from initaudit.fixing.patching import copy_unchanged, positions, write_model
from initaudit.model.load import load_model

if TYPE_CHECKING:
    from initaudit.config import Config
    from initaudit.extraction.layer import Layer
    from initaudit.fixing.choose import Choice
    from initaudit.model.load import Model, Source
    from initaudit.report.report import Report

__all__ = ["Change", "FixOptions", "FixResult", "Refusal", "exit_code", "fix"]


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
    chosen, forbidden = choose(before, options)
    model = load_model(_private_copy(source), whole=True)
    changes, impossible, contents = _redraw(model, chosen, config.seed, options)
    refusals = (*forbidden, *impossible)
    if refusals and not changes:
        raise FixRefused(f"{before.path}: nothing could be changed: {refusals[0].layer}: {refusals[0].reason}")
    target = None if output is None or options.dry_run else Path(output)
    if target is None:
        return FixResult(before=before, after=None, changes=changes, refusals=refusals, written=())
    if not changes:
        written = () if _same_file(model, target) else tuple(copy_unchanged(model, target))
        return FixResult(before=before, after=None, changes=(), refusals=refusals, written=written)
    written = tuple(write_model(model, target, contents.values, touched=contents.tensors))
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


def _redraw(
    model: Model, chosen: Sequence[Choice], seed: int, options: FixOptions
) -> tuple[tuple[Change, ...], tuple[Refusal, ...], Contents]:
    """New weights for the layers of `model` (not the audited instance) that were chosen; the model itself stays as it is."""
    from initaudit.extraction.extract import extract_layers

    changes: list[Change] = []
    refusals: list[Refusal] = []
    contents = Contents()
    drawn: set[tuple[int, str | None]] = set()
    layers = {layer.name: layer for layer in extract_layers(model).layers}
    for choice in chosen:
        layer = layers[choice.audit.layer.name]
        tensor = layer.weight.tensors[0] if layer.weight.tensors else None
        if tensor is not None and (id(tensor), layer.weight.part) in drawn:
            continue  # a tied weight: one change serves all its uses
        try:
            index = positions(layer.weight)
            fresh, scheme = new_weights(choice, layer, seed, options)
        except FixRefused as refusal:
            refusals.append(Refusal(layer=layer.name, reason=str(refusal)))
            continue
        assert tensor is not None
        drawn.add((id(tensor), layer.weight.part))
        contents.put(tensor, index, fresh)
        changes.append(
            Change(
                layer=layer.name,
                title=layer.title,
                initializer=tensor.name,
                scheme=scheme,
                reason=choice.reason,
                std_before=choice.audit.stats.std,
                std_after=float(fresh.std()),
                bias=_reset_bias(layer, new_bias(choice.audit, options), contents),
            )
        )
    return tuple(changes), tuple(refusals), contents


def _reset_bias(layer: Layer, value: float | None, contents: Contents) -> str | None:
    """The name of the bias that is set to `value`; None where there is none to set."""
    bias = layer.bias
    if value is None or bias is None or not bias.is_floating or bias.proto is None:
        return None
    index = None if layer.bias_slice is None else np.arange(*layer.bias_slice)
    contents.put(bias, index, np.full(bias.shape if index is None else index.shape, value))
    return bias.name


def exit_code(result: FixResult, fail_on: str) -> int:
    """0 where nothing at or above `fail_on` is left in the output (or in the model, where there was nothing to change); 2 where a rule failed; else 1."""
    report = result.after or result.before
    if report.failed_rules:
        return 2
    if fail_on == "never" or (result.changes and result.after is None):  # a dry run judges nothing
        return 0
    limit = Severity(fail_on).rank
    return int(any(f.severity.rank >= limit for f in report.active))
