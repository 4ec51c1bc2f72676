"""CSV of layers: what spreadsheets and data frames read."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

import initaudit
from initaudit.formats.csv import COLUMNS, GROUPS, LAYER
from tests.formats.documents import HOSTILE, dense_report, document, error_report, everywhere, rendered, varied_reports
from tests.networks import mlp

SCHEMA = json.loads((Path(initaudit.__file__).parent / "schema.json").read_text())["$defs"]["layer"]["properties"]


def rows(*reports):
    """The rows as a reader of RFC 4180 sees them."""
    return list(csv.DictReader(io.StringIO(rendered("csv", *reports), newline="")))


def test_a_layer_is_a_row_with_its_model_in_front():
    """Numbers come back as they were, what was not measured is empty, and the codes of the findings are there."""
    report = dense_report(factor=0.3, depth=5)

    table = rows(report)
    first, layer = table[0], report["layers"][0]

    assert list(first) == list(COLUMNS)
    assert COLUMNS[0] == "model"
    assert [row["name"] for row in table] == [layer["name"] for layer in report["layers"]]
    assert float(first["stats.std"]) == layer["stats"]["std"]
    assert float(first["signal.after.variance"]) == layer["signal"]["after"]["variance"]
    assert first["signal.predicted_variance"] == repr(layer["signal"]["predicted_variance"])
    assert first["weight.shape"] == "48x48"
    assert first["signal.chi"] == ""
    assert first["findings"] == "INI101"


def test_a_model_without_layers_is_a_row_of_its_own():
    """What could not be audited must not vanish from the table."""
    *_, last = rows(*varied_reports())

    assert last["model"] == "models/broken.onnx"
    assert last["verdict"] == "error"
    assert last["error"] == error_report()["verdict"]["reason"]
    assert rows() == []


@pytest.mark.parametrize("part", ["stats", "provenance", "target", "signal"])
def test_every_number_of_the_schema_is_a_column(part: str):
    """What is measured one day is in the table the same day."""
    (kind,) = [s for s in SCHEMA[part].get("oneOf", [SCHEMA[part]]) if "properties" in s]

    assert set(kind["properties"]) - {"histogram", "why"} <= set(GROUPS[part])


def test_every_column_is_in_the_document():
    """No column that is always empty because its key is another."""
    layer = json.loads(initaudit.audit(mlp([16, 16, 4]), context="fresh").to_json())["reports"][0]["layers"][0]

    assert set(LAYER) <= set(layer)
    for part, keys in GROUPS.items():
        assert {key.split(".")[0] for key in keys} <= set(layer[part])


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t=", "\r="])
def test_no_name_is_a_formula(start: str):
    """A spreadsheet computes what begins like one."""
    for row in rows(*everywhere([dense_report(factor=0.3, depth=3)], f"{start}cmd|' /C calc'!A0")):
        assert not [value for value in row.values() if value[:1] in set("=+@\t\r")]
        assert not [value for key, value in row.items() if value[:1] == "-" and not key.startswith(("stats", "signal"))]


def test_no_line_is_an_order_to_a_runner():
    """A row begins with the path of the model, which may be called anything."""
    text = rendered("csv", *everywhere([dense_report(factor=0.3, depth=3)], "::error::f"))

    assert not [line for line in text.splitlines() if line.startswith("::")]


def test_lines_end_as_rfc_4180_has_it():
    """CR LF, also where a name holds a line break."""
    text = rendered("csv", *everywhere([dense_report(depth=3)], HOSTILE))

    assert text.count("\r\n") == text.count("\n") == 4
    assert document()["schema_version"] == "1"
