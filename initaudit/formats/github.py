"""GitHub: annotations on the run and its pull request, as commands on stdout.

https://docs.github.com/actions/reference/workflows-and-actions/workflow-commands
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from initaudit.format import Format, FormatOptions
from initaudit.formats.differences import as_reports
from initaudit.formats.printing import visible
from initaudit.formats.telling import active, failures, location, missed, plural, told

MAX_ANNOTATIONS = 10
"""GitHub shows ten errors, ten warnings and ten notices of a step and drops the rest without a word; ten in all are what a reader reads."""

COMMANDS = {"error": "error", "warning": "warning", "info": "notice"}
"""The command of each severity, the worst first."""
ORDER = list(COMMANDS.values())


class _Annotation(NamedTuple):
    command: str
    file: str
    title: str
    message: str

    def line(self) -> str:
        properties = f"file={_property(self.file)},title={_property(self.title)}"
        return f"::{self.command} {properties}::{_data(self.message)}\n"


class GitHub(Format):
    """An annotation a finding, the worst first; where there are more than ten, the last sums up the rest.

    Models that could not be audited come first, then the worst of each model that failed, so that one with many findings hides no other.
    """

    name = "github"
    suffix = ".github.txt"

    def render(self, document: Mapping[str, Any], options: FormatOptions) -> str:
        """One command a line; a line of text where nothing is to be annotated."""
        del options
        ranked = [pair for report in document["reports"] for pair in _ranked(report)]
        found = [annotation for _, annotation in sorted(ranked, key=lambda pair: (pair[0], _rank(pair[1])))]
        if len(found) > MAX_ANNOTATIONS:
            found[MAX_ANNOTATIONS - 1 :] = [_rest(found[MAX_ANNOTATIONS - 1 :])]
        return "".join(annotation.line() for annotation in found) or "initaudit: nothing to annotate\n"

    def compare(self, document: Mapping[str, Any], options: FormatOptions) -> str:
        """Annotations of what is new, or more severe than before."""
        return self.render({**document, "reports": as_reports(document)}, options)


def _ranked(report: Mapping[str, Any]) -> Iterator[tuple[int, _Annotation]]:
    """Annotations of a model with their place: 0 where it could not be audited, 1 for the worst of one that failed, 2 for the others."""
    status = report["verdict"]["status"]
    is_failed = status == "fail" or bool(missed(report))
    for index, annotation in enumerate(sorted(_annotations(report), key=_rank)):
        if status == "error":
            yield 0, annotation
        else:
            yield (1 if is_failed and index == 0 else 2), annotation


def _rank(annotation: _Annotation) -> int:
    return ORDER.index(annotation.command)


def _annotations(report: Mapping[str, Any]) -> Iterator[_Annotation]:
    file = location(report)
    for line in failures(report):
        yield _Annotation("error", file, "initaudit could not audit this", line)
    for line in missed(report):
        yield _Annotation("error", file, "initaudit: the gate is not met", line)
    for finding in active(report):
        title = f"{finding['code']} {finding['name']}"
        yield _Annotation(COMMANDS[finding["severity"]], file, title, told(finding))


def _rest(annotations: list[_Annotation]) -> _Annotation:
    """One for all of these: as many of each severity, and of each title."""
    worst = min(annotations, key=_rank)
    commands = Counter(a.command for a in annotations)
    counts = ", ".join(plural(commands[command], command) for command in ORDER if commands[command])
    titles = ", ".join(f"{title} ({n})" for title, n in Counter(a.title for a in annotations).most_common())
    files = len({a.file for a in annotations})
    where = "" if files == 1 else f" in {files} models"
    return _Annotation(
        worst.command, worst.file, f"{len(annotations)} more from initaudit", f"{counts}{where}: {titles}"
    )


def _data(text: str) -> str:
    """Escaped as the runner undoes it, so that no name ends the command or begins another."""
    return visible(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
