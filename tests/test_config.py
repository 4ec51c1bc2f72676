"""Options: where they come from and which wins."""

from __future__ import annotations

from pathlib import Path

import pytest

from initaudit.config import Config, load_config, parse_ignore, parse_size
from initaudit.errors import UsageError


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
        ("context = 'stale'", "context must be one of"),
        ("batch = 0", "batch must be at least 1"),
        ("max-memory = 'lots'", "not a size"),
        ("timeout = -1", "timeout must be positive"),
        ("context = [", "initaudit.toml"),
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
    assert parse_size(text) == size


def test_an_ignore_has_rule_layer_and_reason():
    """All three parts are kept."""
    ignore = parse_ignore("INI601:backbone.*=frozen on purpose")

    assert (ignore.rule, ignore.layer, ignore.reason) == ("INI601", "backbone.*", "frozen on purpose")
