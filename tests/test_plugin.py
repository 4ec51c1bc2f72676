"""Rules, operators and formats of another package, really installed: built by pip, found by their entry points."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from onnx import helper

from tests.networks import model, save

HERE = Path(__file__).resolve().parent
WIDTH = 64


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the example package is installed to."""
    folder = tmp_path_factory.mktemp("plugin")
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(folder), str(HERE / "plugin")]
    subprocess.run(command, check=True, capture_output=True)
    zipfile.ZipFile(next(folder.glob("*.whl"))).extractall(folder / "site")
    return folder / "site"


@pytest.fixture
def dense(tmp_path: Path) -> str:
    """Three acme:Dense layers, He before ReLU, the second of 63 units; the head has 10 and no activation."""
    rng = np.random.default_rng(0)
    nodes, tensors, value = [], {}, "x"
    for i, (before, after) in enumerate([(WIDTH, WIDTH), (WIDTH, 63), (63, 10)]):
        tensors[f"fc{i}.weight"] = rng.normal(0, math.sqrt(2 / before), (before, after)).astype(np.float32)
        tensors[f"fc{i}.bias"] = np.zeros(after, np.float32)
        inputs = [value, f"fc{i}.weight", f"fc{i}.bias"]
        nodes.append(helper.make_node("Dense", inputs, [f"z{i}"], f"fc{i}", domain="acme"))
        if i < 2:
            nodes.append(helper.make_node("Relu", [f"z{i}"], [f"a{i}"], f"act{i}"))
            value = f"a{i}"
    return save(model(nodes, {"x": ["N", WIDTH]}, ["z2"], tensors, domains=["acme"]), tmp_path / "dense.onnx")


def run(site: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """initaudit with the package on its path; weights only."""
    return subprocess.run(
        [sys.executable, "-m", "initaudit", "check", "--isolated", "-q", "--probe", "none", *arguments],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(site), str(HERE.parent)])},
        capture_output=True,
        text=True,
        check=False,
    )


def test_operators_of_another_package_are_layers_like_any_other(installed: Path, dense: str):
    """What follows, what is fed, which is the head and the target are read off the graph as for MatMul and Gemm."""
    done = run(installed, "--output-format", "json", dense)

    layers = json.loads(done.stdout)["reports"][0]["layers"]
    assert [layer["op_type"] for layer in layers] == ["Dense"] * 3
    assert [layer["activation"] for layer in layers] == ["relu", "relu", None]
    assert [layer["feeds"] for layer in layers] == [["relu"], ["relu"], ["output"]]
    assert [layer["target"]["scheme"] for layer in layers] == ["he_normal", "he_normal", "xavier_uniform"]
    assert [layer["provenance"]["untrained"] for layer in layers[:2]] == [True, True]


def test_a_product_of_another_package_is_what_the_layer_in_front_of_it_feeds(installed: Path, tmp_path: Path):
    """Two products in a row without an activation: the first feeds a layer and is no head."""
    rng = np.random.default_rng(0)
    weights = {f"w{i}": rng.normal(0, 0.2, (WIDTH, WIDTH)).astype(np.float32) for i in range(2)}
    nodes = [
        helper.make_node("Dense", ["x", "w0"], ["h"], "first", domain="acme"),
        helper.make_node("Dense", ["h", "w1"], ["y"], "second", domain="acme"),
    ]
    path = save(model(nodes, {"x": ["N", WIDTH]}, ["y"], weights, domains=["acme"]), tmp_path / "two.onnx")

    done = run(installed, "--output-format", "json", path)

    first, second = json.loads(done.stdout)["reports"][0]["layers"]
    assert first["feeds"] == ["layer"]
    assert second["feeds"] == ["output"]
    assert first["target"]["why"] != second["target"]["why"]


def test_a_rule_of_another_package_judges_and_one_that_raises_costs_itself_alone(installed: Path, dense: str):
    """The finding of the sound one stands; the broken one is named in one line, and the exit code says that not all was judged."""
    done = run(installed, "--output-format", "json", dense)

    report = json.loads(done.stdout)["reports"][0]
    assert [f["layer"] for f in report["findings"] if f["code"] == "ACM001"] == ["fc1"]
    assert not [f for f in report["findings"] if f["code"] == "ACM002"]
    assert report["failed_rules"] == ["rule ACM002 (acme_audit.Broken) failed: ZeroDivisionError: no units at all"]
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "ACM002 (acme_audit.Broken)" in done.stderr
    assert "Traceback" not in done.stderr


def test_people_are_told_of_a_rule_that_raised(installed: Path, dense: str, tmp_path: Path):
    """The terminal and the page say it too."""
    page = tmp_path / "page.html"

    text = run(installed, "--output-format", "text", dense)
    run(installed, "-o", str(page), dense)

    assert "Not judged: rule ACM002" in " ".join(text.stdout.split())
    assert "rule ACM002" in page.read_text()


def test_a_format_of_another_package_is_found_by_its_name_and_suffix(installed: Path, dense: str, tmp_path: Path):
    """`--output-format brief`, and `-o FILE.brief`."""
    file = tmp_path / "r.brief"

    named = run(installed, "--output-format", "brief", dense)
    run(installed, "-o", str(file), dense)

    assert named.stdout == file.read_text() != ""
