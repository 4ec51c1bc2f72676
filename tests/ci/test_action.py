"""The GitHub action: its scripts, taken from action.yml, run as a runner runs them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.ci.conftest import ROOT

ACTION = yaml.safe_load((ROOT / "action.yml").read_text())
STEPS = {step["id"]: step for step in ACTION["runs"]["steps"]}
EXPRESSION = re.compile(r"\$\{\{\s*([\w.-]+)\s*\}\}")
pytestmark = pytest.mark.timeout(300)  # installs the package
QUICK = "--probe\nnone\n--context\nfresh\n"


@dataclass(frozen=True)
class Runner:
    """The folders and variables of one job."""

    folder: Path
    workspace: Path
    environment: Mapping[str, str]

    def run(
        self, step: Mapping[str, Any], values: Mapping[str, str]
    ) -> tuple[subprocess.CompletedProcess[str], dict[str, str]]:
        """A step with the values of its expressions; its outputs."""
        output, summary = self.folder / "output", self.folder / "summary"
        for file in (output, summary):
            file.write_text("")
        variables = {key: EXPRESSION.sub(lambda m: values[m[1]], text) for key, text in step["env"].items()}
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
            cwd=self.workspace,
            env={
                **self.environment,
                **variables,
                "RUNNER_TEMP": str(self.folder),
                "GITHUB_OUTPUT": str(output),
                "GITHUB_STEP_SUMMARY": str(summary),
            },
            capture_output=True,
            text=True,
            check=False,
        )
        return done, dict(line.split("=", 1) for line in output.read_text().splitlines())


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str]) -> str:
    """What the first script gives, from the whole checkout: the folder of commands. Its `python -m venv` is virtualenv, which does the same ten times as fast."""
    folder = tmp_path_factory.mktemp("runner temp")
    runner = Runner(folder, folder, {**environment, "GITHUB_ACTION_PATH": str(ROOT)})
    python = folder / "python"
    python.write_text(f'#!/bin/sh\n[ "$1 $2" = "-m venv" ] && exec {sys.executable} -m virtualenv --quiet "$3"\n')
    python.chmod(0o755)

    done, outputs = runner.run(STEPS["install"], {"steps.python.outputs.python-path": str(python)})

    assert done.returncode == 0, done.stderr
    return outputs["bin"]


class Audit:
    """The second script in a workspace."""

    def __init__(self, runner: Runner, installed: str) -> None:
        self.runner, self.installed = runner, installed

    def __call__(self, **given: str) -> tuple[subprocess.CompletedProcess[str], dict[str, str]]:
        inputs = {name: about.get("default", "") for name, about in ACTION["inputs"].items()}
        inputs |= {"arguments": QUICK} | {name.replace("_", "-"): value for name, value in given.items()}
        values = {f"inputs.{name}": value for name, value in inputs.items()}
        return self.runner.run(STEPS["audit"], {**values, "steps.install.outputs.bin": self.installed})


@pytest.fixture
def audit(
    installed: str, workspace: Path, tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str]
) -> Audit:
    return Audit(Runner(tmp_path_factory.mktemp("runner"), workspace, environment), installed)


def test_no_script_has_an_expression_in_it():
    """GitHub pastes expressions into scripts as text: an input there would be a program."""
    for step in STEPS.values():
        assert "${{" not in step.get("run", "")


def test_every_expression_means_something():
    """Inputs that are declared, and outputs of steps before."""
    text = (ROOT / "action.yml").read_text()
    written = {step: set(re.findall(r"([\w-]+)=\$", about.get("run", ""))) for step, about in STEPS.items()}
    written["python"] = {"python-path"}
    written["audit"] |= {"html", "json", "sarif"}

    for expression in EXPRESSION.findall(text):
        room, *names = expression.split(".")
        if room == "inputs":
            assert names[0] in ACTION["inputs"]
        else:
            step, _, output = names
            assert room == "steps"
            assert output in written[step]
    used = set(EXPRESSION.findall(text))
    assert {f"inputs.{name}" for name in ACTION["inputs"]} <= used


def test_what_is_installed_has_templates_and_data(installed: str):
    """No template of the page is missing, and tests and models are not shipped."""
    site = next(Path(installed).parent.rglob("site-packages"))
    templates = {f"initaudit/templates/{p.relative_to(ROOT / 'templates')}" for p in (ROOT / "templates").rglob("*.j2")}

    assert templates
    assert all((site / name).is_file() for name in {*templates, "initaudit/py.typed", "initaudit/schema.json"})
    assert not {"tests", "sample_models"} & {entry.name for entry in site.iterdir()}


def test_sound_models_pass(audit: Audit):
    """Exit code 0, every report written, a summary of the run, no annotation; a later step that cannot run leaves none of them for today's."""
    (audit.runner.workspace / "initaudit.toml").write_text('probe = "none"\n')
    done, outputs = audit(models="models/\n", reports=".")
    files = {name: audit.runner.workspace / outputs[name] for name in ("html", "json", "sarif")}

    assert done.returncode == 0, done.stderr
    assert outputs["status"] == "pass"
    assert outputs["exit-code"] == "0"
    assert "<!doctype html>" in files["html"].read_text()
    assert json.loads(files["sarif"].read_text())["version"] == "2.1.0"
    assert json.loads(files["json"].read_text())["reports"][0]["model"]["path"] == "models/good.onnx"
    assert "## initaudit" in (audit.runner.folder / "summary").read_text()
    assert (files["json"].parent / "initaudit.toml").exists()
    assert "PASS" in done.stdout
    assert not [line for line in done.stdout.splitlines() if line.startswith("::")]

    refused, outputs = audit(models="models", reports=".", fail_on="never; touch owned")

    assert refused.returncode == 2
    assert "never; touch owned" in refused.stderr
    assert outputs["status"] == "error"
    assert not {"html", "json", "sarif"} & set(outputs)
    assert not any(file.exists() for file in (*files.values(), audit.runner.workspace / "owned"))


