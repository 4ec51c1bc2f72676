"""A plugin for pytest: the `initaudit` fixture, and `--initaudit PATTERN`, which makes a test of each ONNX file.

    def test_the_export_can_be_trained(initaudit):
        initaudit("model.onnx", min_trainability=0.9)

Both are the gate of `initaudit check` and go by the configuration of the project. pytest loads this module with every run: what
takes time to import is imported where it is used.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Unpack

    from initaudit.api import AuditOptions
    from initaudit.model.load import Source
    from initaudit.report.report import Report
    from initaudit.settings.settings import Settings


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--initaudit`."""
    parser.getgroup("initaudit", "audit of ONNX models").addoption(
        "--initaudit",
        action="append",
        default=[],
        metavar="PATTERN",
        help="Audit ONNX files, each as a test: a file, a directory or a glob. Repeatable.",
    )


@pytest.fixture(scope="session")
def initaudit(pytestconfig: pytest.Config) -> Gate:
    """Audit a model: `initaudit("model.onnx", **options)` fails the test where `initaudit check` would, and gives the report."""
    return Gate(_settings(pytestconfig))


class Gate:
    """What the `initaudit` fixture is: a function with the configuration of the project."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def __call__(self, source: Source, **options: Unpack[AuditOptions]) -> Report:
        """The report of a model, after the test has failed where its findings close the gate.

        Args:
            source: path, bytes, `onnx.ModelProto` or `onnx_ir.Model`.
            **options: fields of `initaudit.Config` that differ from the configuration; `fail_on="never"` only gives the report.

        Raises:
            ModelError, UsageError: as `initaudit.audit`.
        """
        __tracebackhide__ = True
        from initaudit.api import audit
        from initaudit.engines.auditing import fitting_shapes
        from initaudit.errors import InitauditError
        from initaudit.model.load import load_model

        try:
            config = self._settings.config(os.fsdecode(source) if isinstance(source, str | os.PathLike) else None)
            if config.input_shapes and "input_shapes" not in options:
                source = load_model(source)
                config, _ = fitting_shapes(source, config)
            report = audit(source, config=config, **options)
        except InitauditError as error:
            raise error.with_traceback(None) from None  # its text says all; the test's own line is what is to be seen
        if complaint := _complaint(report):
            pytest.fail(complaint)
        return report


@pytest.hookimpl(tryfirst=True)  # before -k and the like choose among the tests
def pytest_collection_modifyitems(session: pytest.Session, config: pytest.Config, items: list[pytest.Item]) -> None:
    """Add a test for each file that the patterns mean. Raises pytest.UsageError where one means none."""
    if config.getoption("initaudit"):
        items += _tests(session, config)


def pytest_report_collectionfinish(config: pytest.Config) -> list[str]:
    """Say which of the patterns is a file that the configuration leaves out."""
    if not config.getoption("initaudit"):
        return []
    from initaudit.cli.models import left_out
    from initaudit.formats.printing import visible

    notes = left_out(_patterns(config), _settings(config).run.exclude)
    return [f"initaudit: note: {visible(note)}" for note in notes]


def _patterns(config: pytest.Config) -> list[str]:
    """Those of the command line, as seen from where pytest was started."""
    return [str(config.invocation_params.dir / pattern) for pattern in config.getoption("initaudit")]


def _tests(session: pytest.Session, config: pytest.Config) -> Iterator[pytest.Item]:
    from initaudit.cli.models import expand
    from initaudit.errors import InitauditError

    try:
        settings = _settings(config)
        paths = expand(_patterns(config), settings.run.exclude)
    except InitauditError as error:
        raise pytest.UsageError(f"--initaudit: {error}") from error
    for path in paths:
        file: ModelFile = ModelFile.from_parent(session, path=Path(path), settings=settings)
        yield from session.genitems(file)  # which pytest counts


class ModelFile(pytest.File):
    """An ONNX file."""

    def __init__(self, *, settings: Settings, **of_node: Any) -> None:
        super().__init__(**of_node)
        self._settings = settings

    def collect(self) -> Iterator[pytest.Item]:
        """Its one test."""
        yield ModelTest.from_parent(self, name="initaudit", settings=self._settings)


class ModelTest(pytest.Item):
    """The audit of one file."""

    def __init__(self, *, settings: Settings, **of_node: Any) -> None:
        super().__init__(**of_node)
        self._settings = settings

    def runtest(self) -> None:
        """Audit, as `initaudit check` does. Raises ModelFailed where its exit code would not be 0."""
        from initaudit.auditor import failed
        from initaudit.engines.auditing import Subject, audit_here
        from initaudit.errors import UsageError

        name = os.path.relpath(self.path)
        try:
            report, _ = audit_here(Subject(name=name, config=self._settings.config(name)))
        except UsageError as error:
            report = failed(name, str(error))
        self.user_properties += [("verdict", report.verdict.status), ("trainability", report.verdict.trainability)]
        if complaint := _complaint(report):
            raise ModelFailed(complaint)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], *arguments: Any) -> Any:
        """The findings, or why there is no audit; a traceback only of what is no answer at all."""
        if isinstance(excinfo.value, ModelFailed):
            return str(excinfo.value)
        return super().repr_failure(excinfo, *arguments)

    def reportinfo(self) -> tuple[os.PathLike[str], None, str]:
        """File, no line, and the name in the summary."""
        return self.path, None, f"initaudit {self.nodeid.partition('::')[0]}"


class ModelFailed(Exception):
    """The findings of one model, or why it has none, as text."""


def _settings(config: pytest.Config) -> Settings:
    """Of the project under test, whichever directory pytest was started in."""
    from initaudit.settings.settings import load_settings

    return load_settings(config.rootpath)


def _complaint(report: Report) -> str | None:
    """Why the gate is closed: that there is no audit, or what was found, a line each; None where it is open."""
    from initaudit.findings import Severity
    from initaudit.formats.printing import visible
    from initaudit.registry import faults

    if not report.exit_code():
        return None
    if report.error is not None:
        return visible(report.error)
    verdict, config = report.verdict, report.config
    assert config is not None
    lines = [f"{report.path}: {verdict.status}: {verdict.reason}"]
    least = None if config.fail_on == "never" else Severity(config.fail_on)
    for finding in report.active:
        if least is not None and finding.severity.rank >= least.rank:
            where = f" {finding.layer}" if finding.layer else ""
            lines.append(f"{finding.code} {finding.name} [{finding.severity.value}]{where}: {finding.message}")
            lines += [f"    {finding.suggestion}"] if finding.suggestion else []
    lines += report.missed
    lines += dict.fromkeys((*report.failed_rules, *faults()))
    return "\n".join(visible(line) for line in lines)
