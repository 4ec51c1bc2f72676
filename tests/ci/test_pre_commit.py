"""The hook, run by the real pre-commit in a scratch repository."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.ci.conftest import ROOT

pytestmark = pytest.mark.timeout(300)  # installs the package
AS_SOMEBODY = ("-c", "user.name=somebody", "-c", "user.email=somebody@example.org", "-c", "commit.gpgsign=false")


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *AS_SOMEBODY, *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture(scope="module")
def hook(tmp_path_factory: pytest.TempPathFactory, sources: Path) -> Path:
    """A repository as pre-commit clones it."""
    folder = tmp_path_factory.mktemp("hook") / "initaudit"
    shutil.copytree(sources, folder)
    shutil.copy(ROOT / ".pre-commit-hooks.yaml", folder)
    git(folder, "init", "-q")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "As released")
    return folder


def test_a_commit_with_a_broken_model_is_refused(
    hook: Path, workspace: Path, tmp_path: Path, environment: dict[str, str]
):
    """Files of models alone, in whatever case, are audited; what is sound passes."""
    revision = git(hook, "rev-parse", "HEAD")
    (workspace / ".pre-commit-config.yaml").write_text(
        f"repos:\n- repo: {hook}\n  rev: {revision}\n  hooks:\n  - id: initaudit\n"
        "    args: [--probe, none, --context, fresh]\n"
    )
    (workspace / "notes.onnx.txt").write_text("not a model")
    git(workspace, "init", "-q")
    git(workspace, "add", "-A")

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "pre_commit", "run", "--color", "never", *arguments],
            cwd=workspace,
            env={**environment, "PRE_COMMIT_HOME": str(tmp_path / "home")},
            capture_output=True,
            text=True,
            check=False,
        )

    everything = run("--all-files")
    sound = run("--files", "models/good.onnx", "notes.onnx.txt")
    no_model = run("--files", "notes.onnx.txt")

    assert everything.returncode == 1, everything.stdout + everything.stderr
    assert "broken/zero.ONNX" in everything.stdout
    assert "INI003 zero-weight" in everything.stdout
    assert "notes" not in everything.stdout
    assert sound.returncode == 0, sound.stdout
    assert "Passed" in sound.stdout
    assert "(no files to check)Skipped" in no_model.stdout
