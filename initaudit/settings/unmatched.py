"""Tables of the configuration that a run had no use for: a glob with a typing error is in force nowhere."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from initaudit.options import names
from initaudit.settings.settings import Settings, fits_model


def unmatched(settings: Settings, run: Mapping[str, Collection[str] | None]) -> tuple[str, ...]:
    """A sentence for each table under `files` that fits no model of a run, and for each under `layers` that fits no layer.

    Args:
        settings: those of the run.
        run: path of each model -> names of its layers, titles and tensors; None where they are not known, and may be any.
    """
    missed: dict[tuple[str | None, str | None], str] = {}
    for given in settings.given:
        files, layers = given.files, given.layers
        models = [path for path in run if files is None or fits_model(files, path)]
        if not models:
            missed.setdefault((files, None), f'files."{files}" ({given.source}) matched no model')
        elif layers is not None and not any(_has(run[path], layers) for path in models):
            missed.setdefault((files, layers), f'layers."{layers}" ({given.source}) matched no layer')
    return tuple(missed.values())


def _has(known: Collection[str] | None, layers: str) -> bool:
    return known is None or any(names(layers, name) for name in known)
