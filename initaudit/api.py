"""The public functions: `initaudit.audit` and `initaudit.fix`, with options as keyword arguments."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from initaudit.config import Config

if TYPE_CHECKING:
    from initaudit.fixing.fixer import FixResult
    from initaudit.model.load import Source
    from initaudit.report.report import Report


def audit(source: Source, *, config: Config | None = None, **options: Any) -> Report:
    """Audit one model.

    Args:
        source: path, bytes, `onnx.ModelProto` or `onnx_ir.Model`.
        config: all options; or give single ones as keywords (the fields of `initaudit.Config`),
            e.g. `audit("m.onnx", context="fresh", probe="none")`. Configuration files are not read.
        **options: fields of `Config` that differ from `config`.

    Raises:
        ModelError: the model cannot be read.
        UsageError: an option is unknown or cannot be followed.
    """
    from initaudit import auditor

    return auditor.audit(source, _config(config, options))


def fix(source: Source, output: str | Path | None = None, *, config: Config | None = None, **options: Any) -> FixResult:
    """Write a copy of the model with re-initialised weights to `output`, and audit it.

    Args:
        source: as for `audit`.
        output: file to write; None changes nothing on disk and only tells what would be done.
        config: options of the audit.
        **options: fields of `initaudit.fixing.fixer.FixOptions`: what to change and how.

    Raises:
        FixRefused: nothing was written, and why.
        ModelError: the model cannot be read.
    """
    from initaudit.fixing import fixer

    return fixer.fix(source, output, config or Config(), fixer.FixOptions(**options))


def _config(config: Config | None, options: dict[str, Any]) -> Config:
    from dataclasses import fields, replace

    from initaudit.errors import UsageError

    unknown = set(options) - {f.name for f in fields(Config)}
    if unknown:
        raise UsageError(f"unknown option {min(unknown)!r}")
    return replace(config or Config(), **options)
