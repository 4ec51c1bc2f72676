"""The table of options in `configuration.md`, as the program has them.

python docs/options.py        # writes it into the page
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from initaudit.cli import check, fix  # noqa: E402
from initaudit.config import Config  # noqa: E402
from initaudit.settings.given import ADDING, AUDIT_OPTIONS, RUN_OPTIONS  # noqa: E402
from initaudit.settings.run import RunOptions  # noqa: E402

PAGE = ROOT / "docs" / "configuration.md"
BEGIN, END = "<!-- options -->\n", "<!-- /options -->\n"
"""What stands around the table in the page."""


def options_table() -> str:
    """A row for each option: its key in a file, how the command line has it, its default, what it does."""
    rows = "".join(f"| {' | '.join(row)} |\n" for row in _rows())
    return f"| key | command line | default | what |\n|---|---|---|---|\n{rows}"


def _rows() -> Iterator[tuple[str, str, str, str]]:
    parameters = {parameter.name: parameter for command in (fix.command, check.command) for parameter in command.params}
    for name in (*AUDIT_OPTIONS, *RUN_OPTIONS):
        option = parameters[name]
        assert isinstance(option, click.Option)
        default = getattr(Config() if name in AUDIT_OPTIONS else RunOptions(), name)
        adds = " Adds up." if name in ADDING else ""
        yield (
            f"`{name.replace('_', '-')}`",
            ", ".join(f"`{flag}`" for flag in sorted(option.opts + option.secondary_opts, key=len)),
            _shown(name, default),
            f"{option.help}{adds}".replace("|", "\\|"),
        )


def _shown(name: str, default: Any) -> str:
    if default is None or default in ((), {}):
        return ""
    if name == "max_memory":
        return f"`{default >> 30}GiB`"
    if isinstance(default, tuple):
        return f"`{', '.join(default)}`"
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"


def with_table(page: str) -> str:
    """The page with the table as it should be."""
    before, _, rest = page.partition(BEGIN)
    return before + BEGIN + options_table() + END + rest.partition(END)[2]


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text("utf-8")), encoding="utf-8")
