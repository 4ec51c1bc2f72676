"""Settings at the command line: what is in force is shown, obeyed, and never misunderstood."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from initaudit.cli import run
from tests.networks import mlp, save

WEAK = {"fc0.weight": lambda w: 0.2 * w, "fc1.weight": lambda w: 0.2 * w}


@pytest.fixture
def weak(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a network whose first two layers are five times too small."""
    monkeypatch.chdir(tmp_path)
    save(mlp([64, 64, 64, 64, 4], change=WEAK), tmp_path / "weak.onnx")
    return tmp_path


def audited(capfd: pytest.CaptureFixture[str], *arguments: str) -> dict:
    capfd.readouterr()
    run(["check", "weak.onnx", "--probe", "none", "--context", "fresh", "-q", "--output-format", "json", *arguments])
    return json.loads(capfd.readouterr().out)["reports"][0]


def found(report: dict, code: str) -> list[tuple[str, str]]:
    return [(f["layer"], f["severity"]) for f in report["findings"] if f["code"] == code]


def test_a_severity_of_the_project_counts(weak: Path, capfd: pytest.CaptureFixture[str]):
    """In the finding, the verdict and the exit code; of a layer, only there."""
    usual = found(audited(capfd), "INI101")
    first = usual[0][0]

    everywhere = audited(capfd, "--severity", "INI101=error")
    there = found(audited(capfd, "--severity", f"INI101:{first}=error"), "INI101")

    assert [severity for _, severity in usual] == ["info", "info"]
    assert everywhere["verdict"]["status"] == "fail"
    assert sorted(severity for _, severity in there) == ["error", "info"]
    assert run(["check", "weak.onnx", "--probe", "none", "-q", "--context", "fresh", "--severity", "INI101=error"]) == 1


def test_a_threshold_of_the_project_counts(weak: Path, capfd: pytest.CaptureFixture[str]):
    """Everywhere, or in one layer, where the others keep theirs."""
    first = found(audited(capfd), "INI101")[0][0]

    assert found(audited(capfd, "--threshold", "INI101.ratio=0.1"), "INI101") == []
    assert len(found(audited(capfd, "--threshold", f"weight-too-small.ratio:{first}=0.1"), "INI101")) == 1


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--threshold", "INI101.ration=1"], "INI101 has no 'ration'; did you mean ratio?; it has ratio"),
        (["--threshold", "INI999.ratio=1"], "no rule is called 'INI999'"),
        (["--severity", "INI999=info"], "no rule is called 'INI999'"),
        (["--severity", "INI101=inf"], "must be one of error, warning, info, not 'inf'; did you mean info?"),
        (["--seed", "-1"], "--seed: must be at least 0, not -1"),
        (["--batch", "0"], "--batch: must be at least 1, not 0"),
        (["--timeout", "0"], "--timeout: must be more than 0 seconds"),
        (["--input-shape", "image:0x64"], "has a dimension below 1"),
        (["--fail-om", "error"], "--fail-om"),  # how click words it depends on its version
    ],
    ids=lambda value: value[1] if isinstance(value, list) else "",
)
def test_an_option_that_cannot_be_followed_is_one_line(
    arguments: list[str], complaint: str, weak: Path, capfd: pytest.CaptureFixture[str]
):
    """Exit code 2, before any work, naming the option."""
    code = run(["check", "weak.onnx", *arguments])
    output = capfd.readouterr()

    assert code == 2
    assert output.out == ""
    assert output.err.count("\n") == 1
    assert complaint in output.err


def test_the_settings_in_force_are_shown_with_their_source(
    weak: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    """In words and as a document: every option once, the ones of the model among them."""
    (weak / "initaudit.toml").write_text('seed = 4\n[files."weak.onnx"]\ncontext = "fresh"\n')
    monkeypatch.setenv("INITAUDIT_JOBS", "2")

    assert run(["config", "weak.onnx", "--batch", "8"]) == 0
    text = [line.split() for line in capfd.readouterr().out.splitlines()]
    run(["config", "weak.onnx", "--batch", "8", "--output-format", "json"])
    document = json.loads(capfd.readouterr().out)

    for row in (
        ["seed", "4", "initaudit.toml:1"],
        ["context", "fresh", "initaudit.toml:3"],
        ["jobs", "2", "INITAUDIT_JOBS"],
    ):
        assert row in text
    assert document["settings"]["batch"] == [{"value": 8, "source": "command line", "place": "--batch"}]
    assert document["files"] == ["weak.onnx"]


def test_each_model_meets_its_own_bar(weak: Path):
    """`fail-on` under `files` closes the gate for that model alone."""
    save(mlp([64, 64, 64, 64, 4], change=WEAK), weak / "other.onnx")
    arguments = ["check", "weak.onnx", "--probe", "none", "-q", "--context", "fresh"]

    (weak / "initaudit.toml").write_text('severity = {INI101 = "warning"}\n[files."other.onnx"]\nfail-on = "warning"\n')
    alone = run(arguments)
    both = run([*arguments, "other.onnx"])

    assert (alone, both) == (0, 1)


def test_a_shape_holds_for_the_models_that_it_fits(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    """Of several models; one that fits none of them is an error, as it is for a single one."""
    monkeypatch.chdir(tmp_path)
    save(mlp([32, 32, 4]), tmp_path / "narrow.onnx")
    save(mlp([64, 64, 4]), tmp_path / "wide.onnx")
    both = ["check", "narrow.onnx", "wide.onnx", "--isolated", "--exit-zero"]

    code = run([*both, "--input-shape", "x:5x32", "--output-format", "json"])
    output = capfd.readouterr()
    reports = json.loads(output.out)["reports"]
    none = run([*both, "--input-shape", "y:5x32", "--probe", "none"])
    told = capfd.readouterr().err

    assert code == 0
    assert reports[0]["probe"]["inputs"][0]["shape"] == [5, 32]
    assert reports[1]["probe"]["status"] == "complete"
    assert "note: wide.onnx: --input-shape" in output.err
    assert none == 2
    assert "no model has an input 'y' of this shape" in told


def test_an_array_of_another_width_is_converted(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    """numpy makes float64 and int64; a network wants float32."""
    path = save(mlp([32, 32, 4]), tmp_path / "m.onnx")
    values = np.random.default_rng(0).integers(0, 9, (8, 32))
    codes = []
    for dtype in ("float64", "int64"):
        np.save(tmp_path / f"{dtype}.npy", values.astype(dtype))
        codes.append(run(["check", path, "--isolated", "-q", "--input-data", str(tmp_path / f"{dtype}.npy")]))

    assert codes == [0, 0]
    assert "nothing measured" not in capfd.readouterr().out
