"""Options of `initaudit fleet run`: who does the work, which share of it, and what one model may take."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from initaudit.errors import UsageError
from initaudit.fleet.order import DEFAULT_MAX_BYTES, DEFAULT_RETRIES, Care

if TYPE_CHECKING:
    from initaudit.engine import Engine
    from initaudit.fleet.plan import Shard

F = TypeVar("F", bound=Callable[..., Any])

_OF_ENGINE = (
    click.option("--engine", default="local", show_default=True, metavar="NAME", help="Who does the work: local (processes of this machine), dask, or one of another package."),
    click.option("--workers", type=click.IntRange(1), default=1, show_default=True, metavar="N", help="Models audited at the same time, where the engine starts its workers itself."),
    click.option("--scheduler", metavar="ADDRESS", help="Dask scheduler whose workers do the work, such as tls://host:8786; without it dask starts workers on this machine."),
    click.option("--tls-ca", type=click.Path(dir_okay=False), metavar="FILE", help="Certificate authority of the scheduler (default: as Dask is configured)."),
    click.option("--tls-cert", type=click.Path(dir_okay=False), metavar="FILE", help="This client's certificate."),
    click.option("--tls-key", type=click.Path(dir_okay=False), metavar="FILE", help="Its key."),
    click.option("--insecure", is_flag=True, help="Talk in the clear to a scheduler on another machine: whoever reaches it can run any program on its workers."),
)  # fmt: skip

_OF_RUN = (
    click.option("--shard", metavar="I/N", help="Do the I-th of N shares of the plan only; every share is a command of its own."),
    click.option("--run", "name", metavar="NAME", help="Name of the run; its plan is made once, and all shards with this name share it (default: by the plan)."),
    click.option("--fresh", is_flag=True, help="Begin a new run even where one with the same plan is not finished; results are used again all the same."),
)  # fmt: skip

_OF_MODEL = (
    click.option("--file-timeout", type=click.FloatRange(min=0, min_open=True), metavar="SECONDS", help="Time for everything about one model (default: twice --timeout, and more for large files)."),
    click.option("--file-memory", metavar="SIZE", help="Memory for everything about one model but the probe (default: --max-memory)."),
    click.option("--retries", type=click.IntRange(0), default=DEFAULT_RETRIES, show_default=True, metavar="N", help="How often a model is begun again whose process or machine was lost."),
    click.option("--max-bytes", metavar="SIZE", help="Largest model behind a URL that is brought to a machine, with its external files (default 8GiB)."),
)  # fmt: skip


def fleet_options(function: F) -> F:
    """All of them."""
    for option in reversed((*_OF_ENGINE, *_OF_RUN, *_OF_MODEL)):
        function = option(function)
    return function


def take_engine(options: dict[str, Any]) -> Engine:
    """The engine that the options mean, which are removed. Raises UsageError."""
    from initaudit.engine import find_engine

    name, workers = options.pop("engine"), options.pop("workers")
    named = {option: options.pop(option) for option in ("scheduler", "tls_ca", "tls_cert", "tls_key", "insecure")}
    given = {option: value for option, value in named.items() if value}
    if given and name == "local":
        raise UsageError(f"--{next(iter(given)).replace('_', '-')}: engine local has no scheduler; give --engine dask")
    return find_engine(name, workers=workers, **given)


def take_care(options: dict[str, Any]) -> Care:
    """What one model may take, by the options, which are removed. Raises UsageError."""
    return Care(
        file_timeout=options.pop("file_timeout"),
        file_memory=_size("--file-memory", options.pop("file_memory")),
        retries=options.pop("retries"),
        max_bytes=_size("--max-bytes", options.pop("max_bytes")) or DEFAULT_MAX_BYTES,
    )


def take_shard(options: dict[str, Any]) -> Shard:
    """The share that the option means, which is removed. Raises UsageError."""
    from initaudit.fleet.plan import Shard

    text = options.pop("shard")
    if text is None:
        return Shard()
    part, _, of = text.partition("/")
    if not (part.isdecimal() and of.isdecimal() and 1 <= int(part) <= int(of)):
        raise UsageError(f"--shard: {text!r} is not of the form I/N, with I from 1 to N")
    return Shard(part=int(part), of=int(of))


def _size(option: str, text: str | None) -> int | None:
    from initaudit.options import read_size

    try:
        return None if text is None else read_size(text)
    except UsageError as error:
        raise UsageError(f"{option}: {error}") from error
