"""fix(): draw flagged weights anew by the scheme that fits, write a new file, and audit it to prove the result."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from initaudit.auditor import audit
from initaudit.errors import FixRefused
from initaudit.findings import Severity
from initaudit.fixing.choose import choose
from initaudit.fixing.notes import notes_of
from initaudit.fixing.options import FixOptions
from initaudit.fixing.patching import copy_unchanged
from initaudit.fixing.record import write_recorded
from initaudit.fixing.weights import Exported, check_export, export_weights
from initaudit.model.load import load_model
from initaudit.probe import ProbeOptions
from initaudit.redrawing.choice import Change, Refusal
from initaudit.redrawing.redraw import redraw
from initaudit.redrawing.split import split_copies

if TYPE_CHECKING:
    from initaudit.config import Config
    from initaudit.model.load import Model, Source
    from initaudit.report.report import Report

__all__ = ["Change", "FixOptions", "FixResult", "Refusal", "exit_code", "fix"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FixResult:
    """What was done, with the audits before and after."""

    before: Report
    after: Report | None
    """Audit of the written file; None where nothing was written or changed."""
    changes: tuple[Change, ...]
    refusals: tuple[Refusal, ...]
    written: tuple[Path, ...]
    notes: tuple[str, ...] = ()
    """What else there is to know of what was written, a sentence each."""
    exported: Exported | None = None
    """The weights for the framework, where they were asked for."""


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
    check_export(options, output)
    result = _fix(source, output, config, options)
    assert result.before.audit is not None
    notes = notes_of(result.before.audit.model.proto, result.changes, result.written)
    stands = output is not None and not options.dry_run and (result.written or not result.changes)
    weights = options.export_weights if stands else None
    exported = None if weights is None or output is None else export_weights(Path(output), weights)
    return replace(result, notes=notes, exported=exported)


def _fix(source: Source, output: str | Path | None, config: Config, options: FixOptions) -> FixResult:
    if output is not None and Path(output).exists() and not Path(output).is_file():
        raise FixRefused(f"{output}: is no file, and what is written is audited again; give a file")
    before = audit(source, config)
    chosen, forbidden = choose(before, options)
    model = split_copies(load_model(_private_copy(source)), chosen)
    changes, impossible, contents = redraw(model, chosen, config.seed, options, inputs=ProbeOptions.of(config))
    refusals = (*forbidden, *impossible)
    if refusals and not changes:
        raise FixRefused(f"{before.path}: nothing could be changed: {refusals[0].layer}: {refusals[0].reason}")
    target = None if output is None or options.dry_run else Path(output)
    if target is None:
        return FixResult(before=before, after=None, changes=changes, refusals=refusals, written=())
    if not changes:
        written = () if _same_file(model, target) else tuple(copy_unchanged(model, target))
        return FixResult(before=before, after=None, changes=(), refusals=refusals, written=written)
    written = tuple(
        write_recorded(model, target, contents.values, contents.tensors, changes, seed=config.seed, recipe=options)
    )
    judged_as = before.verdict.context if before.verdict.context in ("fresh", "trained") else config.context
    after = audit(target, replace(config, context=judged_as))
    return FixResult(before=before, after=after, changes=changes, refusals=refusals, written=written)


def _private_copy(source: Source) -> Source:
    """Something whose parsed message nobody else holds: patching must not change the caller's model."""
    from onnx import ModelProto

    from initaudit.model.load import Model

    if isinstance(source, Model):
        source = source.path or source.proto
    if isinstance(source, ModelProto):
        copy = ModelProto()
        copy.CopyFrom(source)
        return copy
    return source


def _same_file(model: Model, target: Path) -> bool:
    return model.path is not None and target.exists() and model.path.samefile(target)


def exit_code(result: FixResult, fail_on: str) -> int:
    """0 where nothing at or above `fail_on` is left in the output (or in the model, where there was nothing to change); 2 where a rule failed; else 1."""
    report = result.after or result.before
    if report.failed_rules:
        return 2
    if fail_on == "never" or (result.changes and result.after is None):  # a dry run judges nothing
        return 0
    limit = Severity(fail_on).rank
    return int(any(f.severity.rank >= limit for f in report.active))
