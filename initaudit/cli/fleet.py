"""`initaudit fleet`: audit any number of models on any number of machines, and keep the results."""

from __future__ import annotations

import importlib

import click

COMMANDS = {
    "run": "Audit every model of the sources that is not in the store yet.",
    "status": "Show how far a run is.",
    "report": "Report on a run: the worst models first, and what changed.",
    "diff": "Show what changed between two runs.",
    "export": "Write a run as Parquet tables.",
}
"""Each in its file, `cli/fleet_<name>.py`."""


class _Group(click.Group):
    """Imports a command's module when the command is run or its help is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"initaudit.cli.fleet_{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.command("fleet", cls=_Group)
def command() -> None:
    """Audit any number of models on any number of machines, and keep the results in a store: nothing is audited twice, and nothing is lost."""
