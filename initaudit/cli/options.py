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
    click.option("--select", multiple=True, metavar="CODE", help="Run only these rules (code, beginning of a code, or name). Repeatable."),
    click.option("--ignore", multiple=True, metavar="CODE[:LAYER][=REASON]", help="Suppress findings; LAYER is a glob. Repeatable."),
    click.option("--context", type=click.Choice(["auto", "fresh", "trained"]), help="Judge as a fresh or a trained network (default: by the evidence)."),
    click.option("--probe", type=click.Choice(["full", "forward", "none"]), help="Measure the signal forward and backward (full), forward, or not at all."),
    click.option("--input-shape", "input_shapes", multiple=True, metavar="NAME:2x3x224x224", help="Shape of a graph input. Repeatable."),
    click.option("--input-data", type=click.Path(dir_okay=False), metavar="FILE.npz", help="Real inputs, one array per graph input."),
    click.option("--input-spectrum", type=click.Choice(["natural", "white"]), help="Of synthetic images and sound: as in nature (default), or white noise."),
    click.option("--batch", type=click.IntRange(min=1), help="Inputs fed at once."),
    click.option("--seed", type=int, help="Seed of inputs, samples and draws (default 0)."),
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
    """Configuration file and environment, overridden by what the command line gives. Removes what it reads from `options`."""
    from initaudit.config import load_config, parse_ignore, parse_size
    from initaudit.errors import UsageError

    config = load_config(file=options.pop("config_file"), isolated=options.pop("isolated"))
    changes: dict[str, Any] = {}
    for key in (
        "context",
        "probe",
        "input_data",
        "input_spectrum",
        "batch",
        "seed",
        "exact",
        "provider",
        "timeout",
        "baseline",
        "against",
    ):
        value = options.pop(key)
        if value is not None:
            changes[key] = value
    if select := options.pop("select"):
        changes["select"] = tuple(part.strip() for item in select for part in item.split(","))
    if ignore := options.pop("ignore"):
        changes["ignore"] = (*config.ignore, *(parse_ignore(item) for item in ignore))
    if size := options.pop("max_memory"):
        changes["max_memory"] = parse_size(size)
    shapes = dict(config.input_shapes)
    for item in options.pop("input_shapes"):
        name, _, dims = item.rpartition(":")
        try:
            shapes[name] = tuple(int(d) for d in dims.lower().replace(",", "x").split("x") if d)
        except ValueError:
            name = ""
        if not name:
            raise UsageError(f"--input-shape {item!r} is not of the form NAME:2x3x224x224")
    changes["input_shapes"] = shapes
    changes |= {key: value for key, value in more.items() if value is not None}
    return dataclasses.replace(config, **changes)
