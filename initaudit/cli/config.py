"""`initaudit config`: the settings in force, and where each comes from."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import click

from initaudit.cli.options import RUN_NAMES, audit_options, gate_options, run_options_of, take_settings

if TYPE_CHECKING:
    from initaudit.settings.settings import Settings


@click.command("config")
@click.argument("model", required=False)
@click.option(
    "--output-format", "how", type=click.Choice(["text", "json"]), default="text", help="text (default) or json."
)
@run_options_of(*(name for name in RUN_NAMES if name not in ("output_format", "output")))
@gate_options
@audit_options
def command(model: str | None, *, how: str, **options: Any) -> int:
    """Show the settings in force, and where each comes from: default, a line of a configuration file, a variable, or an option given here.

    With a MODEL, whether there is such a file or not, what the configuration file says of it under `files` is among them.
    """
    from initaudit.formats.printing import printed, visible

    settings = take_settings(options)
    if how == "json":
        click.echo(json.dumps(_document(settings, model), indent=2))
    else:
        click.echo(printed("\n".join(visible(line) for line in _lines(settings, model))), nl=False)
    return 0


def _lines(settings: Settings, model: str | None) -> Iterator[str]:
    yield f"Configuration file: {settings.file or 'none'}"
    tables = list(dict.fromkeys(given.files for given in settings.given if given.files is not None))
    if model is None and tables:
        yield f"Its tables under `files` hold for models like {', '.join(tables)}; give one to see them."
    if model is not None:
        yield f"Of its tables under `files`, these hold for {model}: {', '.join(settings.globs(model)) or 'none'}"
    yield ""
    rows = [("option", "value", "from")]
    for name in settings.names:
        shown = name.replace("_", "-")
        for source, value in settings.sources(name, model):
            for text in _texts(name, value):
                rows.append((shown, text, str(source)))
                shown = ""
    first, second = (max(len(row[i]) for row in rows) for i in (0, 1))
    yield from (f"{name:{first}}  {text:{second}}  {source}" for name, text, source in rows)


def _document(settings: Settings, model: str | None) -> dict[str, Any]:
    """`settings` holds a list for each option: one value with its source; of options that add up, one for each source."""
    rows = {
        name.replace("_", "-"): [
            {"value": _plain(value), "source": source.kind, "place": source.place}
            for source, value in settings.sources(name, model)
        ]
        for name in settings.names
    }
    return {
        "configuration_file": str(settings.file) if settings.file else None,
        "model": model,
        "files": list(settings.globs(model)) if model else [],
        "settings": rows,
    }


def _texts(name: str, value: Any) -> list[str]:
    """The value in words, a line for each item of a list."""
    if isinstance(value, Mapping):
        return [f"{key}:{'x'.join(map(str, shape))}" for key, shape in value.items()] or ["none"]
    if isinstance(value, tuple):
        return [str(item) for item in value] or ["none"]
    if isinstance(value, bool):
        return ["true" if value else "false"]
    if name == "max_memory":
        return [f"{value / (1 << 30):g}GiB"]
    return ["not set" if value is None else str(value)]


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    if isinstance(value, Mapping):
        return {key: list(shape) for key, shape in value.items()}
    return [_plain(item) for item in value] if isinstance(value, tuple) else value
