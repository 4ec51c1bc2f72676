"""The recipes of docs/ci.md: each is read as its CI system reads it, and its shell lines are run."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from junitparser import JUnitXml

from tests.ci.conftest import ROOT

PAGE = (ROOT / "docs" / "ci.md").read_text()
PUBLISHED = "pip install initaudit"
"""The one line that is not run: it would fetch the last release."""


def blocks(title: str, language: str) -> list[str]:
    """Code blocks of a section."""
    section = PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]
    return re.findall(rf"```{language}\n(.*?)```", section, re.DOTALL)


def shell(title: str) -> list[str]:
    """The lines that a recipe runs."""
    if title == "Jenkins":
        (pipeline,) = blocks(title, "groovy")
        (script,) = re.findall(r"sh '''\n(.*?)'''", pipeline, re.DOTALL)
        return [line.strip() for line in script.splitlines() if line.strip()]
    (recipe,) = (yaml.safe_load(block) for block in blocks(title, "yaml"))
    if title == "GitLab":
        return recipe["initaudit"]["script"]
    return [line for step in recipe["steps"] for line in step.get("script", "").splitlines()]


@pytest.fixture
def path(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A PATH with this very `initaudit` on it, and a `python3` whose environments need no pip: its one line is not run."""
    folder = tmp_path_factory.mktemp("bin")
    command = folder / "initaudit"
    command.write_text(f'#!/bin/sh\nPYTHONPATH={shlex.quote(str(ROOT))} exec {sys.executable} -P -m initaudit "$@"\n')
    python = folder / "python3"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@" --without-pip\n')
    for program in (command, python):
        program.chmod(0o755)
    return f"{folder}{os.pathsep}{os.environ['PATH']}"


def run(workspace: Path, path: str, lines: list[str]) -> subprocess.CompletedProcess[str]:
    (workspace / "initaudit.toml").write_text('probe = "none"\ncontext = "fresh"\n')
    return subprocess.run(
        ["bash", "-eo", "pipefail", "-c", "\n".join(line for line in lines if line != PUBLISHED)],
        cwd=workspace,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("title", ["GitLab", "Jenkins", "Azure"])
def test_a_recipe_fails_on_a_broken_model_and_leaves_its_reports(title: str, workspace: Path, path: str):
    """By the exit code of findings, not that of a command that cannot run; the sound model beside it passes."""
    (workspace / "broken" / "zero.ONNX").rename(workspace / "models" / "zero.onnx")
    lines = shell(title)
    assert PUBLISHED in lines

    done = run(workspace, path, lines)

    results = JUnitXml.fromfile(str(workspace / "initaudit.xml"))
    assert done.returncode == 1, done.stderr
    assert "PASS" in done.stdout
    assert (results.failures, results.errors) == (1, 0)
    assert {suite.name: suite.failures for suite in results} == {"models/good.onnx": 0, "models/zero.onnx": 1}
    assert all((workspace / file).is_file() for file in handed_over(title))


def handed_over(title: str) -> list[str]:
    """Files that a recipe gives to its CI system: one that does not exist is a warning that nobody reads."""
    if title == "Jenkins":
        return re.findall(r"(?:junit|archiveArtifacts) '(.*?)'", blocks(title, "groovy")[0])
    (recipe,) = (yaml.safe_load(block) for block in blocks(title, "yaml"))
    if title == "GitLab":
        artifacts = recipe["initaudit"]["artifacts"]
        return [*artifacts["paths"], *artifacts["reports"].values()]
    (tests,) = (
        step["inputs"]["testResultsFiles"] for step in recipe["steps"] if step.get("task") == "PublishTestResults@2"
    )
    return [tests, *(step["publish"] for step in recipe["steps"] if "publish" in step)]


def test_the_workflow_uses_inputs_and_outputs_that_the_action_has():
    """And says what it may do."""
    action = yaml.safe_load((ROOT / "action.yml").read_text())
    (workflow,) = (yaml.safe_load(block) for block in blocks("GitHub", "yaml"))
    steps = workflow["jobs"]["initaudit"]["steps"]
    (step,) = (s for s in steps if s.get("id") == "initaudit")

    assert set(step["with"]) <= set(action["inputs"])
    used = re.findall(r"steps\.initaudit\.outputs\.([\w-]+)", yaml.safe_dump(workflow))
    assert used
    assert set(used) <= set(action["outputs"])
    assert workflow["permissions"] == {"contents": "read", "security-events": "write"}


def test_the_page_lists_the_inputs_of_the_action():
    """With their defaults."""
    action = yaml.safe_load((ROOT / "action.yml").read_text())
    rows = dict(re.findall(r"^\| `([\w-]+)` \| (.*?) \|", PAGE, re.MULTILINE))

    assert list(rows) == list(action["inputs"])
    for name, about in action["inputs"].items():
        default = about.get("default", "")
        assert (default == "") != (default in rows[name].strip("`").split())
    assert all(f"`{output}`" in PAGE for output in action["outputs"])


def test_the_lines_without_a_recipe_work(workspace: Path, path: str):
    """Those of the introduction, and of GitHub without the action."""
    introduction, by_hand = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)[:2]
    (workspace / "broken" / "zero.ONNX").rename(workspace / "models" / "zero.onnx")

    accepted = run(workspace, path, introduction.splitlines())
    annotated = run(workspace, path, by_hand.splitlines())

    assert accepted.returncode == 0, accepted.stderr
    assert annotated.returncode == 1
    assert annotated.stdout.startswith("::error file=models/zero.onnx")


def test_the_hook_of_the_page_exists():
    """Its id and its arguments."""
    (hooks,) = yaml.safe_load_all((ROOT / ".pre-commit-hooks.yaml").read_text())
    (recipe,) = (yaml.safe_load(block) for block in blocks("pre-commit", "yaml"))

    assert [hook["id"] for hook in recipe["repos"][0]["hooks"]] == [hook["id"] for hook in hooks]
