"""Options from any source: a value that can be followed or a UsageError that says where it stands, whatever is written there."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from initaudit.cli import cli
from initaudit.cli.config import command
from initaudit.config import READERS, Config
from initaudit.errors import UsageError
from initaudit.settings.lines import lines_of
from initaudit.settings.run import RUN_READERS, RunOptions
from initaudit.settings.settings import load_settings
from initaudit.settings.sources import PREFIX, read_environment
from tests.fuzz.outcome import check_rendered
from tests.fuzz.strategies import OPTIONS, names, refused, texts, toml, values

SHARED = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
"""The folder of a test may serve all its examples: each writes the same file anew."""
SWITCHES = sorted(p.opts[0] for p in command.params if isinstance(p, click.Option) and not p.is_flag)
"""Options of the command line that take a value."""


@SHARED
@given(text=toml())
def test_a_configuration_file_gives_options_or_a_usage_error(text: str, tmp_path: Path):
    """The error names the file; what is read are settings of every model."""
    file = tmp_path / "initaudit.toml"
    file.write_text(text, encoding="utf-8", errors="replace", newline="")

    said = refused(lambda: load_settings(file=file).config("model.onnx"))

    assert said is None or "initaudit.toml" in said or said.startswith("option ")


@SHARED
@given(text=toml())
def test_a_project_file_gives_options_or_a_usage_error(text: str, tmp_path: Path):
    """Whatever stands around the section."""
    file = tmp_path / "pyproject.toml"
    file.write_text(f"[tool.initaudit]\n{text}\n", encoding="utf-8", errors="replace", newline="")

    said = refused(lambda: load_settings(tmp_path).config())

    assert said is None or "pyproject.toml" in said or said.startswith("option ")


@given(name=st.one_of(st.sampled_from(OPTIONS).map(str.upper), names()), text=texts())
def test_a_variable_gives_an_option_or_a_usage_error(name: str, text: str):
    """The error names the variable."""
    said = refused(lambda: read_environment({f"{PREFIX}{name}": text}))

    assert said is None or PREFIX in said


@pytest.mark.parametrize("name", sorted({*READERS, *RUN_READERS}))
@settings(max_examples=40)
@given(value=st.one_of(texts(), values()))
def test_a_value_of_python_is_read_or_a_usage_error(name: str, value: Any):
    """Text as the command line gives it, and objects of any type."""
    kind = Config if name in READERS else RunOptions

    refused(lambda: (READERS.get(name) or RUN_READERS[name])(value))
    if kind is Config:
        refused(lambda: Config(**{name: value}))


@settings(max_examples=40)
@given(
    option=st.sampled_from(SWITCHES), text=texts().map(lambda text: text.replace("\0", ""))
)  # as no shell can give one
def test_an_option_of_the_command_line_is_shown_as_text_or_refused(option: str, text: str):
    """`initaudit config` says what is in force: in whole lines, without a hidden character or an order to a CI system."""
    result = CliRunner().invoke(cli, ["config", "--isolated", f"{option}={text}"], standalone_mode=False)

    assert result.exception is None or isinstance(result.exception, (UsageError, click.ClickException))
    check_rendered("text", result.output)


@pytest.mark.parametrize(
    "line", ["a" * 5000, "a-" * 2500, "a." * 2500, "'a'" * 1500, '"' * 5000, " " * 5000, "[" * 5000, "] " * 2500]
)
def test_the_lines_of_a_file_are_found_in_linear_time(line: str):
    """A word of thirty letters in a text of several lines once took for ever: a pattern could part it in two to the thirty ways."""
    start = time.process_time()
    lines_of(f"{line}\n{line}x\n")

    assert time.process_time() - start < 1
