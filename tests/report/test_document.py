"""The JSON document: it follows its published schema, whatever the model."""

from __future__ import annotations

import dataclasses
import json
import shlex
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from onnx import helper

import initaudit
from initaudit.auditor import failed
from initaudit.cli import run
from initaudit.home import DOCUMENTATION
from initaudit.report.document import SCHEMA_VERSION, document
from tests.networks import mlp, model, normal, save

SCHEMA = json.loads(files("initaudit").joinpath("schema.json").read_text())


def valid(reports: list) -> dict:
    """The document, after it went through text and the schema."""
    text = json.dumps(document([report.entry() for report in reports]), allow_nan=False)
    parsed = json.loads(text)
    jsonschema.Draft202012Validator(SCHEMA).validate(parsed)
    return parsed


def test_the_schema_is_itself_valid():
    """Draft 2020-12."""
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_the_command_prints_the_schema_with_its_identity_and_version(capfd: pytest.CaptureFixture[str]):
    """A program that reads reports can keep the schema by its name; it changes with `schema_version` alone."""
    assert run(["schema"]) == 0
    schema = json.loads(capfd.readouterr().out)

    assert schema == SCHEMA
    assert schema["version"] == schema["$defs"]["document"]["properties"]["schema_version"]["const"] == SCHEMA_VERSION
    assert schema["$id"] == f"{DOCUMENTATION}schema-{SCHEMA_VERSION}.json"


@pytest.mark.parametrize("probe", ["none", "forward", "full"])
def test_a_sound_network_follows_the_schema(probe: str):
    """With and without a signal."""
    document_ = valid([initaudit.audit(mlp([32, 32, 10]), probe=probe)])

    layers = document_["reports"][0]["layers"]
    assert all((layer["signal"] is None) == (probe == "none") for layer in layers)


def test_nan_and_infinity_become_null():
    """JSON has no such numbers; a network that overflows still gives a document."""
    report = initaudit.audit(
        mlp([16, 16, 4], change={"fc0.weight": lambda w: w * 1e30, "fc1.weight": lambda w: w * np.inf})
    )

    document_ = valid([report])

    assert document_["reports"][0]["verdict"]["status"] == "fail"


def test_an_unreadable_model_follows_the_schema():
    """Status error, the reason, and nothing else."""
    document_ = valid([failed("m.onnx", "m.onnx: the file is empty")])

    assert document_["reports"][0]["verdict"] | {"evidence": []} == {
        "status": "error",
        "context": "unknown",
        "trainability": None,
        "optimisers": None,
        "slowness": None,
        "slowness_why": "the model could not be audited",
        "reason": "m.onnx: the file is empty",
        "headline": None,
        "evidence": [],
        "obstacle": None,
        "trainability_error": None,
        "first_lost": None,
    }


def test_operators_of_every_kind_follow_the_schema():
    """Kinds, norms, recurrent parts and embeddings fit the enumerations."""
    rng = np.random.default_rng(0)
    hidden, inputs = 8, 6
    tensors = {
        "table": rng.normal(0, 1, (20, inputs)).astype(np.float32),
        "w": rng.uniform(-0.3, 0.3, (1, 4 * hidden, inputs)).astype(np.float32),
        "r": rng.uniform(-0.3, 0.3, (1, 4 * hidden, hidden)).astype(np.float32),
        "gamma": np.ones(hidden, np.float32),
        "beta": np.zeros(hidden, np.float32),
        "ids": np.arange(12).reshape(4, 3),
    }
    nodes = [
        helper.make_node("Gather", ["table", "ids"], ["e"], "embed"),
        helper.make_node("Add", ["e", "x"], ["ex"]),
        helper.make_node("LSTM", ["ex", "w", "r"], ["h"], "rnn", hidden_size=hidden),
        helper.make_node("LayerNormalization", ["h", "gamma", "beta"], ["y"], "ln"),
    ]

    document_ = valid([initaudit.audit(model(nodes, {"x": [4, 3, inputs]}, ["y"], tensors))])

    kinds = {layer["kind"] for layer in document_["reports"][0]["layers"]}
    assert {"lstm", "norm"} <= kinds


