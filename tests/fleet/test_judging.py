"""A stored result under options of today says what a new audit under them would say."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import initaudit
from initaudit.config import Config
from initaudit.errors import UsageError
from initaudit.fleet.judging import findings_of, judged, unfiltered
from initaudit.judgement.baseline import Baseline, load_baseline
from tests.networks import mlp, normal, save

pytestmark = pytest.mark.usefixtures("in_process")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights too small by far, and one layer that is all zero."""
    path = tmp_path_factory.mktemp("models") / "small.onnx"
    save(mlp([16, 16, 16, 16, 4], draw=normal(0.01), change={"fc1.weight": np.zeros_like}), path)
    return path


def untimed(entry: dict) -> dict:
    """As JSON gives it back, without what no two runs share."""
    return json.loads(json.dumps({**entry, "timing": None}))


@pytest.mark.parametrize(
    "options",
    [
        {"probe": "none"},
        {"probe": "none", "ignore": "INI003=meant"},
        {"probe": "none", "select": "INI1,zero-weight", "fail_on": "never"},
        {"probe": "none", "select": "INI6"},
        {"probe": "none", "severity": "INI101=info", "fail_on_incomplete": True},
        {"probe": "none", "min_trainability": 0.9},
        {"ignore": "ALL=every"},
        {"ignore": "INI4:*=signal", "fail_on": "warning", "min_trainability": 0.9},
    ],
    ids=str,
)
def test_a_stored_result_is_judged_as_a_new_audit(model: Path, options: dict):
    """Findings, verdict, sentences, counts, options and gate alike, whatever is selected, ignored or asked of the gate."""
    config = Config(**options)
    stored = json.loads(json.dumps(initaudit.audit(model, config=unfiltered(config)).entry()))

    again = judged(stored, config, None, str(model))

    assert untimed(again) == untimed(initaudit.audit(model, config=config).entry())


def test_a_baseline_of_the_path_holds_for_a_stored_result(model: Path, tmp_path: Path):
    """What it accepts is known, and the sentence says so, as in a new audit."""
    config = Config(probe="none")
    report = initaudit.audit(model, config=config)
    file = tmp_path / "baseline.json"
    file.write_text(Baseline(file, {}).replaced({str(model): report.active}).render())
    accepting = Config(probe="none", baseline=str(file))

    again = judged(report.entry(), accepting, load_baseline(file), str(model))

    assert again["verdict"]["status"] == "pass"
    assert untimed(again) == untimed(initaudit.audit(model, config=accepting).entry())


def test_findings_keep_their_fingerprints(model: Path):
    """They are read, not made again: what they are made from is not in a report."""
    report = initaudit.audit(model, probe="none")

    assert [f.fingerprint for f in findings_of(report.entry())] == [f.fingerprint for f in report.findings]


def test_a_layer_in_the_place_of_a_reason_is_an_error_here_too(model: Path):
    """`INI601=fc1` would accept the finding in every layer of every model."""
    stored = initaudit.audit(model, probe="none").entry()

    with pytest.raises(UsageError, match="is a layer and no reason"):
        judged(stored, Config(ignore="INI601=fc1"), None, str(model))
