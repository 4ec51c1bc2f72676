"""Rules, operators and formats of another package, really installed: built by pip, found by their entry points."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from onnx import helper

from tests import warm
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
    options = ["check", "--isolated", "-q", "--probe", "none"]
    return warm.run("initaudit", [*options, *arguments], path=[site, HERE.parent])


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


def test_a_rule_of_another_package_judges(installed: Path, dense: str):
    """Its finding stands among the others."""
    done = run(installed, "--output-format", "json", dense)

    findings = json.loads(done.stdout)["reports"][0]["findings"]
    assert [f["layer"] for f in findings if f["code"] == "ACM001"] == ["fc1"]
    assert done.returncode == 0


def test_a_format_of_another_package_is_found_by_its_name_and_suffix(installed: Path, dense: str, tmp_path: Path):
    """`--output-format brief`, and `-o FILE.brief`."""
    file = tmp_path / "r.brief"

    named = run(installed, "--output-format", "brief", dense)
    run(installed, "-o", str(file), dense)

    assert named.stdout == file.read_text() != ""


HEAD = """
from initaudit.findings import Finding, Severity
from initaudit.format import Format
from initaudit.model.operators import OperatorSpec
from initaudit.op import LayerSpec, Operator
from initaudit.rule import Rule

class Bad(Rule):
    code, name, severity = "BAD001", "bad-rule", Severity.WARNING
    def check(self, audit):
        yield self.finding(None, "found before the fault")
        BODY

class Family(Operator):
    types = ("acme:Dense",)
    def find(self, node, constants):
        BODY

class Loud(Format):
    name, suffix = "loud", ".loud"
    def render(self, document, options):
        BODY
