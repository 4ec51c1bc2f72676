"""Options that several commands share, and how they become a Config."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from initaudit.config import Config

F = TypeVar("F", bound=Callable[..., Any])


def audit_options(function: F) -> F:
    """Everything that decides what an audit does and which findings count."""
    for option in reversed(_AUDIT_OPTIONS):
        function = option(function)
    return function


_AUDIT_OPTIONS = (
    click.option("--select", multiple=True, metavar="CODE[,CODE]", help="Run only these rules (code, beginning of a code, or name). Repeatable."),
    click.option("--ignore", multiple=True, metavar="CODE[,CODE][:LAYER][=REASON]", help="Suppress findings; LAYER is a name or a glob. Repeatable."),
    click.option("--context", type=click.Choice(["auto", "fresh", "trained"]), help="Judge as a fresh or a trained network (default: by the evidence)."),
    click.option("--probe", type=click.Choice(["full", "forward", "none"]), help="Measure the signal forward and backward (full), forward, or not at all."),
    click.option("--input-shape", "input_shapes", multiple=True, metavar="NAME:2x3x224x224", help="Shape of a graph input. Repeatable."),
    click.option("--input-data", type=click.Path(dir_okay=False), metavar="FILE.npz", help="Real inputs, one array per graph input; of an only input also FILE.npy."),
    click.option("--input-spectrum", type=click.Choice(["natural", "white"]), help="Of synthetic images and sound: as in nature (default), or white noise."),
    click.option("--batch", type=click.IntRange(min=1), help="Inputs fed at once."),
    click.option("--seed", type=click.IntRange(min=0), help="Seed of inputs, samples and draws (default 0)."),
    click.option("--exact", is_flag=True, default=None, help="Measure each gradient within 2 % of its value (default 8 to 10 %); the audit takes some ten times as long, at most about half of --timeout more."),
    click.option("--provider", metavar="NAME", help="Execution provider of the installed onnxruntime for the probe (default: the CPU's)."),
    click.option("--max-memory", metavar="SIZE", help="Memory the probe may use, e.g. 4GiB (default)."),
    click.option("--timeout", type=click.FloatRange(min=0, min_open=True), metavar="SECONDS", help="Time the probe may take (default 120)."),
    click.option("--baseline", type=click.Path(dir_okay=False), metavar="FILE", help="Accepted findings (see `initaudit baseline`)."),
    click.option("--against", type=click.Path(), metavar="BEFORE.onnx", help="The model before training: layers equal to it are reported."),
    click.option("--config", "config_file", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Configuration file to read instead of the nearest one."),
    click.option("--isolated", is_flag=True, help="Ignore configuration files and environment variables."),
)  # fmt: skip


def make_config(options: dict[str, Any], **more: Any) -> Config:
    """Configuration file and environment, overridden by what the command line gives. Removes what it reads from `options`.

    Raises UsageError; also where a rule is meant that there is not.
    """
    from initaudit.config import load_config
    from initaudit.options import read_ignores, read_shapes, read_words
    from initaudit.rule import check_selectors

    config = load_config(file=options.pop("config_file"), isolated=options.pop("isolated"))
    given = {name: options.pop(name) for name in _NAMES} | more
    select, ignore, shapes = given.pop("select"), given.pop("ignore"), given.pop("input_shapes")
    changes = {key: value for key, value in given.items() if value is not None}
    if words := read_words(select):
        changes["select"] = words
    changes["ignore"] = (*config.ignore, *read_ignores(ignore))
    changes["input_shapes"] = {**config.input_shapes, **read_shapes(shapes)}
    config = dataclasses.replace(config, **changes)
    check_selectors(config)
    return config


_NAMES = (
    "select",
    "ignore",
    "context",
    "probe",
    "input_shapes",
    "input_data",
    "input_spectrum",
    "batch",
    "seed",
    "exact",
    "provider",
    "max_memory",
    "timeout",
    "baseline",
    "against",
)
"""Of the options above that are fields of `Config`."""
