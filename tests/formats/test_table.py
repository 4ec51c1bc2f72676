"""Tables of layers in terminals of every width."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from initaudit.formats.table import layer_table

HEADINGS = ("layer", "fan_in", "std", "ratio")
BLOCKS = [f"bert.encoder.layer.{i}.attention.self.{part}" for i in (0, 11) for part in ("query", "key")]


def shown(names: list[str], width: int, give_up: tuple[str, ...] = ("fan_in", "std")) -> tuple[list[str], str]:
    rows = [(name, "768", "0.0205", "6.6e-12") for name in names]
    laid_out = layer_table(HEADINGS, rows, width, right=HEADINGS[1:], give_up=give_up)
    out = io.StringIO()
    Console(file=out, width=width, color_system=None).print(laid_out.table)
    return [line.rstrip() for line in out.getvalue().splitlines()], laid_out.note


@given(width=st.integers(40, 200))
def test_no_number_is_cut_in_a_terminal_of_40_columns_or_more(width: int):
    """Columns go, numbers stay whole; what went is said."""
    lines, note = shown(BLOCKS, width)

    assert all(len(line) <= width for line in lines)
    assert all(line.endswith("6.6e-12") for line in lines[1:])
    assert all(heading in lines[0] or heading in note for heading in HEADINGS)


def test_columns_go_in_the_order_that_is_asked_for():
    """The last of them stays as long as there is room for the names' ends."""
    assert shown(BLOCKS, 80)[1] == ""
    assert shown(BLOCKS, 40)[1] == "No room for the column fan_in."
    assert shown(BLOCKS, 30)[1] == "No room for the columns fan_in, std."


def test_a_column_without_values_goes_first():
    """Where nothing was measured, nothing is lost."""
    rows = [(name, "768", "–", "6.6e-12") for name in BLOCKS]

    assert layer_table(HEADINGS, rows, 40, right=(), give_up=("fan_in", "std")).dropped == ("std",)


def test_what_is_no_path_loses_its_middle():
    """Starts are told apart by their beginnings and ends."""
    rows = [(f"he_normal layer.{i}.weight=zeros last=normal:0.{i}", "1") for i in range(2)]
    out = io.StringIO()
    table = layer_table(("start", "learns"), rows, 30, right=("learns",), paths=False).table
    Console(file=out, width=30, color_system=None).print(table)

    for i, line in enumerate(out.getvalue().splitlines()[1:]):
        assert line.startswith("he_normal")
        assert f"normal:0.{i} " in line


def test_names_lose_what_they_share_and_keep_their_ends():
    """Whole parts of the path where there is room for one."""
    lines, _ = shown(BLOCKS, 60)

    assert [line.split()[0] for line in lines[1:]] == [
        "…0.attention.self.query", "…0.attention.self.key", "…11.attention.self.query", "…11.attention.self.key",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "names", [["fc1", "fc2"], ["only.one.of.a.very.long.name.without.any.other"], ["x" * 70, "y" * 70]]
)
def test_every_row_has_its_name(names: list[str]):
    """One layer alone shares nothing; a name without parts keeps its end."""
    lines, _ = shown(names, 40)

    for name, line in zip(names, lines[1:], strict=True):
        assert name.endswith(line.split()[0].lstrip("…"))
        assert len(line.split()[0]) >= min(len(name), 10)
