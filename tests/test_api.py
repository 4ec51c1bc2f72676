"""The Python interface as a program or a notebook uses it."""

from __future__ import annotations

import dataclasses
import inspect
import io
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import initaudit
from initaudit import api, errors
from initaudit.auditor import failed
from initaudit.fixing.options import FixOptions
from initaudit.report.rows import LayerRow
from tests.networks import mlp, save

if TYPE_CHECKING:
    import onnx

ROOT = Path(__file__).resolve().parents[1]
INPUTS = np.random.default_rng(0).normal(3, 2, (24, 32))
ZERO = {"fc0.weight": np.zeros_like}


@pytest.fixture(scope="module")
def network() -> onnx.ModelProto:
    return mlp([32, 32, 10])


@pytest.fixture(scope="module")
def fed_with_an_array(network: onnx.ModelProto) -> dict[str, Any]:
    return initaudit.audit(network, input_data=INPUTS).to_dict()["reports"][0]


def test_inputs_are_an_array_or_arrays_by_name_or_a_file(
    network: onnx.ModelProto, fed_with_an_array: dict[str, Any], tmp_path: Path
):
    """The same numbers measure the same, whichever way they come."""
    np.savez(tmp_path / "x.npz", x=INPUTS)

    for given in ({"x": INPUTS}, tmp_path / "x.npz"):
        layers = initaudit.audit(network, input_data=given).to_dict()["reports"][0]["layers"]

        assert layers == fed_with_an_array["layers"]


def test_the_report_says_that_its_inputs_were_given(fed_with_an_array: dict[str, Any]):
    """Numbers in memory have no path to be told by."""
    (described,) = fed_with_an_array["probe"]["inputs"]

    assert described["how"] == "from the given arrays"
    assert described["shape"] == [16, 32]
    assert fed_with_an_array["probe"]["notes"] == ["the first 16 of 24 inputs in the given arrays"]
    assert fed_with_an_array["options"]["input_data"] == "(arrays)"


def test_inputs_measure_what_they_are(network: onnx.ModelProto):
    """What enters the first layer has the scale of the data: 100 times the input is 10,000 times the variance."""
    small, large = (
        initaudit.audit(network, input_data=INPUTS * factor, probe="forward").rows()[0] for factor in (1, 100)
    )

    assert large["variance"] == pytest.approx(1e4 * small["variance"], rel=1e-3)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"y": INPUTS}, "no array for input x; it holds y"),
        (INPUTS[:, :3], "input 'x' has shape Nx32, not 24x3"),
        ([[1.0] * 32], "neither a file nor an array: list"),
        ({"x": None}, "input 'x' is neither a file nor an array"),
        ({}, "no array"),
        (np.array([object()]), "Python objects"),
    ],
)
def test_inputs_that_do_not_fit_are_told(network: onnx.ModelProto, given: Any, said: str):
    """In words about the arrays, not about a file that nobody gave."""
    with pytest.raises(initaudit.UsageError, match=r"input-data") as raised:
        initaudit.audit(network, input_data=given)

    assert said in str(raised.value)
    assert ".np" not in str(raised.value)


def test_an_input_may_be_called_as_numpy_calls_its_arguments():
    """`numpy.savez(file=...)` would not have it; and no time of day makes equal inputs unequal options."""
    from initaudit.arrays import read_inputs
    from initaudit.probe.inputs.data import read_data

    names = ("file", "allow_pickle", "a/b", "args")
    packed = read_inputs(dict.fromkeys(names, INPUTS))

    assert isinstance(packed, bytes)
    assert {member.date_time[0] for member in zipfile.ZipFile(io.BytesIO(packed)).infolist()} == {1980}
    assert set(read_data(packed, dict.fromkeys(names, INPUTS.dtype), "data")) == set(names)


@pytest.mark.parametrize("select", ["INI0,INI4", ["INI0", "INI4"], ("INI0,INI4",)], ids=str)
def test_rules_are_a_text_or_a_list(network: onnx.ModelProto, select: Any):
    """One parser for the command line, files and Python."""
    assert initaudit.audit(network, select=select, probe="none").config.select == ("INI0", "INI4")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"selct": "INI1"}, "unknown option 'selct'; did you mean select?"),
        ({"select": "vanishing-sgnal"}, "did you mean vanishing-signal?"),
        ({"select": 5}, "is no list"),
        ({"ignore": [3]}, "is no list"),
        ({"batch": "lots"}, "is no whole number"),
        ({"batch": 8.5}, "is no whole number"),
        ({"seed": True}, "is no whole number"),
        ({"exact": "maybe"}, "neither true nor false"),
        ({"probe": None}, "is no text"),
        ({"context": "fesh"}, "did you mean fresh?"),
        ({"baseline": 3}, "is no text"),
    ],
)
def test_options_that_cannot_be_followed_are_usage_errors(network: onnx.ModelProto, options: Any, said: str):
    """Never a TypeError from inside, never ignored."""
    with pytest.raises(initaudit.UsageError) as raised:
        initaudit.audit(network, **options)

    assert said in str(raised.value)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"evry": True}, "unknown option 'evry'; did you mean every?"),
        ({"every": 3}, "neither true nor false"),
        ({"context": "fresh"}, "config=Config(context=...)"),
        ({"config": {"probe": "none"}}, "config is no initaudit.Config: dict"),
        ({"layers": 5}, "is no list"),
        ({"layers": "fc9"}, "has no layer 'fc9'; did you mean"),
        ({"scheme": "he_norml"}, "did you mean he_normal?"),
        ({"mode": 1}, "is no text"),
    ],
)
def test_options_of_fix_are_read_like_those_of_audit(network: onnx.ModelProto, options: Any, said: str):
    """A typo must not draw the wrong layers anew."""
    with pytest.raises(initaudit.UsageError) as raised:
        initaudit.fix(network, **{"config": initaudit.Config(probe="none"), **options})

    assert said in str(raised.value)


