"""The modules of PyTorch that a model's layers were: by their paths, once for all that is asked of them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import onnx

from initaudit.model.parameter_names import module_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from collections.abc import Set as AbstractSet

    from initaudit.extraction.layer import Layer
    from initaudit.kind import Kind
    from initaudit.model.tensors import Tensor

_PATH = re.compile(r"\w+(\.\w+)*")
LONGEST_ROOT = 2
"""Steps of a path that tell whether names in the file begin as it does. A judgement: `model.layers` is the deepest prefix that all share."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Modules:
    """What is known of the modules of a model."""

    weights: Mapping[str | None, AbstractSet[int]]
    """ids of the stored weights of the layers of each module; None stands for those without a known one."""
    cells: Mapping[tuple[Kind, str | None], Mapping[int, int]]
    """id of each recurrent node -> which one of its kind and module it is."""
    paths: AbstractSet[str | None]
    """Of all layers."""
    roots: AbstractSet[str] | None
    """First steps of the names that were kept; None where none was."""

    @classmethod
    def of(cls, layers: Iterable[Layer]) -> Modules:
        """Those of a model's layers, which are given in topological order. Time is linear in their number."""
        weights: dict[str | None, set[int]] = {}
        cells: dict[tuple[Kind, str | None], dict[int, int]] = {}
        paths: set[str | None] = set()
        roots: set[str] = set()
        any_kept = False
        for layer in layers:
            module = module_path(layer)
            paths.add(module)
            if layer.kind.is_recurrent:
                nodes = cells.setdefault((layer.kind, module), {})
                nodes.setdefault(id(layer.node), len(nodes))
            for tensor in layer.weight.tensors[:1]:
                weights.setdefault(module, set()).add(id(tensor))
            for stored in (*layer.weight.tensors[:1], layer.bias):
                if stored is not None and names_parameter(stored):
                    any_kept = True
                    steps = stored.name.split(".")
                    roots.update(".".join(steps[:n]) for n in range(1, min(LONGEST_ROOT + 1, len(steps))))
        return cls(weights=weights, cells=cells, paths=paths, roots=roots if any_kept else None)

    def have_another_weight(self, layer: Layer) -> bool:
        """Whether the layer's module seems to have two weights: then it is a cell, or does more than one thing."""
        return bool(self.weights.get(module_path(layer), frozenset()) - {id(layer.weight.tensors[0])})

    def know(self, module: str) -> bool:
        """Whether names that were kept begin as its path does: scopes of a call are no path where it goes past a module."""
        root = ".".join(module.split(".")[:-1][:LONGEST_ROOT])
        return not root or self.roots is None or root in self.roots


def module_path(layer: Layer) -> str | None:
    """Path of the layer's module; None where its title is no such path."""
    part = f"[{' '.join(p for p in (layer.role, layer.weight.part) if p)}]"
    title = layer.title.removesuffix(part)
    return title if _PATH.fullmatch(title) and not onnx.defs.has(title.capitalize()) else None


def is_kept(tensor: Tensor, module: str | None) -> bool:
    """Whether the tensor still has its parameter's name."""
    return module_of(tensor.name) == module and names_parameter(tensor)


def names_parameter(tensor: Tensor) -> bool:
    """Whether the tensor has the name of a parameter of PyTorch, of this module or of another whose values are equal."""
    name = tensor.name
    return bool(_PATH.fullmatch(name)) and module_of(name) is not None and not name.endswith("weight_bias")