def test_a_fault_fails_the_step_with_annotations(audit: Audit):
    """Of several models the worst verdict is the status; each finding stands beside its file."""
    done, outputs = audit(models="models\nbroken/*.ONNX")

    assert done.returncode == 1
    assert outputs["status"] == "fail"
    assert outputs["exit-code"] == "1"
    (annotation,) = [line for line in done.stdout.splitlines() if line.startswith("::error")]
    assert "file=broken/zero.ONNX" in annotation
    assert "INI003" in annotation
    assert "INI003" in (audit.runner.folder / "summary").read_text()


def test_inputs_are_words_and_never_programs(audit: Audit):
    """What a pull request names its files like is not run, split or taken for an option."""
    hostile = ["$(touch owned)", "`touch owned`", '"; touch owned #', "--output-format", "a b.onnx"]

    done, outputs = audit(models="\n".join(hostile))

    assert not (audit.runner.workspace / "owned").exists()
    assert done.returncode == 2
    assert outputs["status"] == "error"
    for name in hostile:
        assert f"{name}: No such file" in done.stderr


def test_arguments_keep_their_blanks(audit: Audit):
    """A word is a line."""
    done, outputs = audit(models="broken", arguments=QUICK + "--ignore\nINI003:*=cut on purpose\n")
    (report,) = json.loads((audit.runner.workspace / outputs["json"]).read_text())["reports"]

    assert done.returncode == 0, done.stderr
    assert {f["suppressed"] for f in report["findings"] if f["code"] == "INI003"} == {"cut on purpose"}


def test_a_report_of_ones_own_goes_to_its_file(audit: Audit):
    """The text stays on stdout, whatever formats and files `arguments` add."""
    done, _ = audit(models="models", arguments=QUICK + "--output-format\ncsv\n-o\nextra.csv\n")

    assert done.returncode == 0, done.stderr
    assert "PASS" in done.stdout
    assert (audit.runner.workspace / "extra.csv").read_text().startswith("model,")