def test_one_layer_may_be_named_without_a_list(tmp_path: Path):
    """A text is one name, not its letters."""
    network = mlp([32, 32, 32, 4], change=ZERO | {"fc1.weight": np.zeros_like})
    config = initaudit.Config(probe="none", context="fresh")

    result = initaudit.fix(network, tmp_path / "out.onnx", config=config, layers="fc1*")

    assert [change.title for change in result.changes] == ["fc1"]


def test_numbers_of_numpy_are_numbers(network: onnx.ModelProto):
    """They come out of every computation."""
    config = initaudit.audit(network, probe="none", seed=np.int64(3), timeout=np.float32(9)).config

    assert config.seed == 3
    assert type(config.seed) is int
    assert config.timeout == 9.0


def test_every_error_is_public_and_in_the_tree():
    """Who catches one by its name imports it from the package."""
    tree = {
        name: kind for name, kind in inspect.getmembers(errors, inspect.isclass) if kind.__module__ == errors.__name__
    }

    assert tree["InitauditError"] is initaudit.InitauditError
    for name, kind in tree.items():
        assert getattr(initaudit, name) is kind
        assert issubclass(kind, initaudit.InitauditError)
        assert name in str(errors.__doc__)


def test_a_missing_file_raises_what_the_tree_says():
    """Also caught as ModelError."""
    with pytest.raises(initaudit.UnreadableModel, match=r"nowhere\.onnx"):
        initaudit.audit("nowhere.onnx")


def test_all_public_names_exist():
    """What `import *` and completion offer can be loaded."""
    for name in initaudit.__all__:
        assert getattr(initaudit, name) is not None


@pytest.mark.parametrize(
    ("keywords", "fields"), [(api.AuditOptions, initaudit.Config), (api.FixKeywords, FixOptions)], ids=["audit", "fix"]
)
def test_typed_keywords_are_the_options(keywords: type, fields: type):
    """An option that a type checker does not know is an error in the user's editor."""
    assert set(keywords.__annotations__) == {field.name for field in dataclasses.fields(fields)}


SNIPPET = """
import numpy as np
import initaudit

report = initaudit.audit("m.onnx", select="INI1,INI4", ignore=[initaudit.Ignore(rule="INI1")], input_data=np.zeros(3))
initaudit.audit("m.onnx", select=["INI1"], input_data={"x": np.zeros(3)}, input_shapes={"x": (1, 3)}, batch=None)
initaudit.fix("m.onnx", "out.onnx", layers=["fc*"], dry_run=True)
std: float | None = report.rows()[0]["std"]
initaudit.audit("m.onnx", selct="INI1")  # wrong
initaudit.audit("m.onnx", batch="lots")  # wrong
initaudit.audit("m.onnx", context="fesh")  # wrong
initaudit.fix("m.onnx", layer="fc1")  # wrong
report.rows()[0]["stdd"]  # wrong
"""


ALONE = ("--strict", "--follow-imports=silent", "--no-site-packages", "--ignore-missing-imports")
"""The types of this package are what is asked for: numpy's would take most of the time."""


def test_a_type_checker_sees_a_typo(tmp_path: Path):
    """mypy accepts what is right and points at each thing that is wrong."""
    (tmp_path / "snippet.py").write_text(SNIPPET)
    wrong = [number for number, line in enumerate(SNIPPET.splitlines(), 1) if line.endswith("# wrong")]

    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--cache-dir", os.devnull, *ALONE, "snippet.py"],
        cwd=tmp_path,
        env={**os.environ, "MYPYPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )

    blamed = [int(line.split(":")[1]) for line in done.stdout.splitlines() if ": error:" in line]
    assert blamed == wrong, done.stdout + done.stderr


def test_rows_are_typed_as_they_are(fed_with_an_array: dict[str, Any], network: onnx.ModelProto):
    """The type names each key, in its order."""
    rows = initaudit.audit(network, probe="none").rows()

    assert [list(row) for row in rows] == [list(LayerRow.__annotations__)] * 2


def test_a_report_shows_itself_in_a_line(tmp_path: Path):
    """A list of reports can be read in a terminal."""
    path = save(mlp([32, 32, 4], change=ZERO), tmp_path / "m.onnx")

    assert repr(initaudit.audit(path, probe="none", context="fresh")) == f"<Report {path}: fail, 1 error>"
    assert repr(failed("x.onnx", "x.onnx: No such file")) == "<Report: x.onnx: No such file>"
