"""What a fix did is said alike by the text, the page and the JSON."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from onnx import helper

from initaudit.cli import run
from initaudit.formats import changes
from tests.networks import he, mlp, model, save, trained_like

if TYPE_CHECKING:
    import onnx


@pytest.fixture(autouse=True)
def _measured_here(in_process: None) -> None:
    """Without a process for every network."""


def normed() -> onnx.ModelProto:
    """A network whose one norm has the scale 0."""
    rng = np.random.default_rng(0)
    stored = {"a": he((32, 32), rng), "s": np.zeros(32), "z": np.zeros(32), "b": he((4, 32), rng)}
    nodes = [
        helper.make_node("Gemm", ["x", "a"], ["h"], "/a/Gemm", transB=1),
        helper.make_node("LayerNormalization", ["h", "s", "z"], ["n"], "/n"),
        helper.make_node("Relu", ["n"], ["r"], "/r"),
        helper.make_node("Gemm", ["r", "b"], ["y"], "/b/Gemm", transB=1),
    ]
    return model(nodes, {"x": ["N", 32]}, ["y"], {n: np.asarray(v, np.float32) for n, v in stored.items()})


def wild(bias: np.ndarray) -> np.ndarray:
    bias[3] = 1e4
    return bias


MODELS = {
    "a zero layer": (lambda: mlp([32, 32, 32, 4], change={"fc1.weight": np.zeros_like}), "fresh", 0),
    "a wild bias": (lambda: mlp([32, 32, 32, 4], change={"fc1.bias": wild}), "fresh", 0),
    "a norm": (normed, "fresh", 0),
    "only notes": (lambda: mlp([64, 64, 64, 8], draw=trained_like), "trained", 0),
    "beyond help": (lambda: mlp([16, 16, 16, 4], "Log", change={"fc1.weight": np.zeros_like}), "fresh", 1),
}


@pytest.fixture(params=MODELS)
def reports(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[dict[str, Any], str, str]:
    """The document, the text and the page of one fix, the page as a reader sees it."""
    make, context, code = MODELS[request.param]
    path, out = save(make(), tmp_path / "m.onnx"), tmp_path / "out.onnx"
    files = [tmp_path / f"r.{suffix}" for suffix in ("json", "txt", "html")]
    options = [word for file in files for word in ("--report", str(file))]

    assert run(["fix", "--isolated", "--context", context, path, "-o", str(out), "-q", *options]) == code
    assert out.exists() == (code == 0)

    page = files[2].read_text().replace("<wbr>", "")
    seen = html.unescape(re.sub(r"<[^>]+>", "", re.sub(r"<(script|style).*?</\1>", "", page, flags=re.DOTALL)))
    return json.loads(files[0].read_text()), files[1].read_text(), seen


def test_text_and_page_say_what_the_document_says(reports: tuple[dict[str, Any], str, str]) -> None:
    """What changed from what to what, how and why; what was tried; both verdicts; what stays and why."""
    document, text, page = reports
    fix, now = document["fix"], document["reports"][0]

    for change in fix["changes"]:
        assert changes.moved(change)
        assert change["wrong"] in text
        assert change["wrong"].replace("`", "") in page
        for of, before, after in changes.moved(change):
            assert before != after
            assert f"{of} {before} -> {after}" in text
            assert f"{of} {before} → {after}" in page
        for said in (change["title"], changes.how(change), change["reason"]):
            assert said in text
            assert said in page
    for line in (changes.outcome(fix), *(changes.rung(step, fix) for step in fix["rungs"])):
        assert line in text
        assert line in page
    for verdict in (fix["before"]["verdict"], now["verdict"]):
        assert verdict["reason"] in " ".join(text.split())
        assert verdict["reason"].replace("`", "") in page
    for stays in changes.stays(fix):
        for said in (stays.rule, stays.where, stays.reason):
            assert said in text
            assert said in page
    assert len(fix["left"]) == sum(f["suppressed"] is None for f in now["findings"])


def test_what_nothing_was_written_of_is_said_to_be_a_prediction(tmp_path: Path) -> None:
    """A dry run shows the network as it would be."""
    path, page = save(mlp([32, 32, 4], change={"fc0.weight": np.zeros_like}), tmp_path / "m.onnx"), tmp_path / "r.html"

    run(["fix", "--isolated", "--context", "fresh", path, "--dry-run", "-q", "--report", str(page)])

    assert "The network as it would be: nothing was written." in page.read_text()
    assert "What fix would change" in page.read_text()
    assert "initaudit fix m.onnx -o fixed.onnx" not in page.read_text()


def test_alike_findings_are_told_in_one_line() -> None:
    """A note on forty layers is read once, with three of them by name."""
    left = [
        {"code": "INI201", "name": "rank", "severity": "info", "layer": n, "title": n, "reason": "it is a note"}
        for n in "abcde"
    ]

    assert changes.stays({"refusals": [], "left": left}) == [
        ("INI201 rank", "info", "a, b, c and 2 more", "it is a note")
    ]
