"""The plugin for pytest, as a project has it that installed the package: found by its entry point, in a pytest of its own."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tomllib
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest

from tests import warm
from tests.networks import mlp, save

ROOT = Path(__file__).resolve().parents[1]
HEAVY = ("numpy", "onnx", "onnxruntime", "click", "jinja2", "rich")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What pip writes beside the package: the entry points of pyproject.toml."""
    folder = tmp_path_factory.mktemp("site")
    points = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]["pytest11"]
    info = folder / "initaudit_checkout-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: initaudit-checkout\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[pytest11]\n" + "".join(f"{name} = {to}\n" for name, to in points.items()))
    return folder


CONFIGURATION = """
[tool.pytest.ini_options]
[tool.initaudit]
probe = "none"
context = "fresh"
exclude = ["drafts"]
input-shapes = {of_another_model = [1, 2]}
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a sound model, one with a layer of zeros, and a configuration."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "models" / "old").mkdir(parents=True)
    (folder / "models" / "drafts").mkdir()
    save(mlp([16, 16, 4]), folder / "models" / "good.onnx")
    save(mlp([16, 16, 4], change={"fc0.weight": np.zeros_like}), folder / "models" / "old" / "zero.onnx")
    save(mlp([16, 16, 4]), folder / "models" / "drafts" / "left_out.onnx")
    (folder / "pyproject.toml").write_text(CONFIGURATION)
    return folder


def run_pytest(site: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Without the plugins of this test run and without its configuration."""
    return warm.run("pytest", ["-p", "no:cacheprovider", *arguments], path=[site, ROOT], folder=folder)


def test_each_file_is_a_test_with_one_message(installed: Path, project: Path):
    """What the pattern means is audited under the configuration of the project; the message has the findings and no traceback."""
    done = run_pytest(installed, project, "-v", "--initaudit", "models")

    assert done.returncode == 1, done.stdout + done.stderr
    assert "collected 2 items" in done.stdout
    assert "models/good.onnx::initaudit PASSED" in done.stdout
    assert "models/old/zero.onnx::initaudit FAILED" in done.stdout
    assert "INI003 zero-weight [error] " in done.stdout
    assert "left_out" not in done.stdout
    assert "initaudit: note" not in done.stdout
    assert "Traceback" not in done.stdout
    assert "pytest_plugin.py" not in done.stdout


def test_a_file_that_is_named_and_left_out_is_told(installed: Path, project: Path):
    """Or a model would seem to have passed; what a folder holds is left out as configured."""
    named = run_pytest(
        installed, project, "--initaudit", "models/good.onnx", "--initaudit", "models/drafts/left_out.onnx"
    )

    assert named.returncode == 0, named.stdout
    assert re.search(r"initaudit: note: \S+left_out.onnx: named, but left out by `exclude`", named.stdout)


def test_the_tests_of_files_are_chosen_and_reported_like_any_other(installed: Path, project: Path):
    """-k and the JUnit file of pytest itself."""
    done = run_pytest(installed, project, "--initaudit", "models/**/*.onnx", "-k", "good", "--junitxml", "junit.xml")

    assert done.returncode == 0, done.stdout
    assert "1 passed, 1 deselected" in done.stdout
    (case,) = ET.parse(project / "junit.xml").iter("testcase")
    properties = {p.attrib["name"]: p.attrib["value"] for p in case.iter("property")}
    assert properties["verdict"] == "pass"


@pytest.mark.parametrize(
    ("pattern", "said"),
    [("modls/*.onnx", "matches no file"), ("empty", "no .onnx file")],
)
def test_a_pattern_that_means_no_file_is_an_error(installed: Path, project: Path, pattern: str, said: str):
    """A gate that finds nothing to check must not pass."""
    (project / "empty").mkdir(exist_ok=True)

    done = run_pytest(installed, project, "--initaudit", pattern)

    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert said in done.stderr


def test_a_file_that_cannot_be_read_fails_in_one_line(installed: Path, project: Path):
    """Named, and not passed over."""
    (project / "broken.onnx").write_bytes(b"nonsense")

    done = run_pytest(installed, project, "--initaudit", "broken.onnx")

    assert done.returncode == 1
    assert "broken.onnx: " in done.stdout
    assert "initaudit/model" not in done.stdout


def test_nothing_is_audited_unless_it_is_asked_for(installed: Path, project: Path):
    """The files of a project that only has the package installed are left alone."""
    done = run_pytest(installed, project)

    assert done.returncode == pytest.ExitCode.NO_TESTS_COLLECTED


