"""Options: where they come from and which wins."""

from __future__ import annotations

from pathlib import Path

import pytest

from initaudit.config import Config
from initaudit.errors import UsageError
from initaudit.options import Ignore, read_ignores, read_size
from initaudit.settings.settings import load_config


def test_the_nearest_file_is_read_from_a_folder_below(tmp_path: Path):
    """A subdirectory of the project uses the project's configuration."""
    (tmp_path / "pyproject.toml").write_text('[tool.initaudit]\nfail-on = "warning"\nmax-memory = "2GiB"\n')
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)

    config = load_config(below)

    assert (config.fail_on, config.max_memory) == ("warning", 2 << 30)


def test_the_environment_beats_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Later sources win."""
    (tmp_path / "initaudit.toml").write_text('context = "fresh"\nseed = 3\n')
    monkeypatch.setenv("INITAUDIT_CONTEXT", "trained")

    config = load_config(tmp_path)

    assert (config.context, config.seed) == ("trained", 3)


def test_isolated_reads_neither(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """`--isolated` gives the defaults wherever it is called."""
    (tmp_path / "initaudit.toml").write_text('context = "fresh"\n')
    monkeypatch.setenv("INITAUDIT_SEED", "7")

    assert load_config(tmp_path, isolated=True) == Config()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("contxt = 'fresh'", "unknown option 'contxt'"),
        ("context = 'stale'", "option 'context': must be one of"),
        ("batch = 0", "option 'batch': must be at least 1, not 0"),
        ("max-memory = 'lots'", "not a size"),
        ("timeout = -1", "must be more than 0 seconds"),
        ("context = [", "initaudit.toml"),
        ("batch = 8.5", "initaudit.toml:1: option 'batch': 8.5 is no whole number"),
        ("seed = true", "True is no whole number"),
        ("seed = -1", "must be at least 0, not -1"),
        ("timeout = 'nan'", "'nan' is no number"),
        ("min-trainability = 2", "must be between 0 and 1, not 2"),
        ("fail-on-incomplete = 'perhaps'", "'perhaps' is neither true nor false"),
        ("fail-om = 'error'", "unknown option 'fail-om'; did you mean fail-on"),
        ("context = 3", "3 is no text"),
        ("select = []", "names no rule"),
        ("ignore = [{rul = 'INI1'}]", "an ignore has no 'rul'; did you mean rule"),
        ("ignore = [{layer = 'fc*'}]", "an ignore without a rule"),
        ("ignore = ':fc1'", "names no rule"),
        ("ignore = 'INI401:=why'", "names no layer behind the colon"),
        ("ignore = 'INI401:fc1,INI501:fc2'", "write an ignore for each"),
        ("ignore = 'INI601=/fc2/Gemm'", "'/fc2/Gemm' is a layer and no reason; write INI601:/fc2/Gemm=reason"),
        ("ignore = 'INI601,INI602=/fc2=frozen'", "write INI601,INI602:/fc2=reason"),
        ("ignore = 'INI'", "ignore: 'INI' means every rule; write ALL where that is meant"),
        ("ignore = 'in:fc*=frozen'", "ignore: 'in' means every rule"),
        ("[tool.initaudit]\nseed = 1", "without the heading"),
        ("input-shapes = {x = [0, 3]}", "has a dimension below 1"),
        ("input-shapes = {x = [1.5]}", "1.5 is no whole number"),
        ("input-shapes = 3", "no table of shapes"),
    ],
)
def test_a_wrong_entry_is_named(tmp_path: Path, text: str, complaint: str):
    """The error says which entry and where."""
    (tmp_path / "initaudit.toml").write_text(text)

    with pytest.raises(UsageError, match=complaint):
        load_config(tmp_path)


@pytest.mark.parametrize(("text", "size"), [("512MiB", 512 << 20), ("4GB", 4 * 10**9), ("1.5GiB", 3 << 29), ("77", 77)])
def test_sizes_are_binary_with_an_i_and_decimal_without(text: str, size: int):
    """MiB is 2^20, MB is 10^6 (IEC 80000-13)."""
    assert read_size(text) == size


def test_an_ignore_has_rule_layer_and_reason():
    """All three parts are kept."""
    (ignore,) = read_ignores("INI601:backbone.*=frozen on purpose")

    assert (ignore.rule, ignore.layer, ignore.reason) == ("INI601", "backbone.*", "frozen on purpose")


SELECTIONS = ("INI1,INI4", ["INI1", "INI4"], ["INI1, INI4"], ("INI1", "INI4"))


@pytest.mark.parametrize("value", SELECTIONS)
def test_every_source_reads_words_alike(value: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A list, or words with commas, in Python, in a file, in the environment; never letter by letter."""
    (tmp_path / "initaudit.toml").write_text(f"select = {list(value) if isinstance(value, tuple) else value!r}")
    from_file = load_config(tmp_path).select
    monkeypatch.setenv("INITAUDIT_SELECT", value if isinstance(value, str) else ",".join(value))

    assert Config(select=value).select == from_file == load_config(tmp_path / "none").select == ("INI1", "INI4")


def test_an_ignore_of_several_rules_is_one_of_each():
    """`INI101,INI401:encoder.*=why` says the same of both."""
    assert Config(ignore="INI101,INI401:encoder.*=why").ignore == (
        Ignore(rule="INI101", layer="encoder.*", reason="why"),
        Ignore(rule="INI401", layer="encoder.*", reason="why"),
    )


@pytest.mark.parametrize("blank", ["", " "])
def test_a_variable_that_is_set_to_nothing_ignores_nothing(blank: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """CI systems set variables that nobody filled in."""
    monkeypatch.setenv("INITAUDIT_IGNORE", blank)

    assert load_config(tmp_path).ignore == ()
    assert read_ignores(blank) == ()


def test_the_environment_gives_every_option(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Numbers, sizes, ignores and shapes as well as words."""
    for name, text in {
        "BATCH": "8",
        "TIMEOUT": "1.5",
        "MAX_MEMORY": "1GiB",
        "IGNORE": "INI103:fc*=tied",
        "INPUT_SHAPES": "x:2x3 y:4",
        "FAIL_ON": "warning",
    }.items():
        monkeypatch.setenv(f"INITAUDIT_{name}", text)

    config = load_config(tmp_path)

    assert (config.batch, config.timeout, config.max_memory, config.fail_on) == (8, 1.5, 1 << 30, "warning")
    assert config.ignore == (Ignore(rule="INI103", layer="fc*", reason="tied"),)
    assert config.input_shapes == {"x": (2, 3), "y": (4,)}


def test_a_variable_that_is_no_option_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """A typing error in a variable must not leave the default in force unseen."""
    monkeypatch.setenv("INITAUDIT_FAILON", "warning")

    with pytest.raises(UsageError, match=r"INITAUDIT_FAILON is no option; did you mean INITAUDIT_FAIL_ON"):
        load_config(tmp_path)


def test_a_path_in_a_file_is_relative_to_that_file(tmp_path: Path):
    """The command may be run from any folder below."""
    (tmp_path / "initaudit.toml").write_text('baseline = "ci/accepted.json"\nagainst = "/models/before.onnx"')
    (tmp_path / "below").mkdir()

    config = load_config(tmp_path / "below")

    assert config.baseline == str(tmp_path / "ci" / "accepted.json")
    assert config.against == "/models/before.onnx"
