"""What the shell offers, asked for as bash asks."""

from __future__ import annotations

import shlex

import pytest
from click.shell_completion import BashComplete

from initaudit.cli import cli


def offered(line: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    words = [*shlex.split(line), *([""] if line.endswith(" ") else [])]
    monkeypatch.setenv("COMP_WORDS", line)
    monkeypatch.setenv("COMP_CWORD", str(len(words) - 1))
    answer = BashComplete(cli, {}, "initaudit", "_INITAUDIT_COMPLETE").complete()
    return [entry.partition(",")[2] for entry in answer.splitlines()]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("initaudit con", ["config"]),
        ("initaudit check --select INI00", ["INI001", "INI002", "INI003", "INI004", "INI005"]),
        ("initaudit check --ignore INI101,vanishing-s", ["INI101,vanishing-signal"]),
        ("initaudit check --threshold INI101", ["INI101.ratio="]),
        ("initaudit check --output-format s", ["sarif"]),
        ("initaudit check --context f", ["fresh"]),
        ("initaudit fix --scheme lecun", ["lecun_normal", "lecun_truncated_normal", "lecun_uniform"]),
        ("initaudit fix --scheme normal", ["normal_0.02", "normal_1", "normal:"]),
        ("initaudit fix --scheme head.*=lsu", ["head.*=lsuv"]),
        ("initaudit fix --bias k", ["keep"]),
        ("initaudit rule INI60", ["INI601", "INI602", "INI603", "INI605"]),
    ],
)
def test_the_shell_completes_what_the_program_knows(line: str, expected: list[str], monkeypatch: pytest.MonkeyPatch):
    """Commands, rules by code and name, thresholds, formats, schemes and words."""
    assert offered(line, monkeypatch) == expected
