"""`initaudit diff` as a pipeline calls it."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import jsonschema
import numpy as np
import pytest

from initaudit.cli import run
from initaudit.format import all_formats
from tests.formats.test_sarif import validator as sarif
from tests.networks import mlp, save

QUICK = ("--isolated", "--probe", "none", "--context", "fresh", "-q")
SCHEMA = json.loads(files("initaudit").joinpath("schema.json").read_text())
XSD = Path(__file__).parents[1] / "formats" / "schemas" / "junit-10.xsd"


@pytest.fixture(scope="module")
def sides(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A healthy network, the same with two layers set to zero, and a JSON report on each."""
    folder = tmp_path_factory.mktemp("diff")
    for name, change in (("well", {}), ("sick", {"fc1.weight": np.zeros_like, "fc2.weight": lambda w: w * 1.5})):
        path = save(mlp([16, 16, 16, 4], change=change), folder / f"{name}.onnx")
        run(["check", *QUICK, path, "-o", str(folder / f"{name}.json")])
    return folder


def compared(capfd: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict]:
    """Exit code and document, which is as the schema has it."""
    code = run(["diff", *QUICK, "--output-format", "json", *arguments])
    document = json.loads(capfd.readouterr().out)
    jsonschema.validate(document, SCHEMA)
    return code, document


@pytest.mark.parametrize(
    "kinds", [("onnx", "onnx"), ("json", "json"), ("json", "onnx"), ("onnx", "json")], ids="-".join
)
def test_models_and_reports_give_the_same_comparison(kinds, sides: Path, capfd: pytest.CaptureFixture[str]):
    """Either side may be a model or the report on it; only how far the weights moved needs both models."""
    before, after = (str(sides / f"{name}.{kind}") for name, kind in zip(("well", "sick"), kinds, strict=True))

    code, document = compared(capfd, before, after)
    (model,) = document["comparisons"]
    layers = {row["title"]: row for row in model["layers"]}

    assert code == document["gate"]["exit_code"] == 1
    assert model["outcome"] == "worse"
    assert [f["code"] for f in model["findings"] if f["state"] == "new" and f["severity"] == "error"] == ["INI003"]
    assert [layers[name]["state"] for name in ("fc1", "fc2")] == ["changed", "changed"]
    assert layers["fc0"]["state"] == ("unchanged" if kinds == ("onnx", "onnx") else "alike")
    assert layers["fc2"]["change"] == (pytest.approx(0.5) if kinds == ("onnx", "onnx") else None)


def test_the_exit_code_is_of_what_is_new(sides: Path):
    """What was there before closes no gate, nor does what is mended."""
    well, sick = str(sides / "well.json"), str(sides / "sick.json")

    assert run(["diff", *QUICK, well, sick]) == 1
    assert run(["diff", *QUICK, well, sick, "--fail-on", "never"]) == 0
    assert run(["diff", *QUICK, sick, sick, "--fail-on", "warning"]) == 0
    assert run(["diff", *QUICK, sick, well]) == 0


def test_every_format_shows_what_is_new(sides: Path, tmp_path: Path):
    """SARIF with its states, JUnit with a failing case, annotations of what came; what was there before is not told again."""
    import xmlschema

    worse, same = tmp_path / "worse", tmp_path / "same"
    for folder, before in ((worse, "well"), (same, "sick")):
        folder.mkdir()
        outputs = [
            a
            for name, f in all_formats().items()
            for a in ("--output-format", name, "-o", str(folder / f"r{f.suffix}"))
        ]
        run(["diff", *QUICK, str(sides / f"{before}.json"), str(sides / "sick.json"), *outputs])
    log = json.loads((worse / "r.sarif").read_text())
    sarif().validate(log)
    xmlschema.XMLSchema(str(XSD)).validate(io.StringIO((worse / "r.xml").read_text()))

    assert {r["baselineState"] for r in log["runs"][0]["results"] if r["ruleId"] == "INI003"} == {"new"}
    assert "unchanged" in (same / "r.sarif").read_text()
    for suffix in (".txt", ".html", ".md", ".json", ".github.txt", ".gitlab.json", ".sarif"):
        assert "INI003" in (worse / f"r{suffix}").read_text(), suffix
    assert "<failure" in (worse / "r.xml").read_text()
    assert "<failure" not in (same / "r.xml").read_text()
    assert (same / "r.github.txt").read_text() == "initaudit: nothing to annotate\n"
    assert (worse / "r.csv").read_text().count("\n") == 4


def test_gone_is_absent_in_sarif(sides: Path, tmp_path: Path):
    """OASIS' word for a result that the baseline had."""
    output = tmp_path / "r.sarif"
    run(["diff", *QUICK, str(sides / "sick.json"), str(sides / "well.json"), "-o", str(output)])
    log = json.loads(output.read_text())
    sarif().validate(log)

    assert {r["baselineState"] for r in log["runs"][0]["results"]} == {"absent"}


