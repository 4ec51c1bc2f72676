"""A group of commands, each in a file of its own that is imported only when it is needed."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import click


class LazyGroup(click.Group):
    """Imports a command's module when the command is run or its help is asked for."""

    def __init__(self, *, summaries: Mapping[str, str], module: str, **attributes: Any) -> None:
        """Nothing is imported yet.

        Args:
            summaries: what the help says of each command, by its name.
            module: of a command, with `{}` for its name; the module holds it as `command`.
            attributes: as for `click.Group`.
        """
        super().__init__(**attributes)
        self._summaries, self._module = summaries, module

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order in which they were given."""
        del ctx
        return list(self._summaries)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command; None where there is none of this name."""
        del ctx
        if cmd_name not in self._summaries:
            return None
        command: click.Command = importlib.import_module(self._module.format(cmd_name)).command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Names and summaries; no module is imported for them."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl(list(self._summaries.items()))
