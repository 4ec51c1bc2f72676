"""What the formats for CI systems share: where a model lies, what a finding is about, and what is to be told besides findings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from initaudit.files import current_folder

Part: TypeAlias = Mapping[str, Any]
"""A report, a layer or a finding of the document."""


def location(report: Part) -> str:
    """The model's path as CI systems want it: with slashes, and as seen from the working directory where it lies below it."""
    path = Path(report["model"]["path"])
    here = current_folder()
    if here is not None and path.is_absolute() and path.is_relative_to(here):
        path = path.relative_to(here)
    return path.as_posix()


def subject(finding: Part) -> str:
    """What a finding is about, in a word or two."""
    return finding["layer"] or finding["initializer"] or "the model"


def told(finding: Part) -> str:
    """What was found where, and what to do."""
    suggestion = f" {finding['suggestion']}" if finding["suggestion"] else ""
    return f"{subject(finding)}: {finding['message']}{suggestion}"


def active(report: Part) -> list[Part]:
    """The findings that count."""
    return [finding for finding in report["findings"] if finding["suppressed"] is None]


def plural(count: int, noun: str) -> str:
    """`1 error`, `2 errors`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def failures(report: Part) -> Iterator[str]:
    """What could not be done, a sentence each: the model could not be audited, a rule failed."""
    if report["verdict"]["status"] == "error":
        yield report["verdict"]["reason"]
    yield from report.get("failed_rules", ())


def interrupted(head: Part) -> str | None:
    """That the run was ended before all its models were audited, where it was."""
    ended = head.get("run", {}).get("interrupted")
    return None if ended is None else f"interrupted: {ended['audited']:,} of {plural(ended['of'], 'model')} audited"


def missed(report: Part) -> list[str]:
    """What the options of the gate ask beyond findings and the model does not meet, a sentence each."""
    return list(report.get("gate", {}).get("missed", ()))


def fixed_before(record: Part | None) -> list[str]:
    """What the model's own record says of fixes, a sentence each; nothing where it has none."""
    if record is None:
        return []
    if record["problem"] is not None:
        return [f"The record of fixes in the file cannot be read: {record['problem']}"]
    return [
        f"Fixed by initaudit {fix['version']}: {plural(len(fix['layers']), 'layer')} (scheme {fix['scheme']}, {fix['mode']}, seed {fix['seed']})"
        for fix in record["fixes"]
    ]
