"""`initaudit make`: write a small network for teaching and tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from initaudit.cli.completion import complete_activations, complete_schemes
from initaudit.cli.options import decorated, run_options_of
from initaudit.making.architectures import ARCHITECTURES

F = TypeVar("F", bound=Callable[..., Any])


def architecture_options(function: F) -> F:
    """One for each; without a value it means the usual sizes."""
    return decorated(
        function,
        [
            click.option(
                f"--{kind.name}",
                is_flag=False,
                flag_value=kind.sizes,
                metavar=f"[{kind.form}]",
                help=f"{kind.what}; without sizes {kind.sizes}.",
            )
            for kind in ARCHITECTURES.values()
        ],
    )


@click.command("make")
@architecture_options
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), metavar="OUT", help="File to write.")
@click.option(
    "--activation",
    metavar="NAME",
    shell_complete=complete_activations,
    help="relu (default; gelu in a transformer), tanh, sigmoid, leaky_relu:0.2, selu, ..., or linear for none.",
)
@click.option(
    "--norm",
    metavar="NORM",
    help="none, batch or layer, in front of the activations (default none; batch in residual blocks).",
)
@click.option(
    "--dropout", metavar="SHARE", help="Values that training leaves out, behind the hidden layers (default 0)."
)
@click.option(
    "--scheme",
    multiple=True,
    metavar="[GLOB=]SCHEME",
    shell_complete=complete_schemes,
    help="What the weights are drawn from: all that `fix --scheme` takes; auto (what fits each layer) is the default. Repeatable.",
)
@click.option("--gain", metavar="X", help="Factor on the weights (default 1).")
@click.option(
    "--bias", metavar="BIAS", help="auto (zero, or 1 in a forget gate; default), none (no biases), or the value of all."
)
@click.option("--seed", metavar="N", help="Seed of the draws, 0 or more (default 0).")
@click.option("--force", is_flag=True, help="Overwrite OUT.")
@run_options_of("quiet")
def command(output: Path | None, *, force: bool, quiet: bool | None, **options: Any) -> int:
    """Write a small network for teaching and tests; its weights are those that `fix --all --scheme` would draw for it.

    Configuration files are not read. The same command writes the same bytes.
    """
    from initaudit.cli.output import check_writable, refuse_existing
    from initaudit.errors import UsageError
    from initaudit.files import write_atomically
    from initaudit.formats.printing import visible
    from initaudit.making.make import make
    from initaudit.making.options import MakeOptions

    asked = {name: sizes for name in ARCHITECTURES if (sizes := options.pop(name)) is not None}
    if len(asked) != 1:
        raise UsageError(f"give one of {', '.join(f'--{name}' for name in ARCHITECTURES)}")
    if output is None or str(output) == "-":
        raise UsageError("a model goes to a file; give -o OUT")
    refuse_existing([output], force=force)
    check_writable(output)
    ((name, sizes),) = asked.items()
    given = {key: value for key, value in options.items() if value not in (None, ())}
    model = make(name, sizes, MakeOptions(**given))
    write_atomically(output, model.SerializeToString(deterministic=True))
    if not quiet:
        click.echo(f"wrote {visible(str(output))}", err=True)
    return 0
