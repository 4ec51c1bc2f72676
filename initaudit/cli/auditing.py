"""Models audited one after another, or several at once, each under the options that hold for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from initaudit.cli import internal_error
from initaudit.cli.models import STDIN, label, read_stdin
from initaudit.settings.given import COMMAND_LINE

if TYPE_CHECKING:
    from initaudit.config import Config
    from initaudit.model.load import Model
    from initaudit.report.report import Report
    from initaudit.settings.settings import Settings


@dataclass(slots=True)
class ShapesTold:
    """What became of the input shapes in a run over several models: each holds where it fits."""

    used: set[str] = field(default_factory=set)
    """Inputs whose shape fitted a model."""
    misfits: list[str] = field(default_factory=list)
    """Why a model that has the input cannot have the shape, a sentence each."""

    def unused(self, settings: Settings) -> list[str]:
        """Inputs that the command line gives a shape and that none of the models has in this shape."""
        given = [g.value for g in settings.given if g.name == "input_shapes" and g.source.kind == COMMAND_LINE]
        return sorted({name for shapes in given for name in shapes} - self.used)


def audit_all(
    paths: Sequence[str], settings: Settings, shapes: ShapesTold, *, jobs: int, quiet: bool
) -> Iterator[Report]:
    """Reports in the order of the paths, each as soon as those before it are there too."""
    from initaudit.cli.progress import progress

    def one(path: str, watch: Callable[[str], None] | None) -> Report:
        return audit_one(path, settings, watch, shapes=shapes if len(paths) > 1 else None)

    with progress(len(paths), quiet=quiet) as line:
        watchers = [line.of(i, label(path)) if line else None for i, path in enumerate(paths, 1)]
        if min(jobs, len(paths)) == 1:  # not in a thread: only a process with a single one may share the weighing
            yield from map(one, paths, watchers)
            return
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(jobs) as pool:
            try:
                yield from pool.map(one, paths, watchers)
            finally:
                pool.shutdown(wait=False, cancel_futures=True)


def audit_one(
    path: str,
    settings: Settings,
    progress: Callable[[str], None] | None = None,
    *,
    shapes: ShapesTold | None = None,
    content: bytes | None = None,
) -> Report:
    """The report of one path; a model that cannot be audited gives a report with the reason, and costs no other model its own.

    Args:
        path: the argument, or a file that it means.
        settings: options of the run.
        progress: called with a phrase for what is being done.
        shapes: takes down what became of the input shapes, where they need not fit every model; None where the command line speaks of
            this model alone.
        content: what stdin held, where it was read already.
    """
    from initaudit.auditor import audit, failed
    from initaudit.errors import InitauditError

    name, config = label(path), None
    try:
        config = settings.config(name)
        source: str | Model = read_stdin(content) if path == STDIN else path
        if config.input_shapes:
            source, config = with_fitting_shapes(source, config, settings, shapes)
        return audit(source, config, progress)
    except InitauditError as error:
        return failed(name, str(error), config)
    except MemoryError:
        return failed(name, f"{name}: out of memory", config)
    except Exception as error:  # noqa: BLE001  a bug, and still one line
        return failed(name, f"{name}: {internal_error(error)}", config)


def with_fitting_shapes(
    source: str | Model, config: Config, settings: Settings, told: ShapesTold | None = None
) -> tuple[Model, Config]:
    """The model, and options with those input shapes only that it can have; and those that the command line says of it alone."""
    from initaudit.model.load import load_model
    from initaudit.probe.inputs.ports import misfits

    model = load_model(source)
    wrong = misfits(model.proto, config.input_shapes)
    if told is None:
        demanded = ShapesTold().unused(settings)
        wrong = {name: why for name, why in wrong.items() if name not in demanded}
    else:
        told.used |= set(config.input_shapes) - set(wrong)
        told.misfits += [f"{model.label}: {why}" for why in wrong.values() if why]
    fitting = {name: shape for name, shape in config.input_shapes.items() if name not in wrong}
    return model, replace(config, input_shapes=fitting)
