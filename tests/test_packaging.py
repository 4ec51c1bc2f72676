"""The wheel in a fresh environment has everything: templates, schema, types, command."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.networks import mlp, save

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built as pip builds it, from the checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    return next(folder.glob("*.whl"))


def test_the_wheel_holds_templates_and_data(wheel: Path):
    """No template of the page is missing, and tests are not shipped."""
    names = set(zipfile.ZipFile(wheel).namelist())
    templates = {f"initaudit/templates/{p.relative_to(ROOT / 'templates')}" for p in (ROOT / "templates").rglob("*.j2")}

    assert templates
    assert templates <= names
    assert {"initaudit/py.typed", "initaudit/schema.json"} <= names
    assert not any(n.startswith(("tests/", "sample_models/")) for n in names)


def test_the_installed_command_writes_an_html_report(wheel: Path, tmp_path: Path):
    """Away from the checkout, in an environment of its own that sees the dependencies of this one."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "env")], check=True)
    site = next((tmp_path / "env").rglob("site-packages"))
    (site / "dependencies.pth").write_text("\n".join(p for p in sys.path if p.endswith("site-packages")))
    zipfile.ZipFile(wheel).extractall(site)
    model = save(mlp([16, 16, 4]), tmp_path / "m.onnx")
    page = tmp_path / "r.html"

    result = subprocess.run(
        [
            str(tmp_path / "env" / "bin" / "python"),
            "-I",
            "-m",
            "initaudit",
            "check",
            "--isolated",
            "--probe",
            "none",
            model,
            "-o",
            str(page),
        ],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )

    assert result.returncode == 0, result.stderr
    assert "</html>" in page.read_text()