def test_an_unchanged_layer_closes_the_gate_where_it_is_asked(sides: Path, capfd: pytest.CaptureFixture[str]):
    """A frozen layer is found between two checkpoints; between reports that cannot be said, and is refused."""
    well, sick = str(sides / "well.onnx"), str(sides / "sick.onnx")

    code, document = compared(capfd, sick, well, "--fail-on-unchanged")
    assert code == 1
    assert document["gate"]["missed"] == ["/fc0/Gemm did not change (--fail-on-unchanged)"]
    assert run(["diff", *QUICK, str(sides / "well.json"), sick, "--fail-on-unchanged"]) == 2
    assert "needs two models" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ('{"a": 1}', "is no JSON report of `initaudit check`"),
        ("{", "is no JSON: "),
        ('{"schema_version": "9", "tool": {}, "reports": []}', "has schema_version '9', not '1'"),
        ('{"schema_version": "1", "tool": {"version": "1"}, "reports": [{"model": {}}]}', "it has no 'verdict'"),
        ('{"schema_version": "1", "tool": {"version": "1"}, "reports": 3}', "is no whole JSON report"),
        ("text", "not an ONNX model"),
    ],
)  # fmt: skip
def test_what_is_neither_model_nor_report_is_one_line(content, complaint, sides: Path, tmp_path: Path, capfd):
    """With exit code 2, on either side."""
    file = tmp_path / "x.json"
    file.write_text(content)

    for pair in ((str(file), str(sides / "well.json")), (str(sides / "well.json"), str(file))):
        assert run(["diff", *QUICK, *pair]) == 2
        error = capfd.readouterr().err
        assert complaint in error
        assert error.count("\n") == 1
    assert run(["diff", *QUICK, str(tmp_path / "missing.onnx"), str(file)]) == 2


def test_words_that_mean_nothing_are_refused(sides: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    """A report of another hand must not open the gate."""
    document = json.loads((sides / "sick.json").read_text())
    document["reports"][0]["findings"][0]["severity"] = "fatal"
    (tmp_path / "odd.json").write_text(json.dumps(document))

    assert run(["diff", *QUICK, str(sides / "well.json"), str(tmp_path / "odd.json")]) == 2
    assert (
        "document.reports[0].findings[0].severity is 'fatal', not one of error, warning, info" in capfd.readouterr().err
    )


def test_a_report_comes_through_a_pipe(sides: Path):
    """`initaudit check ... | initaudit diff main.json -` compares with what is audited right now."""
    command = [sys.executable, "-m", "initaudit", "diff", *QUICK, str(sides / "well.json"), "-"]

    result = subprocess.run(command, input=(sides / "sick.json").read_bytes(), capture_output=True, check=False)

    assert result.returncode == 1, result.stderr
    assert b"new  error INI003 zero-weight" in result.stdout
    assert run(["diff", "-", "-"]) == 2


def test_folders_of_models_are_compared_model_by_model(sides: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    """By name below the folder, with the change of the weights; what only one folder has is said."""
    for folder, names in (("old", ("a", "b")), ("new", ("b", "c"))):
        (tmp_path / folder).mkdir()
        for name in names:
            (tmp_path / folder / f"{name}.onnx").write_bytes((sides / "well.onnx").read_bytes())

    code, document = compared(capfd, str(tmp_path / "old"), str(tmp_path / "new"))
    both, gone, new = document["comparisons"]

    assert code == 0
    assert {row["state"] for row in both["layers"]} == {"unchanged"}
    assert gone["before"]["model"]["path"].endswith("old/a.onnx")
    assert (gone["after"], new["before"]) == (None, None)
    assert run(["diff", *QUICK, str(tmp_path / "old"), str(tmp_path / "new"), "--fail-on-unchanged"]) == 1


def test_what_is_new_is_read_first_and_the_rest_is_counted(sides: Path, capfd: pytest.CaptureFixture[str]):
    """Eighty columns, one row a layer."""
    run(["diff", *QUICK, str(sides / "well.onnx"), str(sides / "sick.onnx")])
    lines = capfd.readouterr().out.splitlines()

    assert "WORSE  pass → fail" in lines[:3]
    assert [line.split()[:2] for line in lines if "unchanged" in line or "changed" in line][:3] == [
        ["fc0", "unchanged"], ["fc1", "changed"], ["fc2", "changed"],
    ]  # fmt: skip
    assert lines[-1] == "2 changed, 1 unchanged."
    assert max(map(len, lines[1:])) <= 80
