"""The command line: click, one thin file per command, loaded only when it is called."""

from __future__ import annotations

import signal
from typing import Any

import click

from initaudit.cli.gate import EXIT_ERROR
from initaudit.cli.lazy import LazyGroup
from initaudit.cli.streams import UNWRITABLE, say, why
from initaudit.errors import internal_error
from initaudit.files import current_folder
from initaudit.process import SIGNALLED
from initaudit.version import __version__

COMMANDS = {
    "check": "Audit models and report what is wrong with their weights.",
    "fix": "Write a re-initialised copy of a model.",
    "inspect": "Show the layers of a model, without a verdict.",
    "compare": "Show what each initialisation does to a model, best first.",
    "race": "Train a model from several initialisations, and see which learns fastest.",
    "make": "Write a small network for teaching and tests.",
    "diff": "Show what became better or worse between two models or reports.",
    "rule": "Explain one rule.",
    "rules": "List all rules.",
    "schema": "Print the JSON Schema of the reports.",
    "baseline": "Accept today's findings, so that later runs fail only on new ones.",
    "fleet": "Audit any number of models on any number of machines, and keep the results.",
    "config": "Show the settings in force, and where each comes from.",
}

EXIT_INTERRUPTED = SIGNALLED + signal.SIGINT


@click.command(
    cls=LazyGroup,
    summaries=COMMANDS,
    module="initaudit.cli.{}",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 nothing found at or above --fail-on; 1 findings; 2 usage, unreadable input or internal error; 130 interrupted.",
)
@click.version_option(__version__, prog_name="initaudit", message="%(prog)s %(version)s")
def cli() -> None:
    """Audit the weights of ONNX models: is every layer initialised right, does the signal survive, was every layer trained?"""


def run(arguments: list[str]) -> int:
    """Run the command line and give the exit code."""
    from initaudit.errors import InitauditError

    try:
        code: Any = cli.main(args=arguments, prog_name="initaudit", standalone_mode=False, obj=tuple(arguments))
    except (click.exceptions.Abort, KeyboardInterrupt):
        say("interrupted")
        return EXIT_INTERRUPTED
    except click.ClickException as error:
        say(f"initaudit: error: {_one_line(error)}")
        return EXIT_ERROR
    except InitauditError as error:
        say(f"initaudit: error: {error}")
        return EXIT_ERROR
    except SystemExit as end:  # of `_end`; or click's answer to a reader that went away, with 1 as its code
        return end.code if isinstance(end.code, int) and end.code > SIGNALLED else EXIT_ERROR
    except MemoryError:
        say("initaudit: error: out of memory")
        return EXIT_ERROR
    except Exception as error:  # noqa: BLE001 - the last resort: a bug, still one line
        if isinstance(error, OSError) and error.filename is None and error.errno in UNWRITABLE:
            say(f"initaudit: error: {why(error)}")
        elif isinstance(error, FileNotFoundError) and current_folder() is None:
            say("initaudit: error: the current directory is gone; only absolute paths lead anywhere")
        else:
            say(f"initaudit: {internal_error(error)}")
        return EXIT_ERROR
    return code if isinstance(code, int) else 0


def _one_line(error: click.ClickException) -> str:
    """What is wrong with the command line, and where to read on."""
    message = " ".join(error.format_message().split())
    context = error.ctx if isinstance(error, click.UsageError) else None
    return message if context is None else f"{message.removesuffix('.')}; see `{context.command_path} --help`"
