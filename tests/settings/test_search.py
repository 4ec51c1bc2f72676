"""The search for the configuration file: nothing that was meant for initaudit is passed over."""

from __future__ import annotations

from pathlib import Path

import pytest

from initaudit.errors import UsageError
from initaudit.settings.sources import find_file, read_file


def test_a_project_file_without_options_is_passed_over(tmp_path: Path):
    """A package of a monorepo has a project file of its own, and the configuration of the whole."""
    package = tmp_path / "packages" / "one"
    package.mkdir(parents=True)
    (package / "pyproject.toml").write_text('[project]\nname = "one"\n[tool.pip-audit]\nx = 1\n[tool.audit]\nx = 1')
    (tmp_path / "pyproject.toml").write_text("[tool.initaudit]\nseed = 3")

    assert find_file(package) == tmp_path / "pyproject.toml"


@pytest.mark.parametrize("section", ["tool.initaudt", "initaudit", "tool.init-audit", "tool.InitAudit", "iniaudit"])
def test_a_section_that_is_nearly_called_so_is_an_error(section: str, tmp_path: Path):
    """Its options would be in force nowhere, and the gate open."""
    file = tmp_path / "pyproject.toml"
    file.write_text(f"[project]\nname = 'one'\n[{section}]\nfail-on = 'warning'")

    for reading in (lambda: find_file(tmp_path), lambda: read_file(file)):
        with pytest.raises(UsageError, match=rf"toml:3: no section \[{section}\] .* did you mean \[tool.initaudit\]"):
            reading()


def test_a_named_project_file_without_the_section_is_an_error(tmp_path: Path):
    """Who names it expects options in it; an empty section is one without any."""
    file = tmp_path / "pyproject.toml"

    file.write_text("[project]\nname = 'one'")
    with pytest.raises(UsageError, match=r"pyproject.toml: has no section \[tool.initaudit\]"):
        read_file(file)
    file.write_text("[tool.initaudit]")
    assert read_file(file) == ()


def test_two_configurations_in_one_folder_are_an_error(tmp_path: Path):
    """One of them would be in force nowhere; beside a project file without the section there is but one."""
    own, project = tmp_path / "initaudit.toml", tmp_path / "pyproject.toml"
    own.write_text("seed = 3")

    project.write_text("[project]\nname = 'one'")
    assert find_file(tmp_path) == own
    project.write_text("[tool.initaudit]\nseed = 5")
    with pytest.raises(UsageError, match="two configurations of one folder"):
        find_file(tmp_path)