USES = """
import pytest
import initaudit as package

def test_good(initaudit):
    report = initaudit("models/good.onnx")
    assert report.verdict.status == "pass"
    assert report.config.probe == "none"

def test_bad(initaudit):
    initaudit("models/old/zero.onnx")

def test_report_only(initaudit):
    report = initaudit("models/old/zero.onnx", fail_on="never")
    assert [f.code for f in report.active if f.severity == "error"] == ["INI003"]

def test_ignored(initaudit):
    initaudit("models/old/zero.onnx", ignore="INI003:fc0=cut on purpose")

def test_unmeasured(initaudit):
    initaudit("models/good.onnx", min_trainability=0.5)

def test_typo(initaudit):
    with pytest.raises(package.UsageError, match="did you mean select"):
        initaudit("models/good.onnx", selct="INI1")

def test_missing(initaudit):
    initaudit("nowhere.onnx")
"""


def test_the_fixture_asserts_and_gives_the_report(installed: Path, project: Path):
    """As `initaudit check` judges; the failure shows the test's own line and the findings."""
    (project / "test_uses.py").write_text(USES)

    done = run_pytest(installed, project, "-rA", "test_uses.py")

    outcomes = {
        line.split("::")[1].split()[0]: line.split()[0] for line in done.stdout.splitlines() if "::test_" in line
    }
    assert outcomes == {
        "test_good": "PASSED",
        "test_bad": "FAILED",
        "test_report_only": "PASSED",
        "test_ignored": "PASSED",
        "test_unmeasured": "FAILED",
        "test_typo": "PASSED",
        "test_missing": "FAILED",
    }, done.stdout
    assert '>       initaudit("models/old/zero.onnx")\n' in done.stdout
    assert "INI003 zero-weight [error] " in done.stdout
    assert "trainability was not measured (--min-trainability 0.5)" in done.stdout
    assert "UnreadableModel: nowhere.onnx: No such file" in done.stdout
    assert "model/load.py" not in done.stdout


def test_the_lines_of_the_documentation_work(installed: Path, tmp_path: Path):
    """The tests and the command of docs/ci.md, in a project that has what they speak of."""
    section = (ROOT / "docs" / "ci.md").read_text().split("\n## pytest\n")[1]
    (code,), (command, *_) = (re.findall(rf"```{kind}\n(.*?)```", section, re.DOTALL) for kind in ("python", "sh"))
    (tmp_path / "test_model.py").write_text(code)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    for path in ("model.onnx", "models/a.onnx", "exports/today/b.onnx"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        save(mlp([16, 16, 4]), tmp_path / path)

    done = run_pytest(installed, tmp_path, *shlex.split(command)[1:])

    assert done.returncode == 0, done.stdout
    assert "4 passed" in done.stdout


def test_the_plugin_costs_a_run_nothing_that_does_not_use_it(installed: Path, project: Path, tmp_path: Path):
    """Nothing heavy is imported at the start, and nothing by a test without the fixture."""
    (tmp_path / "test_other.py").write_text(
        "import sys\n"
        "def test_loaded():\n"
        "    assert 'initaudit.pytest_plugin' in sys.modules\n"
        f"    assert not {set(HEAVY)!r}.intersection(sys.modules)\n"
        "    own = {name for name in sys.modules if name.startswith('initaudit')}\n"
        "    assert own == {'initaudit', 'initaudit.version', 'initaudit.pytest_plugin'}\n"
    )

    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:hypothesispytest", "test_other.py"],
        cwd=tmp_path,
        env={**warm.environment(), "PYTHONPATH": os.pathsep.join([str(installed), str(ROOT)])},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout


def test_the_fixture_obeys_what_is_said_of_the_file(tmp_path: Path):
    """A table under `files` of the configuration holds here too."""
    from initaudit.pytest_plugin import Gate
    from initaudit.settings.settings import load_settings

    (tmp_path / "initaudit.toml").write_text(
        'probe = "none"\ncontext = "fresh"\n[files."known.onnx"]\nfail-on = "never"\n'
    )
    known, other = (
        save(mlp([16, 16, 4], change={"fc0.weight": np.zeros_like}), tmp_path / name)
        for name in ("known.onnx", "other.onnx")
    )
    gate = Gate(load_settings(tmp_path))

    assert gate(known).verdict.status == "fail"
    with pytest.raises(pytest.fail.Exception, match="INI003"):
        gate(other)
