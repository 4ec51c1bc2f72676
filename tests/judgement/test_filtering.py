"""What counts of what was found, in which order, and the reason of what does not."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from initaudit.config import Config, Ignore
from initaudit.findings import Finding, Severity
from initaudit.judgement.baseline import Baseline
from initaudit.judgement.filtering import apply_filters
from initaudit.measuring.measure import measure
from tests.extracting import extract
from tests.networks import mlp

if TYPE_CHECKING:
    from initaudit.measuring.layer_audit import LayerAudit

LAYERS: Sequence[LayerAudit] = measure(extract(mlp([4, 4, 4, 4])).layers)[0]
"""`/fc0/Gemm`, `/fc1/Gemm` and `/fc2/Gemm`, in this order."""


def found(code: str = "INI101", layer: str | None = "/fc0/Gemm", severity: str = "error", **more: str) -> Finding:
    """One finding."""
    return Finding(code=code, name="weight-too-small", severity=Severity(severity), layer=layer, message="m", **more)


def kept(
    *findings: Finding, baseline: Baseline | None = None, model: str = "m.onnx", **options: object
) -> tuple[Finding, ...]:
    """What is left of them with these options."""
    return apply_filters(findings, Config(**options), baseline, LAYERS, model)


@pytest.mark.parametrize(
    ("selectors", "codes"),
    [
        (("ALL",), ["INI101", "INI401"]),
        (("INI4",), ["INI401"]),
        (("INI101", "INI401"), ["INI101", "INI401"]),
        (("Weight-Too-Small",), ["INI101", "INI401"]),
        (("INI9",), []),
        ((), []),
    ],
)
def test_only_what_was_selected_is_kept(selectors: tuple[str, ...], codes: list[str]) -> None:
    """By code, beginning of a code, or name; one selector that fits is enough."""
    assert [f.code for f in kept(found("INI101"), found("INI401"), select=selectors)] == codes


def test_an_ignored_finding_stays_with_its_reason() -> None:
    """The first entry that applies gives it; the other findings count."""
    ignores = (
        Ignore(rule="INI101", layer="/fc1/*", reason="tied on purpose"),
        Ignore(rule="INI101", layer="*fc1*", reason="said later"),
    )

    first, second = kept(found(), found(layer="/fc1/Gemm"), ignore=ignores)

    assert (first.layer, first.suppressed) == ("/fc0/Gemm", None)
    assert (second.layer, second.suppressed) == ("/fc1/Gemm", "tied on purpose")


def test_a_known_finding_is_suppressed_in_its_model_only() -> None:
    """The baseline says which model a finding is known from."""
    known = Baseline(Path("accepted.json"), {"m.onnx": frozenset({found().fingerprint})})

    assert [f.suppressed for f in kept(found(), baseline=known, model="folder/m.onnx")] == ["known from accepted.json"]
    assert [f.suppressed for f in kept(found(), baseline=known, model="other.onnx")] == [None]
    assert [f.suppressed for f in kept(found("INI102"), baseline=known)] == [None]


def test_a_reason_in_the_configuration_goes_before_the_baseline() -> None:
    """It says more than that the finding is known."""
    known = Baseline(Path("accepted.json"), {"m.onnx": frozenset({found().fingerprint})})

    (finding,) = kept(found(), baseline=known, ignore=(Ignore(rule="ALL", reason="frozen"),))

    assert finding.suppressed == "frozen"


EXPECTED_ORDER = (
    found("INI901", None, "error"),
    found("INI101", "/fc0/Gemm", "error"),
    found("INI401", "/fc0/Gemm", "error"),
    found("INI101", "/fc1/Gemm", "error", initializer="a"),
    found("INI101", "/fc1/Gemm", "error", initializer="b"),
    found("INI101", "/fc2/Gemm", "error"),
    found("INI101", "/fc0/Gemm", "warning"),
    found("INI901", None, "info", initializer="a"),
    found("INI901", None, "info", initializer="b"),
    found("INI101", "/fc0/Gemm", "info"),
)


@given(st.permutations(EXPECTED_ORDER))
def test_the_order_depends_on_what_was_found_alone(shuffled: list[Finding]) -> None:
    """Most severe first; then what concerns the whole model, then by depth, by code, by tensor."""
    assert kept(*shuffled) == EXPECTED_ORDER
