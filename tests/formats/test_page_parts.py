"""Addresses of layers, order and names of models, and the quantities that the page draws."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from initaudit.formats.page import words
from initaudit.formats.page.anchors import layer_anchors
from initaudit.formats.page.overview import by_urgency, common_folder
from initaudit.formats.page.series import FLAT_ON_BOTH_SIDES, charted, series
from initaudit.initialisation.targets import SIGMOIDAL
from tests.formats import documents


def test_address_of_a_layer_is_its_name():
    """A reader can write the link by hand, and it stays when the file is exported again."""
    layers = [{"name": "/fc/Gemm", "title": "head.fc"}, {"name": "MatMul_7"}]

    assert layer_anchors(layers) == {"/fc/Gemm": "layer-head.fc", "MatMul_7": "layer-MatMul_7"}


@given(st.lists(st.text(max_size=6) | st.just("a/b") | st.just("a b") | st.just("a-b--2"), unique=True, max_size=8))
def test_addresses_differ_and_need_no_escape(names):
    """Each layer has its own, of characters that no attribute or selector has to quote."""
    anchors = layer_anchors([{"name": name} for name in names], "r2-")

    assert len(set(anchors.values())) == len(names)
    for anchor in anchors.values():
        assert anchor.startswith("r2-layer-")
        assert not set(anchor) & set(" \"'<>&/#%\n")


def test_models_are_listed_worst_first():
    """What could not be read, then failures by their trainability, then the rest."""

    def report(path, status, trainability=None):
        return {
            "path": path,
            "may_be_fresh": trainability is not None,
            "verdict": {"status": status, "trainability": trainability},
        }

    reports = [report("a", "pass", 0.9), report("b", "fail", 0.2), report("c", "error"), report("d", "warn", 0.5)]
    reports += [report("e", "fail", 0.0), report("f", "fail")]

    assert [entry["path"] for entry in by_urgency(reports)] == ["c", "e", "b", "f", "d", "a"]


@pytest.mark.parametrize(
    ("paths", "shared"),
    [
        (["runs/1/a.onnx", "runs/2/b.onnx"], "runs/"),
        (["runs/1/a.onnx", "runs/10/b.onnx"], "runs/"),
        (["a.onnx", "runs/b.onnx"], ""),
        (["/m/a.onnx", "/m/b.onnx"], "/m/"),
        (["m\\a.onnx", "m\\n\\b.onnx"], "m/"),
        (["m/a.onnx"], "m/"),
    ],
)
def test_the_folder_that_all_models_share(paths, shared):
    """Whole folders, never a part of a name."""
    assert common_folder(paths) == shared


def test_a_flat_part_is_a_fault_where_both_sides_are_flat():
    """Half of a healthy ReLU layer lies in its flat half: the page draws saturation where the rules judge it."""
    relu, tanh = (documents.dense_report(depth=1, activation=name)["layers"][0] for name in ("relu", "tanh"))
    relu["signal"]["saturated"] = tanh["signal"]["saturated"] = 0.5

    assert series([relu, tanh])["saturated"] == [None, 0.5]
    assert FLAT_ON_BOTH_SIDES == SIGMOIDAL


def test_pooling_does_not_move_the_gradient_of_a_layer():
    """A mean over 64 positions divides the gradient of each by 64 and hands it to 64: what arrives in all falls by 8, not by 64."""
    before, after = documents.dense_report(depth=2, width=16)["layers"]
    before["signal"] |= {"gradient_rms": 0.01 / 64, "elements": 16 * 64}
    after["signal"] |= {"gradient_rms": 0.01, "elements": 16}

    total = series([before, after])["gradientTotal"]
    assert total[1] == pytest.approx(0.04)
    assert total[0] == pytest.approx(total[1] / math.sqrt(64))


def test_the_table_of_the_charts_has_what_is_known():
    """A quantity that no layer has gets no column."""
    report = documents.dense_report(depth=2)
    columns = charted(series(report["layers"]))

    assert "Variance" in columns
    assert "Saturated" not in columns
    assert all(len(values) == 2 for values in columns.values())


def test_times_are_shown_to_the_minute():
    """As the report gives them; anything else as it is."""
    assert words.moment("2026-03-09T14:05:33Z") == "2026-03-09 14:05 UTC"
    assert words.moment("yesterday") == "yesterday"