"""
"""A package of which one part is at fault."""


def faulty(folder: Path, entry: str, body: str, head: str = HEAD) -> Path:
    """Installed by hand: the module and what pip writes beside it; `entry` is a line `group=name:Class`."""
    group, _, target = entry.partition("=")
    (folder / "bad_1.dist-info").mkdir(parents=True)
    (folder / "bad_1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: bad\nVersion: 1\n")
    (folder / "bad_1.dist-info" / "entry_points.txt").write_text(f"[initaudit.{group}]\nbad = bad_parts:{target}\n")
    (folder / "bad_parts.py").write_text(head.replace("BODY", body))
    return folder


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("raise ZeroDivisionError('no units\\nat all')", "failed: ZeroDivisionError: no units at all"),
        ("yield 'text'", "failed: TypeError: 'text' is no Finding"),
        ("yield self.finding(None, 'm', measured='much')", "failed: TypeError: evidence 'measured' is no number: 'much'"),
        ("yield self.finding(None, 'm', severity='grave')", "failed: ValueError: 'grave' is not a valid Severity"),
        ("raise SystemExit(5)", "failed: SystemExit: 5"),
    ],
)  # fmt: skip
def test_a_rule_that_fails_costs_itself_alone(tmp_path: Path, dense: str, body: str, said: str):
    """It is named in one line, the findings of the others stand, and the exit code says that not all was judged."""
    done = run(faulty(tmp_path, "rules=Bad", body), "--output-format", "json", dense)

    report = json.loads(done.stdout)["reports"][0]
    assert report["failed_rules"] == [f"rule BAD001 (bad_parts.Bad) {said}"]
    assert not [f for f in report["findings"] if f["code"] == "BAD001"]
    assert done.returncode == 2
    assert done.stderr.splitlines() == [f"initaudit: error: {dense}: {report['failed_rules'][0]}"]


def test_people_are_told_of_a_rule_that_failed(tmp_path: Path, dense: str):
    """The terminal and the page say it too."""
    page = tmp_path / "page.html"
    site = faulty(tmp_path / "site", "rules=Bad", "raise RuntimeError('odd')")

    text = run(site, "--output-format", "text", dense)
    run(site, "-o", str(page), dense)

    assert "Not judged: rule BAD001" in " ".join(text.stdout.split())
    assert "rule BAD001" in page.read_text()


@pytest.mark.parametrize("body", ["raise RuntimeError('lost')", "yield 7", "yield LayerSpec(kind='linear')"])
def test_an_operator_family_that_fails_costs_its_own_weights(tmp_path: Path, dense: str, body: str):
    """The weights are listed as not audited, with the reason."""
    done = run(faulty(tmp_path, "ops=Family", body), "--output-format", "json", dense)

    report = json.loads(done.stdout)["reports"][0]
    missed = [s for s in report["coverage"]["skipped"] if s["is_parameter"]]
    assert len(missed) == 6
    assert all("Dense 'fc" in s["reason"] for s in missed)
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("entry", "head", "said"),
    [
        ("rules=Gone", HEAD, "entry point 'bad' of initaudit.rules cannot be loaded"),
        ("rules=Bad", "import nowhere", "cannot be loaded: ModuleNotFoundError: No module named 'nowhere'"),
        ("rules=Bad", HEAD.replace('"BAD001"', '"INI101"'), "two rules have the code INI101"),
        ("rules=Bad", HEAD.replace('code, name, severity = "BAD001", "bad-rule", Severity.WARNING', ""), "has no code"),
        ("formats=Loud", HEAD.replace('".loud"', '".json"'), "write '.json'"),
        ("ops=Family", HEAD.replace('("acme:Dense",)', '"acme:Dense"'), "types must be a tuple"),
        ("ops=Family", HEAD.replace("    def find", '    specs = {"Relu": OperatorSpec()}\n    def find'), "says what Relu does"),
        ("ops=HEAD", HEAD + "\nHEAD = 3\n", "entry point 'bad' of initaudit.ops"),
    ],
)  # fmt: skip
def test_a_package_that_cannot_be_used_costs_itself_alone(tmp_path: Path, dense: str, entry: str, head: str, said: str):
    """It is named with what is wrong with it, in the report too; the report is written; exit code 2, no traceback."""
    done = run(faulty(tmp_path, entry, "pass", head), "--output-format", "json", dense)

    (report,) = json.loads(done.stdout)["reports"]
    assert done.returncode == 2
    assert said in done.stderr
    assert all(line.startswith("initaudit: error: ") for line in done.stderr.splitlines())
    assert report["coverage"]["parameters"] > 0
    assert any(said in line for line in report["failed_rules"])


def test_a_format_that_fails_is_named(tmp_path: Path, dense: str):
    """As that package's fault, not as one of initaudit."""
    done = run(faulty(tmp_path, "formats=Loud", "raise KeyError('x')"), "--output-format", "loud", dense)

    assert done.returncode == 2
    assert "output format 'loud' (bad_parts.Loud) failed: KeyError: 'x'" in done.stderr
    assert "bug" not in done.stderr


def test_operators_of_a_domain_are_what_its_package_says(tmp_path: Path):
    """acme:Gemm is not Gemm where acme says that it only moves values: the layer in front of it is the head."""
    head = HEAD.replace("acme:Dense", "acme:Gemm").replace("    def find", """    specs = {"acme:Gemm": PASS}
    def find""").replace("class Family", """from initaudit.model.operators import Use
PASS = OperatorSpec(use=Use.PASS)

class Family""")  # fmt: skip
    nodes = [helper.make_node("MatMul", ["x", "w"], ["h"], "fc"), helper.make_node("Gemm", ["h"], ["y"], domain="acme")]
    weight = np.random.default_rng(0).normal(0, 0.1, (WIDTH, 10)).astype(np.float32)
    path = save(model(nodes, {"x": ["N", WIDTH]}, ["y"], {"w": weight}, domains=["acme"]), tmp_path / "m.onnx")

    done = run(faulty(tmp_path / "site", "ops=Family", "return iter(())", head), "--output-format", "json", path)

    (layer,) = json.loads(done.stdout)["reports"][0]["layers"]
    assert layer["feeds"] == ["output"]
