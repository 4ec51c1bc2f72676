"""Whether the layers that options name are there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from initaudit.errors import UsageError, similar
from initaudit.initialisation.spelling import globs
from initaudit.options import names

if TYPE_CHECKING:
    from initaudit.fixing.options import FixOptions
    from initaudit.report.report import Report


def check_layers(report: Report, options: FixOptions) -> None:
    """Raises UsageError, with the nearest name, where a name or a glob fits no layer."""
    assert report.audit is not None
    known = [name for layer in report.audit.layers for name in (layer.layer.title, layer.layer.name)]
    for option, patterns in (
        ("layers", options.layers),
        ("exclude", options.exclude),
        ("scheme", globs(options.scheme)),
    ):
        for pattern in patterns:
            if not any(names(pattern, name) for name in known):
                raise UsageError(f"{option}: {report.path} has no layer {pattern!r}{similar(pattern, known)}")
