"""fix(): mend what an initialisation can mend, prove it, write a new file, and audit that."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from initaudit.auditor import audit
from initaudit.errors import FixRefused
from initaudit.findings import Severity
from initaudit.fixing.candidate import Candidate, nothing, tensors
from initaudit.fixing.choose import check_options, is_asked_for
from initaudit.fixing.ladder import Step, climb
from initaudit.fixing.lazily import Lazily
from initaudit.fixing.left import Left, is_to_be_trained, left_by
from initaudit.fixing.notes import notes_of, notes_of_context
from initaudit.fixing.options import FixOptions
from initaudit.fixing.patching import copy_unchanged
from initaudit.fixing.record import write_recorded
from initaudit.fixing.weights import Exported, check_export, export_weights
from initaudit.judgement.score import TRAINABLE
from initaudit.model.load import load_model
from initaudit.redrawing.choice import Change, Refusal
from initaudit.redrawing.split import split
from initaudit.remembering import remembering

if TYPE_CHECKING:
    from collections.abc import Callable

    from initaudit.config import Config
    from initaudit.model.load import Model, Source
    from initaudit.report.report import Report

__all__ = ["Change", "FixOptions", "FixResult", "Refusal", "Step", "exit_code", "fix"]

JUDGED = ("fresh", "trained")
"""Contexts of a model that all audits of its fix share."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FixResult:
    """What was done, with the audits before and after."""

    before: Report
    after: Report | None
    """Audit of the written file, or of the model as it would be written where nothing was; None where nothing changes."""
    changes: tuple[Change, ...]
    refusals: tuple[Refusal, ...]
    steps: tuple[Step, ...] = ()
    """The rungs that were tried, in order."""
    written: tuple[Path, ...]
    fails: bool = False
    """Whether the model fails still, or would."""
    held_back: bool = False
    """Whether nothing was written because of that."""
    left: tuple[Left, ...] = ()
    """The findings that stay, each with the reason."""
    notes: tuple[str, ...] = ()
    """What else there is to know of what was written, a sentence each."""
    exported: Exported | None = None
    """The weights for the framework, where they were asked for."""

    @property
    def now(self) -> Report:
        """Of the model as it is, or would be: `after`, or `before` where nothing changes."""
        return self.after or self.before


@np.errstate(all="ignore")  # as in an audit: what is not finite is found and reported
def fix(
    source: Source, output: str | Path | None, config: Config, options: FixOptions, begins: Callable[[], None] = nothing
) -> FixResult:
    """Audit, change and audit again until the audit is satisfied, write, audit what was written.

    Args:
        source: as for `audit`.
        output: file to write, None or `options.dry_run` to write nothing.
        config: options of all audits.
        options: what to change.
        begins: called where something begins, after the first audit, that has the time limit of an audit for itself.

    Raises:
        FixRefused: nothing was written, and why.
        ModelError, UsageError: as for `audit`.
    """
    check_export(options, output)
    with remembering():
        result = _fix(source, output, config, options, begins)
    assert result.before.audit is not None
    notes = notes_of(result.before.audit.model.proto, result.changes, result.written)
    stands = output is not None and not options.dry_run and (result.written or not result.changes)
    weights = options.export_weights if stands else None
    exported = None if weights is None or output is None else export_weights(Path(output), weights)
    if result.after is not None and config.context == "auto":
        notes += notes_of_context(result.after)
        result = replace(result, after=_judged_before(result.after, result.before))
    left = left_by(result.now, result.refusals, options)
    return replace(result, left=left, notes=notes, exported=exported)


def _fix(
    source: Source, output: str | Path | None, config: Config, options: FixOptions, begins: Callable[[], None]
) -> FixResult:
    if output is not None and Path(output).exists() and not Path(output).is_file():
        raise FixRefused(f"{output}: is no file, and what is written is audited again; give a file")
    target = None if output is None or options.dry_run else Path(output)
    before = audit(source, config)
    assert before.audit is not None
    check_options(before, options)
    judged_as = before.verdict.context if before.verdict.context in JUDGED else config.context
    config = replace(config, context=judged_as)
    found, steps = climb(Candidate(model=before.audit.model, report=before, begins=begins), config, options)
    if found.refusals and not found.changes:
        raise FixRefused(
            f"{before.path}: nothing could be changed: {found.refusals[0].layer}: {found.refusals[0].reason}"
        )
    result = FixResult(
        before=before,
        after=found.report if found.changes else None,
        changes=found.changes,
        refusals=found.refusals,
        steps=steps,
        written=(),
    )
    if found.changes:
        result = replace(result, fails=_fails(result, options))
    if target is None:
        return result
    if not found.changes:
        model = load_model(_private_copy(source))
        return replace(result, written=() if _same_file(model, target) else tuple(copy_unchanged(model, target)))
    if result.fails and not (options.keep_going or config.fail_on == "never"):
        return replace(result, held_back=True)
    begins()
    written = _write(source, found, target, config, options)
    return replace(result, written=written, after=audit(target, config))


def _judged_before(after: Report, before: Report) -> Report:
    """The audit behind the fix, saying where its context comes from: that of the model before, which nobody gave."""
    assert after.audit is not None
    if before.verdict.context not in JUDGED:
        return after
    evidence = (f"{before.verdict.context} as before the fix",)
    context = replace(after.audit.context, evidence=evidence)
    return replace(
        after, audit=replace(after.audit, context=context), verdict=replace(after.verdict, evidence=evidence)
    )


def _write(source: Source, found: Candidate, target: Path, config: Config, options: FixOptions) -> tuple[Path, ...]:
    """Put the new values of the candidate into what it came from."""
    model = split(load_model(_private_copy(source)), found.needed)
    new = found.renewed
    touched = {key: tensor for key, tensor in tensors(model) if key in new}
    assert touched.keys() == new.keys()
    changed = Lazily({id(tensor): new[key].array for key, tensor in touched.items()})
    own = {id(tensor): tensor for tensor in touched.values()}
    return tuple(write_recorded(model, target, changed, own, found.changes, seed=config.seed, recipe=options))


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


def _fails(result: FixResult, options: FixOptions) -> bool:
    """Whether errors remain where it was asked to mend, or a fresh network would still not learn; what was to be drawn in one way only is not judged."""
    assert result.after is not None
    assert result.after.audit is not None
    if not options.is_free:
        return False
    learning, whole = result.after.audit.trainability, not (options.layers or options.exclude or options.select)
    if whole and result.after.audit.context.name == "fresh" and learning is not None and learning.score < TRAINABLE:
        return True
    asked = {a.layer.name for a in result.after.audit.layers if is_asked_for(a, options)}
    return any(
        f.severity is Severity.ERROR
        and options.follows(f)
        and (f.layer is None or f.layer in asked)
        and not is_to_be_trained(f, result.after)
        for f in result.after.active
    )


def exit_code(result: FixResult, fail_on: str) -> int:
    """0 where nothing at or above `fail_on` is left, or would be; 2 where a rule failed; else 1."""
    report = result.now
    if report.failed_rules:
        return 2
    if fail_on == "never":
        return 0
    limit = Severity(fail_on).rank
    return int(result.fails or any(f.severity.rank >= limit for f in report.active))
