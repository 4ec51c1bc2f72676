"""`initaudit fleet`: audit any number of models on any number of machines, and keep the results."""

from __future__ import annotations

import click

from initaudit.cli.lazy import LazyGroup

COMMANDS = {
    "run": "Audit every model of the sources that is not in the store yet.",
    "status": "Show how far a run is.",
    "report": "Report on a run: the worst models first, and what changed.",
    "diff": "Show what changed between two runs.",
    "export": "Write a run as Parquet tables.",
}
"""Each in its file, `cli/fleet_<name>.py`."""


@click.command("fleet", cls=LazyGroup, summaries=COMMANDS, module="initaudit.cli.fleet_{}")
def command() -> None:
    """Audit any number of models on any number of machines, and keep the results in a store: nothing is audited twice, and nothing is lost."""
