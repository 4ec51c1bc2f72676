"""What limits SGD is an error only where Adam does not get the network off the ground either."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np

from initaudit.auditor import audit
from initaudit.config import Config
from initaudit.findings import Severity
from initaudit.judgement.context import Context
from initaudit.rules.ini401_vanishing_signal import VanishingSignal
from initaudit.rules.limiting_factor import limiting_factors
from tests.networks import mlp, normal


def test_what_adam_alone_trains_is_a_warning_that_says_so() -> None:
    """Five tanh layers of std 0.01: of digits, SGD gets 0.33 right after 250 steps, Adam 0.97."""
    report = audit(mlp([100, 50, 50, 50, 50, 50], "Tanh", normal(0.01)), Config(context="fresh"))

    limiting = [f for f in report.findings if f.code in ("INI401", "INI501")]
    assert {f.code for f in limiting} == {"INI401", "INI501"}
    assert all(f.severity is Severity.WARNING and "Adam does" in f.message for f in limiting)
    assert report.verdict.status == "warn"


def test_inputs_that_look_alike_to_sgd_are_one_warning() -> None:
    """The default start of PyTorch in a coordinate network: biases outweigh the input, Adam trains it, and INI504 alone says how slowly."""

    def default(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
        return rng.uniform(-1, 1, shape) / math.sqrt(shape[-1])

    def bias(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
        return rng.uniform(-0.125, 0.125, shape)

    report = audit(mlp([63, *[64] * 7, 4], draw=default, bias=bias), Config(context="fresh"))

    loud = {f.code for f in report.findings if f.severity is not Severity.INFO}
    assert report.audit.trainability.takes_adam
    assert "INI504" in loud
    assert not {"INI405", "INI501"} & loud


def test_what_neither_trains_is_an_error() -> None:
    """Twelve such layers: in so many factors of 0.07 nothing is left for Adam to grow."""
    report = audit(mlp([100, *[50] * 12], "Tanh", normal(0.01)), Config(context="fresh"))

    limiting = [f for f in report.findings if f.code in ("INI401", "INI501")]
    assert limiting
    assert all("Adam" not in f.message for f in limiting)
    assert report.verdict.status == "fail"


def test_a_network_that_cannot_learn_fails_whatever_is_known_of_it() -> None:
    """Ignorance of whether it was trained is no reason to let it pass."""
    found = audit(mlp([100, *[50] * 12], "Tanh", normal(0.01)), Config(context="fresh")).audit
    assert found is not None
    unknown = replace(found, context=Context(name="unknown"))

    (limiting,) = limiting_factors(VanishingSignal(), unknown, suggestion="")
    assert limiting.severity is Severity.ERROR


def test_inputs_that_are_too_large_are_named_where_the_gradient_explodes(tmp_path: Path) -> None:
    """The first step of a layer moves its output by the square of its input, whatever the weights."""
    pixels = tmp_path / "pixels.npz"
    np.savez(pixels, x=np.random.default_rng(0).normal(0, 300, (64, 32)).astype(np.float32))

    report = audit(
        mlp([32, 64, 10], draw=lambda shape, rng: rng.normal(0, 1 / 300, shape) * (300 if shape[1] == 64 else 1)),
        Config(context="fresh", input_data=str(pixels)),
    )
    found = [f for f in report.active if f.code == "INI502"]

    assert found
    assert all("root mean square is 3" in f.suggestion for f in found)
