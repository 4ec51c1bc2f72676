"""Options that several commands share, and how they become Settings."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from initaudit.cli.completion import complete_formats, complete_rules, complete_thresholds
from initaudit.config import CONTEXTS, FAIL_ON, PROBES, SPECTRA

if TYPE_CHECKING:
    from initaudit.settings.given import Given
    from initaudit.settings.settings import Settings

F = TypeVar("F", bound=Callable[..., Any])


FORMATS = "text (default), json, html, sarif, github, gitlab, junit, markdown or csv. Repeatable, each with its own -o."
"""The help of --output-format; named here, so that no format is loaded for it."""


def formats_option(name: str, text: str) -> Callable[[F], F]:
    """--output-format, repeatable, as the argument `name` of the command, with `text` for its help."""
    return click.option(
        "--output-format", name, multiple=True, metavar="FORMAT", shell_complete=complete_formats, help=text
    )


def comparison_files(function: F) -> F:
    """-o, repeatable, of a command that shows a comparison in the formats of `formats_option`."""
    return click.option(
        "-o",
        "--output",
        "files",
        multiple=True,
        type=click.Path(dir_okay=False),
        metavar="FILE",
        help="File for the comparison; the n-th -o belongs to the n-th format, which follows from the suffix where none is given. - is stdout.",
    )(function)


def audit_options(function: F) -> F:
    """Everything that decides what an audit does and which findings count."""
    return decorated(function, _AUDIT_OPTIONS)


def filter_options(function: F) -> F:
    """Everything that decides which findings count, and no more."""
    return decorated(function, (*_FILTERS, _BASELINE))


def gate_options(function: F) -> F:
    """What decides the exit code."""
    return decorated(function, _GATE_OPTIONS)


def run_options(function: F) -> F:
    """What is done beside the audits: which reports are written, how, and where."""
    return decorated(function, tuple(_RUN_OPTIONS.values()))


def run_options_of(*names: str) -> Callable[[F], F]:
    """Some of the same."""
    return lambda function: decorated(function, tuple(_RUN_OPTIONS[name] for name in names))


def decorated(function: F, options: Sequence[Callable[[F], F]]) -> F:
    """With these options, in this order in its help."""
    for option in reversed(options):
        function = option(function)
    return function


_FILTERS = (
    click.option("--select", multiple=True, metavar="CODE[,CODE]", shell_complete=complete_rules, help="Run only these rules (code, beginning of a code, or name). Repeatable."),
    click.option("--ignore", multiple=True, metavar="CODE[,CODE][:LAYER][=REASON]", shell_complete=complete_rules, help="Suppress findings; LAYER is a name or a glob. Repeatable."),
    click.option("--severity", multiple=True, metavar="CODE[:LAYER]=SEVERITY", shell_complete=complete_rules, help="Call findings error, warning or info. Repeatable."),
)  # fmt: skip
_BASELINE = click.option("--baseline", type=click.Path(dir_okay=False), metavar="FILE", help="Accepted findings (see `initaudit baseline`).")  # fmt: skip

_AUDIT_OPTIONS = (
    *_FILTERS,
    click.option("--threshold", multiple=True, metavar="CODE.NAME[:LAYER]=X", shell_complete=complete_thresholds, help="From where on a rule finds something (`initaudit rule CODE` lists its thresholds). Repeatable."),
    click.option("--context", type=click.Choice(CONTEXTS), help="Judge as a fresh or a trained network (default: by the evidence)."),
    click.option("--probe", type=click.Choice(PROBES), help="Measure the signal forward and backward (full), forward, or not at all."),
    click.option("--input-shape", "input_shapes", multiple=True, metavar="NAME:2x3x224x224", help="Shape of a graph input; of several models, it holds where it fits, and must fit one. Repeatable."),
    click.option("--input-data", type=click.Path(dir_okay=False), metavar="FILE.npz", help="Real inputs, one array per graph input; of an only input also FILE.npy."),
    click.option("--input-spectrum", type=click.Choice(SPECTRA), help="Of synthetic images and sound: as in nature (default), or white noise."),
    click.option("--batch", type=int, metavar="N", help="Inputs fed at once, 1 or more."),
    click.option("--seed", type=int, metavar="N", help="Seed of inputs, samples and draws, 0 or more (default 0)."),
    click.option("--exact", is_flag=True, default=None, help="Measure each gradient within 2 % of its value (default 8 to 10 %); the audit takes some ten times as long, at most about half of --timeout more."),
    click.option("--provider", metavar="NAME", help="Execution provider of the installed onnxruntime for the probe (default: the CPU's)."),
    click.option("--max-memory", metavar="SIZE", help="Memory the probe may use, e.g. 4GiB (default)."),
    click.option("--timeout", type=float, metavar="SECONDS", help="Time the probe may take (default 120)."),
    _BASELINE,
    click.option("--against", type=click.Path(), metavar="BEFORE.onnx", help="The model before training: layers equal to it are reported."),
    click.option("--config", "config_file", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Configuration file to read instead of the nearest one."),
    click.option("--isolated", is_flag=True, help="Ignore the nearest configuration file and environment variables."),
)  # fmt: skip

_GATE_OPTIONS = (
    click.option("--fail-on", type=click.Choice(FAIL_ON), help="Lowest severity for exit code 1 (default error)."),
    click.option("--fail-on-incomplete", is_flag=True, default=None, help="Exit 1 also where a weight was not audited or the signal not measured."),
    click.option("--min-trainability", type=float, metavar="X", help="Exit 1 also where trainability is below X, or was not measured."),
)  # fmt: skip

_RUN_OPTIONS: dict[str, Callable[[Any], Any]] = {
    "output_format": formats_option("output_format", FORMATS),
    "output": click.option("-o", "--output", multiple=True, type=click.Path(dir_okay=False), metavar="FILE", help="File for the report; the n-th -o belongs to the n-th format, which follows from the suffix where none is given. - is stdout."),
    "exclude": click.option("--exclude", multiple=True, metavar="GLOB", help="Leave out models whose path, the end of it, or a folder that they are in is like this. Repeatable."),
    "exit_zero": click.option("--exit-zero", is_flag=True, default=None, help="Exit 0 even with findings (2 is kept for failures)."),
    "statistics": click.option("--statistics", is_flag=True, default=None, help="Count findings per rule, and list chi of each layer, in text and Markdown; HTML and JSON always have both."),
    "jobs": click.option("-j", "--jobs", type=int, metavar="N", help="Models audited at the same time (default 1); of fewer models the large weights are read by as many processes."),
    "quiet": click.option("-q", "--quiet", is_flag=True, default=None, help="No progress, no summary and no notes on stderr; errors are still told."),
    "verbose": click.option("-v", "--verbose", is_flag=True, default=None, help="Show information-level findings and every layer."),
    "color": click.option("--color/--no-color", default=None, help="Colour (default: when writing to a terminal)."),
}  # fmt: skip


RUN_NAMES = tuple(_RUN_OPTIONS)
"""Options that `run_options_of` knows."""


def take_settings(options: dict[str, Any]) -> Settings:
    """The settings in force: configuration file and environment, and what the command line gives. Removes what it reads from `options`.

    Raises UsageError; also where a rule is meant that there is not.
    """
    from initaudit.settings.settings import load_settings

    file, isolated = options.pop("config_file"), options.pop("isolated")
    given = tuple(_given(options))
    return load_settings(file=file, isolated=isolated, command_line=given)


def _given(options: dict[str, Any]) -> Iterator[Given]:
    """What the command line gives, in the order of the command's options."""
    from initaudit.settings.given import AUDIT_OPTIONS, COMMAND_LINE, RUN_OPTIONS, Source, read_given

    for parameter in click.get_current_context().command.params:
        name = parameter.name or ""
        if name not in options or name not in (*AUDIT_OPTIONS, *RUN_OPTIONS):
            continue
        value = options.pop(name)
        if value is None or value == ():
            continue
        flags = parameter.secondary_opts if value is False else parameter.opts
        yield from read_given(name, value, Source(COMMAND_LINE, max(flags, key=len)))
