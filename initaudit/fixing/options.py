"""FixOptions: what to change in a model, and how."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from initaudit.errors import UsageError
from initaudit.findings import matches
from initaudit.initialisation.spelling import AUTO, BY_INPUTS, PCA, read_schemes, scheme_of
from initaudit.options import names, one_of, read_flag, read_layer_names, read_positive, read_words
from initaudit.redrawing.choice import BIASES, MODES, Recipe

if TYPE_CHECKING:
    from initaudit.extraction.layer import Layer
    from initaudit.findings import Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class FixOptions(Recipe):
    """What to change and how."""

    layers: tuple[str, ...] = ()
    """Names, titles or globs over them; only these layers are changed."""
    exclude: tuple[str, ...] = ()
    """The same; these layers are not changed."""
    every: bool = False
    """Change every layer that has a target, flagged or not."""
    select: tuple[str, ...] = ()
    """Only what these rules name."""
    force: bool = False
    """Also change layers that were trained."""
    dry_run: bool = False
    """Write nothing."""
    keep_going: bool = False
    """Write the model also where it would still fail."""
    export_weights: Path | None = None
    """File for the weights under the names that PyTorch knows, .npz or .safetensors."""

    def __post_init__(self) -> None:
        """Raises UsageError; what may be written as text is read."""
        for name, read in _READERS.items():
            try:
                object.__setattr__(self, name, read(getattr(self, name)))
            except UsageError as error:
                raise UsageError(f"option {name.replace('_', '-')!r}: {error}") from error
        if self.mode == "rescale" and (word := _without_scale(self.scheme)):
            raise UsageError(f"mode rescale keeps the directions of the weights, and {word} has a say in them")

    def follows(self, finding: Finding) -> bool:
        """Whether the rule that found it is one of those that are asked for."""
        return not self.select or any(matches(finding, word) for word in self.select)

    def spares(self, layer: Layer) -> bool:
        """Whether the layer is to stay as it is."""
        return any(names(glob, name) for glob in self.exclude for name in (layer.name, layer.title))

    def asks_for(self, layer: Layer) -> bool:
        """Whether a scheme is asked for at this very layer, so that it is drawn also where no scale is better than another."""
        asked = self.scheme_for(layer)
        return asked.by_name or (asked.scheme != AUTO and bool(self.layers))


def _without_scale(schemes: Iterable[str]) -> str | None:
    """One of the schemes that are more, or less, than a scale."""
    for word in (text.rpartition("=")[2].strip() for text in schemes):
        if word == PCA or (word not in (AUTO, *BY_INPUTS) and scheme_of(word).distribution == "constant"):
            return word
    return None


def _read_path(value: Any) -> Path | None:
    if value is None:
        return None
    try:
        return Path(value)
    except TypeError as error:
        raise UsageError(f"{value!r} is no path") from error


_READERS: dict[str, Callable[[Any], Any]] = {
    "scheme": read_schemes,
    "mode": one_of(*MODES),
    "gain": read_positive,
    "bias": one_of(*BIASES),
    "layers": read_layer_names,
    "exclude": read_layer_names,
    "every": read_flag,
    "select": read_words,
    "force": read_flag,
    "dry_run": read_flag,
    "keep_going": read_flag,
    "export_weights": _read_path,
}
"""How the value of each option is read."""
