"""All output formats in one run, as a pipeline asks for them."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from initaudit.cli import run
from initaudit.format import all_formats, format_of
from tests.networks import mlp, save

QUICK = ("--isolated", "--probe", "none", "--context", "fresh", "-q")
FILES = {
    "text": "r.txt", "json": "r.json", "html": "r.html", "sarif": "r.sarif.json", "github": "r.github.txt", "gitlab": "r.gitlab.json",
    "junit": "r.xml", "markdown": "r.md", "csv": "r.csv",
}  # fmt: skip


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the report of a broken file, a sick network and a healthy one in every format, by one run."""
    folder = tmp_path_factory.mktemp("formats")
    (folder / "broken.onnx").write_text("no model")
    save(mlp([16, 16, 16, 4], change={"fc1.weight": np.zeros_like}), folder / "sick.onnx")
    save(mlp([16, 16, 4]), folder / "well.onnx")
    outputs = [argument for name in FILES.values() for argument in ("-o", str(folder / name))]
    assert run(["check", *QUICK, "--fail-on-incomplete", str(folder), *outputs]) == 2
    return folder


def test_every_format_has_its_suffix_and_they_are_written_at_once(written: Path):
    """The longest suffix decides: `r.gitlab.json` is no plain JSON."""
    assert set(FILES) == set(all_formats())
    assert {name: format_of(written / file) for name, file in FILES.items()} == {name: name for name in FILES}
    assert all((written / file).stat().st_size for file in FILES.values())
    assert format_of(Path("report")) is None


def test_all_formats_say_the_same(written: Path):
    """The broken file, the zero layer and the closed gate are in each of them."""
    for file in FILES.values():
        text = (written / file).read_text()
        assert "broken.onnx" in text, file
        assert "INI003" in text, file
    (gate,) = {json.dumps(report["gate"]["missed"]) for report in _json(written, "r.json")["reports"][1:]}
    told = json.loads(gate)

    assert told == ["the signal was not measured (--fail-on-incomplete)"]
    for name in ("text", "html", "sarif", "github", "gitlab", "junit", "markdown"):
        assert told[0] in " ".join((written / FILES[name]).read_text().split()), name


def test_the_exit_code_is_in_the_document(written: Path):
    """What the gate made of each model, and of all of them."""
    codes = [report["gate"]["exit_code"] for report in _json(written, "r.json")["reports"]]

    assert codes == [2, 1, 1]
    assert _json(written, "r.sarif.json")["runs"][0]["invocations"][0]["exitCode"] == 2


def test_one_finding_has_one_fingerprint_in_every_format(written: Path):
    """Who follows a finding from one report to the other finds it."""
    (finding,) = [f for f in _json(written, "r.json")["reports"][1]["findings"] if f["code"] == "INI003"]
    (result,) = [r for r in _json(written, "r.sarif.json")["runs"][0]["results"] if r["ruleId"] == "INI003"]
    suites = ET.parse(written / "r.xml").getroot()
    failing = [case.get("name") for case in suites.iter("testcase") if case.find("failure") is not None]

    assert result["partialFingerprints"]["initaudit/v1"] == finding["fingerprint"]
    assert result["locations"][0]["logicalLocations"][0]["name"] == finding["layer"]
    assert "INI003 zero-weight" in failing


def _json(folder: Path, name: str):
    return json.loads((folder / name).read_text())
