"""What a file says of its fixes is read where it is a record, and is harmless where it is none."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import ModelProto

from initaudit.model.record import KEY, LONGEST, Fix, FixedLayer, FixedTensor, Record, parse, read_record

TEXT = st.text(max_size=20)
LAYERS = st.builds(
    FixedLayer,
    layer=TEXT,
    initializer=TEXT,
    scheme=TEXT,
    rung=st.none() | TEXT,
    reason=TEXT,
    std=st.none() | st.floats(allow_nan=False, allow_infinity=False),
    bias=st.none() | TEXT,
)
FIXES = st.builds(
    Fix,
    version=TEXT,
    scheme=TEXT,
    mode=TEXT,
    seed=st.integers(-(1 << 63), (1 << 63) - 1),
    source=TEXT,
    layers=st.lists(LAYERS, max_size=3).map(tuple),
    tensors=st.lists(st.builds(FixedTensor, name=TEXT, before=TEXT, after=TEXT), max_size=3).map(tuple),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["v", "fixes", "layers", "tensors", "seed", "version"]), inner, max_size=4)
    ),
    max_leaves=12,
)


def record() -> dict:
    """A record of one fix of one layer, as JSON."""
    layer = {
        "layer": "fc",
        "initializer": "w",
        "scheme": "he",
        "rung": None,
        "reason": "INI101",
        "std": 0.1,
        "bias": None,
    }
    fix = {"version": "1", "scheme": "auto", "mode": "resample", "seed": 0, "source": "ab"}
    return {"v": 1, "fixes": [{**fix, "layers": [layer], "tensors": [["w", "aa", "bb"]]}]}


@settings(max_examples=50)
@given(st.lists(FIXES, max_size=3).map(tuple))
def test_what_was_written_is_read(fixes: tuple[Fix, ...]) -> None:
    """Every field, whatever the names."""
    assert parse(Record(fixes=fixes).text) == Record(fixes=fixes)


@given(JSON.map(json.dumps) | st.text())
def test_anything_else_is_said_to_be_none(text: str) -> None:
    """Whatever stands in the entry, reading it never fails."""
    found = parse(text)

    assert found.problem is None or not found.fixes
    json.dumps(found.problem).encode()


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("[" * 200_000, id="endless-nesting"),
        pytest.param(" " * (LONGEST + 1), id="too-long"),
        pytest.param("1" * 5000, id="number-of-5000-digits"),
        pytest.param('{"v": 1, "fixes": NaN}', id="nan"),
        pytest.param("null", id="null"),
        pytest.param('{"v": 2, "fixes": []}', id="of-another-version"),
        pytest.param('{"v": true, "fixes": []}', id="version-true"),
    ],
)
def test_what_is_no_record_is_said_to_be_none(text: str) -> None:
    """In few words, which name no more of the file than they must."""
    found = parse(text)

    assert found.problem
    assert len(found.problem) < 100
    assert found.fixes == ()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("layer", "\ud800"),
        ("layer", "x" * 5000),
        ("layer", None),
        ("std", 10**400),
        ("std", "0.1"),
        ("rung", 3),
        ("bias", ["b"]),
    ],
)
def test_a_field_of_another_kind_is_no_record(name: str, value: object) -> None:
    """Also one that could not be written into a report: half a surrogate pair, infinity."""
    said = record()
    assert parse(json.dumps(said)).problem is None

    said["fixes"][0]["layers"][0][name] = value

    assert name in (parse(json.dumps(said)).problem or "")


def test_two_records_are_none() -> None:
    """Which of them holds is not for a reader to guess; without any there is nothing to read."""
    model = ModelProto()
    assert read_record(model) is None

    for _ in range(2):
        model.metadata_props.add(key=KEY, value=json.dumps(record()))

    assert read_record(model) == Record(problem="there is more than one")
