"""Lines of TOML entries."""

from __future__ import annotations

from initaudit.settings.lines import line_of, lines_of

TEXT = """# a project
[tool.initaudit]
seed = 3  # of inputs
ignore = [
  "INI103:fc*=tied",
  {rule = "INI104", reason = "because = why not"},
]
severity.INI101 = "info"

[tool.initaudit.files."a = b.onnx"]
context = "fresh"
[[tool.other]]
seed = 9
"""


def test_tables_and_entries_have_the_line_where_they_begin():
    """Also keys with points and quotes; what stands inside of a list is no entry."""
    lines = lines_of(TEXT)
    outer = ("tool", "initaudit")

    assert lines[*outer, "seed"] == 3
    assert lines[*outer, "ignore"] == 4
    assert lines[*outer, "severity", "INI101"] == 8
    assert lines[*outer, "files", "a = b.onnx", "context"] == 11
    assert lines["tool", "other", "seed"] == 13
    assert not any("rule" in keys for keys in lines)


def test_what_is_written_within_another_entry_has_its_line():
    """An inline table is one line."""
    assert line_of(lines_of("files = {a = {seed = 1}}"), ("files", "a", "seed")) == 1
    assert line_of({}, ("seed",)) is None