def test_two_audits_of_one_file_agree_in_every_byte_apart_from_times():
    """Same model, same seed, same report; what differs has keys of its own."""
    documents = [initaudit.audit(mlp([32, 32, 10], draw=normal(0.3)), seed=5).to_dict() for _ in range(2)]
    for document_ in documents:
        assert document_.pop("run")["command"] is None
        assert document_["reports"][0].pop("timing")["seconds"] > 0

    assert json.dumps(documents[0]) == json.dumps(documents[1])


def test_the_document_says_which_options_were_in_force():
    """All of them, those that nobody gave too: who reads the report can run it again."""
    accepted = initaudit.Ignore(rule="INI103", layer="fc0*", reason="tied")
    report = initaudit.audit(mlp([32, 32, 10]), probe="none", ignore=[accepted], input_shapes={"x": (4, 32)})

    options = valid([report])["reports"][0]["options"]

    assert set(options) == {field.name for field in dataclasses.fields(initaudit.Config)}
    assert options["probe"] == "none"
    assert options["seed"] == 0
    assert options["ignore"] == [{"rule": "INI103", "layer": "fc0*", "reason": "tied"}]
    assert options["input_shapes"] == {"x": [4, 32]}


def test_counts_are_of_what_counts():
    """Suppressed findings are counted apart."""
    model_ = mlp([32, 32, 4], change={"fc0.weight": np.zeros_like})
    loud = initaudit.audit(model_, probe="none", context="fresh")
    silenced = initaudit.audit(model_, probe="none", context="fresh", ignore="INI003")

    before, after = (document_["counts"] for document_ in valid([loud, silenced])["reports"])

    assert before["error"] == loud.count(initaudit.Severity.ERROR) == 1
    assert before["suppressed"] == 0
    assert after == {**before, "error": 0, "suppressed": 1}


def test_the_gate_is_that_of_the_options_whoever_asked_for_the_audit(tmp_path: Path):
    """A report that Python code saves is as red as that of the command line."""
    model_ = mlp([32, 32, 4], change={"fc0.weight": np.zeros_like})
    options = {"probe": "none", "context": "fresh", "min_trainability": 0.5}
    report = initaudit.audit(model_, **options)

    closed, opened = (
        valid([r])["reports"][0]["gate"] for r in (report, initaudit.audit(model_, **{**options, "fail_on": "never"}))
    )
    report.save(tmp_path / "r.xml")

    lacking = ["trainability was not measured (--min-trainability 0.5)"]
    assert closed == {"fail_on": "error", "missed": lacking, "exit_code": 1}
    assert opened == {"fail_on": "never", "missed": lacking, "exit_code": 1}
    assert initaudit.audit(model_, probe="none", context="fresh", fail_on="never").exit_code() == 0
    assert lacking[0] in (tmp_path / "r.xml").read_text()


def test_a_file_of_no_format_is_refused(tmp_path: Path):
    """Rather than filled with what nobody asked for."""
    report = initaudit.audit(mlp([8, 8, 4]), probe="none")

    with pytest.raises(initaudit.UsageError, match="no format has the suffix"):
        report.save(tmp_path / "r.jsn")
    report.save(tmp_path / "r", output_format="text")

    assert [path.name for path in tmp_path.iterdir()] == ["r"]
    assert "PASS" in (tmp_path / "r").read_text()


def test_the_document_says_when_and_with_which_versions(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    """The command can be run again as it stands."""
    path = save(mlp([8, 8, 4]), tmp_path / "my model.onnx")

    run(["check", "--isolated", "-q", "--probe", "none", "--output-format", "json", path])
    document_ = json.loads(capfd.readouterr().out)

    assert shlex.split(document_["run"]["command"])[-1] == path
    assert document_["run"]["versions"]["numpy"] == np.__version__
    age = datetime.now(UTC) - datetime.fromisoformat(document_["run"]["started"])
    assert timedelta(0) <= age < timedelta(minutes=2)


def test_rows_are_flat():
    """One dict per layer with plain values, ready for a data frame."""
    rows = initaudit.audit(mlp([32, 16, 10]), probe="none").rows()

    assert [(r["fan_in"], r["fan_out"], r["activation"]) for r in rows] == [(32, 16, "relu"), (16, 10, None)]
    assert all(not isinstance(v, dict | list) for r in rows for v in r.values())
