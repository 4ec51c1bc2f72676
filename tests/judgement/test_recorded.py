"""A layer that a fix drew in a trained network is untrained until training changes it, whatever its values look like."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import initaudit
from initaudit.findings import Severity
from initaudit.fixing.fixer import exit_code
from initaudit.fixing.record import add_fix
from initaudit.model.digest import digest
from initaudit.model.record import Fix, FixedLayer, FixedTensor
from tests.networks import mlp, normal, trained_like

WIDTHS = [48, 40, 32, 10]
STATIC = initaudit.Config(probe="none")


def trained(**options: object) -> onnx.ModelProto:
    """A trained network."""
    return mlp(WIDTHS, draw=trained_like, bias=normal(0.3), **options)  # type: ignore[arg-type]


def untrained(source: Path | onnx.ModelProto) -> set[tuple[str | None, str]]:
    """The layers that INI601 names as errors, with what is left to do."""
    report = initaudit.audit(source, config=STATIC)
    return {(f.layer, f.remedy) for f in report.active if f.code == "INI601" and f.severity is Severity.ERROR}


def recorded(proto: onnx.ModelProto, *fixes: tuple[str, str, str, str]) -> onnx.ModelProto:
    """The network with a record of fixes of its second layer: scheme, mode, digest before and after; `now` stands for the values that are there."""
    (stored,) = (t for t in proto.graph.initializer if t.name == "fc1.weight")
    now = digest(numpy_helper.to_array(stored))
    for scheme, mode, *digests in fixes:
        before, after = (now if text == "now" else text for text in digests)
        layer = FixedLayer(
            layer="/fc1/Gemm", initializer="fc1.weight", scheme=scheme, rung=None, reason="", std=0.1, bias=None
        )
        tensor = FixedTensor(name="fc1.weight", before=before, after=after)
        fix = Fix(version="1", scheme="auto", mode=mode, seed=0, source="", layers=(layer,), tensors=(tensor,))
        add_fix(proto, fix)
    return proto


def test_what_a_fix_drew_is_to_be_trained_and_prediction_and_file_say_so(tmp_path: Path) -> None:
    """The model is written, as training is what remains; the exit code is that of an audit."""
    proto, written = trained(change={"fc1.weight": np.zeros_like}), tmp_path / "out.onnx"

    result = initaudit.fix(proto, written, config=STATIC)
    would = initaudit.fix(proto, None, config=STATIC)

    for found in (result, would):
        assert [(left.code, left.title) for left in found.left if left.severity is Severity.ERROR] == [
            ("INI601", "fc1")
        ]
        assert "train the layer" in found.left[0].reason
        assert found.now.verdict.status == "fail"
        assert exit_code(found, "error") == 1
    assert untrained(written) == {("/fc1/Gemm", "train-layer")}
    assert not result.held_back


@pytest.mark.parametrize(
    ("fixes", "expected"),
    [
        ([("he_normal", "resample", "a", "now")], True),
        ([("he_normal", "resample", "a", "b")], False),
        ([("he_normal", "rescale", "a", "now")], False),
        ([("repaired", "resample", "a", "now")], False),
        ([("kept", "resample", "a", "now")], False),
        ([("he_normal", "resample", "a", "b"), ("kept", "resample", "b", "now")], True),
        ([("he_normal", "resample", "a", "b"), ("repaired", "resample", "c", "now")], False),
    ],
)
def test_the_record_counts_as_long_as_nothing_else_changed_the_values(
    fixes: list[tuple[str, str, str, str]], expected: bool
) -> None:
    """Training, a scale and a repair leave what was learned; a later fix of another part of the tensor leaves the draw."""
    assert bool(untrained(recorded(trained(), *fixes))) is expected


def test_what_shares_its_weights_with_a_drawn_layer_is_as_untrained() -> None:
    """A record names a tied weight once."""
    tied = mlp([40, 40, 40, 10], draw=trained_like, bias=normal(0.3))
    tied.graph.node[0].input[1] = "fc1.weight"

    assert untrained(recorded(tied, ("he_normal", "resample", "a", "now"))) == {
        ("/fc0/Gemm", "train-layer"),
        ("/fc1/Gemm", "train-layer"),
    }


def test_in_a_fresh_network_a_drawn_layer_is_no_fault() -> None:
    """All are drawn there."""
    report = initaudit.audit(recorded(mlp(WIDTHS), ("he_normal", "resample", "a", "now")), config=STATIC)

    assert report.verdict.context == "fresh"
    assert not [f for f in report.active if f.code == "INI601"]
