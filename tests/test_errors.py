"""What is not a sound model is refused in one line that names the file, with exit code 2 and no traceback."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from initaudit.cli import run
from tests.networks import mlp, model, save


def refuse(capfd: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Run `check`; it must exit 2 with one line on stderr, which is returned."""
    code = run(["check", "--isolated", "-q", *arguments])
    error = capfd.readouterr().err

    assert code == 2
    assert "Traceback" not in error
    assert error.count("\n") == 1
    return error


CONTENTS = {
    "empty": (b"", "empty"),
    "text": (b"hello, this is a licence text\n" * 20, "looks like text"),
    "lfs": (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n", "git lfs pull"),
    "gzip": (gzip.compress(b"x"), "gzip"),
    "zip": (b"PK\x03\x04rest", "zip"),
    "ort": (b"\x20\0\0\0ORTMrest", ".ort"),
    "no graph": (onnx.ModelProto(ir_version=8).SerializeToString(), "no graph"),
    "truncated": (mlp([8, 8]).SerializeToString()[:-3], "truncated or damaged"),
}


@pytest.mark.parametrize("case", CONTENTS)
def test_foreign_bytes_are_named_for_what_they_are(case: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    """The reader learns what the file is and what to do."""
    content, reason = CONTENTS[case]
    path = tmp_path / "model.onnx"
    path.write_bytes(content)

    error = refuse(capfd, str(path))

    assert reason in error
    assert str(path) in error


def test_a_missing_file_is_named(capfd: pytest.CaptureFixture[str]):
    """As any tool would."""
    assert "nowhere.onnx: No such file" in refuse(capfd, "nowhere.onnx")


def test_a_directory_without_models_is_no_success(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    """A gate that finds nothing to check must not pass."""
    assert "no .onnx file" in refuse(capfd, str(tmp_path))


def test_a_glob_without_matches_is_no_success(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    """Neither must a typo in a pattern."""
    assert "matches no file" in refuse(capfd, str(tmp_path / "*.onnx"))


def external(location: str, *, length: int | None = None) -> onnx.ModelProto:
    """A model whose first weight lies in a file."""
    proto = mlp([8, 8])
    weight = proto.graph.initializer[0]
    weight.ClearField("raw_data")
    weight.data_location = TensorProto.EXTERNAL
    entries = {"location": location} | ({} if length is None else {"length": str(length)})
    for key, value in entries.items():
        entry = weight.external_data.add()
        entry.key, entry.value = key, value
    return proto


@pytest.mark.parametrize(
    ("location", "reason"),
    [
        ("missing.bin", "is missing"),
        ("../outside.bin", "outside the model's folder"),
        ("/etc/hostname", "not a relative path"),
        ("short.bin", "bytes"),
        ("sub", "not a regular file"),
        ("link.bin", "outside the model's folder"),
    ],
)
def test_external_data_is_read_only_from_the_models_folder(
    location: str, reason: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    """Paths that climb out or follow a link out are refused (CVE-2024-27318, CVE-2025-51480)."""
    folder = tmp_path / "model"
    (folder / "sub").mkdir(parents=True)
    (tmp_path / "outside.bin").write_bytes(bytes(1000))
    (folder / "short.bin").write_bytes(bytes(10))
    (folder / "link.bin").symlink_to(tmp_path / "outside.bin")
    path = save(external(location), folder / "m.onnx")

    error = refuse(capfd, path, "--probe", "none")

    assert reason in error
    assert "fc0.weight" in error


def test_one_unreadable_model_does_not_stop_the_others(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    """Each model gets a report; the exit code is 2."""
    good = save(mlp([16, 16, 4]), tmp_path / "a.onnx")
    (tmp_path / "b.onnx").write_bytes(b"nonsense")

    code = run(["check", "--isolated", "-q", "--probe", "none", "--output-format", "json", str(tmp_path)])
    reports = json.loads(capfd.readouterr().out)["reports"]

    assert code == 2
    assert [r["verdict"]["status"] for r in reports] == ["pass", "error"]
    assert reports[0]["model"]["path"] == good


def audit_gap(proto: onnx.ModelProto, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> dict:
    """The report of a model that can be audited only in part."""
    code = run(["check", "--isolated", "-q", "--output-format", "json", save(proto, tmp_path / "m.onnx")])
    output = capfd.readouterr()

    assert code in (0, 1), output.err
    assert "Traceback" not in output.err
    return json.loads(output.out)["reports"][0]


def test_a_custom_operator_leaves_the_static_audit_standing(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    """The probe says which operator it cannot run."""
    nodes = [
        helper.make_node("Gemm", ["x", "w"], ["z"], "fc", transB=1),
        helper.make_node("Frobnicate", ["z"], ["y"], "frob", domain="acme"),
    ]
    weight = np.random.default_rng(0).normal(0, 0.2, (32, 32)).astype(np.float32)

    report = audit_gap(model(nodes, {"x": ["N", 32]}, ["y"], {"w": weight}, domains=["acme"]), tmp_path, capfd)

    assert report["layers"][0]["stats"]["std"] == pytest.approx(0.2, rel=0.1)
    assert report["layers"][0]["signal"] is None
    assert "Frobnicate" in report["probe"]["reason"]
    assert "INI902" in {f["code"] for f in report["findings"]}


def test_an_operator_set_of_the_future_leaves_the_static_audit_standing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    """onnxruntime refuses it; the weights can still be weighed."""
    proto = mlp([32, 32])
    proto.opset_import[0].version = 999

    report = audit_gap(proto, tmp_path, capfd)

    assert len(report["layers"]) == 1
    assert report["probe"]["status"] == "failed"
    assert "999" in report["probe"]["reason"]


def test_a_model_without_weights_is_audited_as_such(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    """Nothing to find is no failure."""
    report = audit_gap(model([helper.make_node("Relu", ["x"], ["y"])], {"x": [4]}, ["y"], {}), tmp_path, capfd)

    assert report["layers"] == []
    assert report["coverage"]["parameters"] == 0


def test_weights_that_are_inputs_without_values_are_listed(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    """They may be given at run time; the file does not hold them."""
    nodes = [helper.make_node("Gemm", ["x", "w"], ["y"], "fc", transB=1)]

    report = audit_gap(model(nodes, {"x": ["N", 8], "w": [8, 8]}, ["y"], {}), tmp_path, capfd)

    assert report["layers"] == []
    assert [s["initializer"] for s in report["coverage"]["skipped"]] == ["w"]


def test_an_option_that_cannot_be_followed_is_a_usage_error(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    """Click's own errors and ours both exit 2."""
    path = save(mlp([8, 8]), tmp_path / "m.onnx")

    assert run(["check", path, "--context", "stale"]) == 2
    assert run(["check", path, "--max-memory", "lots"]) == 2
    assert run(["check", path, "--output-format", "pdf"]) == 2
    assert run(["check", path, "--input-shape", "3x3"]) == 2
    assert run(["nonsense"]) == 2
    assert "Traceback" not in capfd.readouterr().err
