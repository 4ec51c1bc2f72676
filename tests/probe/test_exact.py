"""An exact probe: gradients within the error that it states, and every report says so."""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import pytest
from click.testing import CliRunner
from onnx import numpy_helper

from initaudit.auditor import audit
from initaudit.cli import cli
from initaudit.config import Config
from initaudit.errors import UsageError
from initaudit.format import FormatOptions, find_format
from initaudit.probe.budget import Budget
from initaudit.probe.gradient import Gradient, settled
from initaudit.probe.precision import EXACT, USUAL
from initaudit.settings.settings import load_config
from tests.networks import mlp, normal, save

if TYPE_CHECKING:
    from pathlib import Path

    from initaudit.report.report import Report

LINEAR = mlp([12, 12, 12, 1], "Identity", normal(0.3))
"""Three linear layers in a row with a single answer: |J v|^2 is chi-squared with one degree of freedom, the worst case."""


@cache
def linear(*, exact: bool) -> Report:
    """Its audit, which several tests look at."""
    return audit(LINEAR, Config(context="fresh", exact=exact))


def test_the_gradients_of_a_linear_network_are_its_products_of_weights() -> None:
    """dy/dz of layer l is W2 ... W(l+1): known exactly, and met within three of the standard errors that are claimed."""
    weights = [
        numpy_helper.to_array(t).astype(np.float64) for t in LINEAR.graph.initializer if t.name.endswith("weight")
    ]
    expected = [np.linalg.norm(weights[2] @ weights[1]), np.linalg.norm(weights[2]), 1.0]

    report = linear(exact=True)

    assert report.audit is not None
    signals = [layer.signal for layer in report.audit.layers]
    for signal, norm in zip(signals, expected, strict=True):
        assert signal is not None
        assert signal.gradient_rms == pytest.approx(norm / math.sqrt(signal.elements or 0), rel=3 * EXACT.error)
    assert report.audit.probe.error is not None
    assert report.audit.probe.error <= EXACT.error


def test_an_exact_probe_says_so_and_what_error_remains() -> None:
    """In JSON, in text and on the page, with the error that the score has from it."""
    report = linear(exact=True)
    document = report.to_dict()

    assert document["reports"][0]["probe"]["exact"] is True
    assert document["reports"][0]["probe"]["error"] <= EXACT.error
    assert document["reports"][0]["verdict"]["trainability_error"] < 0.01
    assert "gradients within" in find_format("text").render(document, FormatOptions())
    assert "measured exactly" in report.to_html()


def test_the_answer_changes_within_its_error_only() -> None:
    """Nothing but directions is drawn anew: what is measured is the same."""
    usual, exact = (linear(exact=exact) for exact in (False, True))

    assert usual.verdict.trainability_error is None
    assert exact.verdict.trainability == pytest.approx(usual.verdict.trainability, abs=0.02)


def test_inputs_are_no_error_of_figures_about_them() -> None:
    """Two inputs with squared gradients of 1 and 9, measured without noise: as a sample they are far apart, as they are they are known."""
    squares = [1.0, 9.0] * 8
    sampled = Gradient(squares=squares, weight_squares=squares)
    meant = Gradient(inputs=2, squares=squares, weight_squares=squares)

    assert sampled.error is not None
    assert sampled.error > USUAL.error
    assert meant.error == 0.0
    assert settled({"fc": meant}, EXACT)
    assert not settled({"fc": sampled}, USUAL)


def test_an_exact_probe_has_as_long_as_there_is() -> None:
    """Its work follows from what the time limit comes to in products, not from a clock."""
    usual, exact, patient = (
        Budget(work=1e6, effort=1e6, cost=1e6, most=most, precision=precision)
        for most, precision in ((1e12, USUAL), (1e12, EXACT), (2e12, EXACT))
    )

    assert exact.limit > 10 * usual.limit
    assert patient.limit == 2 * exact.limit


def test_exact_may_be_asked_for_on_the_command_line_and_in_a_file(tmp_path: Path) -> None:
    """As every option of an audit; what is neither true nor false is named."""
    path = save(mlp([4, 4, 2]), tmp_path / "m.onnx")
    given = CliRunner().invoke(
        cli, ["check", "--isolated", "--exact", "-q", "--output-format", "json", path], standalone_mode=False
    )
    (tmp_path / "initaudit.toml").write_text("exact = true\n")
    (tmp_path / "wrong.toml").write_text('exact = "rather"\n')

    assert '"exact": true' in given.output
    assert load_config(tmp_path).exact
    with pytest.raises(UsageError, match="exact"):
        load_config(file=tmp_path / "wrong.toml")
