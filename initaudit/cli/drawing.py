"""Options of the commands that draw weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from initaudit.cli.options import decorated
from initaudit.redrawing.choice import BIASES

F = TypeVar("F", bound=Callable[..., Any])


def draw_options(function: F) -> F:
    """How weights are drawn, whatever the scheme, and which layers are spared."""
    return decorated(function, _DRAW_OPTIONS)


_DRAW_OPTIONS = (
    click.option("--gain", type=float, metavar="X", help="Factor on the weights that are drawn (default 1)."),
    click.option("--bias", type=click.Choice(BIASES), help="Of layers that are drawn: zero, or 1 in a forget gate (auto, default); zero; or as they are (keep)."),
    click.option("--exclude", "fix_exclude", multiple=True, metavar="GLOB", help="Leave layers with this name (or glob) as they are. Repeatable."),
)  # fmt: skip
