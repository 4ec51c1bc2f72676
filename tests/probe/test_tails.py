"""Inputs with heavy tails: their law in closed form, and which networks they are fed to."""

from __future__ import annotations

import math

import numpy as np
import pytest
from onnx import helper

import initaudit
from initaudit.probe.inputs.tails import scales
from tests.networks import gated, mlp, model, save


def moment(k: int) -> float:
    """E[s^2k] for 1 % of the values ten times as wide, at E[s^2] = 1."""
    return (0.99 + 0.01 * 10.0 ** (2 * k)) / (0.99 + 0.01 * 10.0**2) ** k


def squarings(count: int, width: int = 4096) -> initaudit.Report:
    """The audit of z^2, z^4, ..., each behind a factor of one per feature, which a 1 x 1 convolution is for each position."""
    nodes, value = [], "x"
    for i in range(count):
        nodes.append(helper.make_node("Mul", [value, value], [f"q{i}"]))
        nodes.append(helper.make_node("Conv", [f"q{i}", "w"], [f"z{i}"], f"square{i}"))
        value = f"z{i}"
    weights = {"w": np.ones((1, 1, 1), np.float32)}
    return initaudit.audit(
        model(nodes, {"x": ["N", 1, width]}, [value], weights), probe="forward", input_spectrum="white"
    )


@pytest.mark.parametrize("shape", [(7,), (16, 64), (10, 3, 31)])
def test_the_variance_of_the_inputs_stays_what_it_was(shape):
    """A mean square of one, and one wide value at least."""
    s = scales(shape, np.random.default_rng(0))

    assert s.shape == shape
    assert np.mean(s**2) == pytest.approx(1.0)
    assert s.max() == pytest.approx(10 * s.min())


def test_the_kurtosis_is_that_of_a_feature_that_is_rarely_on():
    """3 E[s^4] = 77: a standardised feature that is on in 1.27 % of the rows has 1 / (p (1 - p)) - 3."""
    rng = np.random.default_rng(0)
    z = scales((4_000_000,), rng) * rng.standard_normal(4_000_000)

    assert np.mean(z**4) == pytest.approx(3 * moment(2), rel=0.03)
    assert 3 * moment(2) == pytest.approx(1 / (0.0127 * 0.9873) - 3, rel=0.01)


def test_squares_of_the_input_grow_by_the_moments_of_its_law():
    """E[(s g)^2m] / E[g^2m] = E[s^2m]: the root mean square of z^2 grows by sqrt(25.5), that of z^4 by sqrt(6.4e4)."""
    tails = squarings(2).audit.probe.tails

    assert tails["square0"] == pytest.approx(math.sqrt(moment(2)), rel=0.15)
    assert tails["square1"] == pytest.approx(math.sqrt(moment(4)), rel=0.5)


def test_the_first_layer_that_departs_is_named_and_how_far_it_goes():
    """A square alone is no other network; its square is."""
    (finding,) = (f for f in squarings(2).findings if f.code == "INI409")

    assert (finding.layer, finding.severity) == ("square1", "info")
    assert finding.evidence["measured"] == pytest.approx(math.sqrt(moment(4)), rel=0.5)
    assert f"{finding.evidence['measured']:.3g} times" in finding.message


def test_values_that_leave_the_finite_numbers_are_a_warning():
    """x^32 of N(0, 1) is finite in float32, x^32 of a value of 17 standard deviations is not."""
    report = squarings(5)
    (finding,) = (f for f in report.findings if f.code == "INI409")

    assert report.audit.probe.nonfinite_node is None
    assert math.isinf(report.audit.probe.tails["square4"])
    assert finding.severity == "warning"
    assert "overflow at square4" in finding.message


@pytest.mark.parametrize(
    "network",
    [mlp((64, 64, 64, 10)), gated(4, "Sigmoid"), gated(4, norm=True)],
    ids=["mlp", "sigmoid gate", "behind a norm"],
)
def test_a_network_that_grows_no_faster_than_its_input_is_not_run_again(network):
    """No run, no note, no finding."""
    probe = initaudit.audit(network, probe="forward").audit.probe

    assert probe.tails == {}
    assert not [note for note in probe.notes if "heavy tails" in note]


def test_the_users_own_data_is_all_that_is_fed(tmp_path):
    """It has the tails that it has."""
    np.savez(tmp_path / "data.npz", x=np.random.default_rng(0).standard_normal((8, 64)).astype(np.float32))
    path = save(gated(4), tmp_path / "m.onnx")

    assert initaudit.audit(path, probe="forward").audit.probe.tails
    assert initaudit.audit(path, probe="forward", input_data=str(tmp_path / "data.npz")).audit.probe.tails == {}
