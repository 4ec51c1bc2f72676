"""INI605 and INI105: tables are judged row by row, for a row learns only from the inputs that look it up."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

import initaudit
from tests.networks import ROWS, WIDTH, rows, save, table

if TYPE_CHECKING:
    from initaudit.findings import Finding

NAMED = {"INI003", "INI105", "INI605"}


def found(proto: onnx.ModelProto, *, context: str = "trained", against: str | None = None) -> list[Finding]:
    """What is said of the table."""
    report = initaudit.audit(proto, context=context, probe="none", against=against)
    return [f for f in report.findings if f.layer == "table" and f.code in NAMED]


def test_a_trained_table_is_nothing():
    """Rows differ in size by a factor of a few; that of the padding token is zero."""
    assert found(table()) == []
    assert found(table(rows(0, 1, 0.0))) == []


@pytest.mark.parametrize("position", [False, True])
def test_empty_rows_are_counted_and_listed(position: bool):
    """Zero, or decayed next to it, with their number and first ids."""
    (finding,) = found(table(rows(150, 180, 0.0), position=position))
    (decayed,) = found(table(rows(150, 180, 1e-9), position=position))

    assert (finding.code, finding.severity) == ("INI605", "info")
    assert "30 (150, 151" in finding.message
    assert finding.evidence["measured"] == pytest.approx(30 / ROWS)
    assert decayed.message == finding.message
    assert [f.severity.value for f in found(table(rows(20, ROWS, 0.0)))] == ["warning"]
    assert found(table(rows(150, 180, 0.0)), context="fresh") == []


@pytest.mark.parametrize("std", [0.02, 1.0])
def test_rows_at_the_law_are_told_from_those_that_left_it(std: float):
    """Their sizes agree with the law and with each other as those of drawn rows do; no gap, no claim."""
    rng = np.random.default_rng(1)
    drawn = rng.normal(0, std, (60, WIDTH))
    (finding,) = found(table(rows(100, 160, drawn)))

    assert (finding.code, finding.severity, finding.confidence) == ("INI605", "info", "medium")
    assert "60 (100, 101" in finding.message or "59 (100" in finding.message
    assert found(table(rows(100, 160, drawn * np.exp(rng.normal(0, 0.3, (60, 1)))))) == []


def test_rows_that_equal_those_of_the_earlier_model_were_not_trained(tmp_path: Path):
    """Exactly, where the table as a whole has changed."""
    before = save(table(), tmp_path / "before.onnx")

    def train(table: np.ndarray) -> None:
        table[:170] += 0.01

    (finding,) = found(table(train), against=before)

    assert "30 (170, 171" in finding.message
    assert found(table(lambda table: np.add(table, 0.01, out=table)), against=before) == []


@pytest.mark.parametrize("count", [3, 150])
@pytest.mark.parametrize("position", [False, True])
def test_rows_of_garbage_are_named_however_many(count: int, position: bool):
    """`torch.empty` holds what was in memory: any bit pattern, with sizes up to 1e38."""
    bits = np.random.default_rng(2).integers(0, 1 << 32, count * WIDTH, dtype=np.uint32).view(np.float32)
    garbage = np.where(np.isfinite(bits), bits, 0).reshape(count, WIDTH)

    findings = found(table(rows(10, 10 + count, garbage), position=position))

    assert [f.code for f in findings][:1] == ["INI105"]
    assert f"{count} (10, 11" in findings[0].message


def test_fix_draws_a_table_anew(tmp_path: Path):
    """A norm or a second use leaves no scale that is better than another; the table is drawn as BERT's is."""
    proto = table(rows(0, ROWS, 0.0))
    proto.graph.initializer.append(numpy_helper.from_array(np.ones(WIDTH, np.float32), "scale"))
    proto.graph.node[1].input[0] = "n"
    proto.graph.node.insert(1, helper.make_node("LayerNormalization", ["e", "scale"], ["n"], "norm"))
    config = initaudit.Config(context="fresh", probe="none")

    initaudit.fix(proto, tmp_path / "out.onnx", config=config, layers=("table",))
    after = {t.name: numpy_helper.to_array(t) for t in onnx.load(tmp_path / "out.onnx").graph.initializer}

    assert after["table"].std() == pytest.approx(0.02, rel=0.05)


@pytest.mark.parametrize(("scale", "named"), [(1.0, False), (20.0, True)])
def test_rows_of_another_scale_were_not_trained_with_the_others(scale: float, named: bool):
    """A hundred times as large, with nothing between: no law need be known to see that."""

    def stray(table: np.ndarray) -> None:
        table[150:] = np.random.default_rng(1).normal(0, scale, table[150:].shape)

    findings = initaudit.audit(table(stray), context="trained", probe="none").findings

    assert any(f.code == "INI105" and "nothing lies between" in f.message for f in findings) == named
