"""Trainee: a module of torch, and which of its parameters stands for which tensor of the model."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import numpy as np
    from torch import Tensor, nn


@dataclass(frozen=True, slots=True, kw_only=True)
class Trainee:
    """What is trained; one module serves all runs, one after the other."""

    module: nn.Module
    inputs: Sequence[str]
    """Names of the model's inputs, in the order of the module's arguments."""
    places: Mapping[str, str]
    """Names in the module's state by those of the tensors of the model that hold the values; a module on another device has other tensors."""
    start: Mapping[str, Tensor]
    """State of the module as it came, for what no scheme draws."""

    def begin(self, values: Mapping[str, np.ndarray]) -> None:
        """Set it back to how it came, but for these tensors of the model."""
        self.module.load_state_dict(self.start)
        held = self.module.state_dict()
        with torch.no_grad():
            for name, array in values.items():
                if name in self.places:
                    tensor = held[self.places[name]]
                    tensor.copy_(torch.from_numpy(array).reshape(tensor.shape))

    def trained(self) -> list[Tensor]:
        """Its parameters, each once."""
        return [parameter for parameter in self.module.parameters() if parameter.requires_grad]

    def answer(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """What it says to one batch."""
        found = self.module(*(inputs[name] for name in self.inputs))
        while not isinstance(found, torch.Tensor):
            found = next(iter(found.values())) if hasattr(found, "values") else found[0]
        return found

    @contextmanager
    def asked(self) -> Iterator[None]:
        """As in training, so that norms go by their batch, but without dropout and gradients."""
        quiet = [part for part in self.module.modules() if "dropout" in type(part).__name__.lower()]
        self.module.train()
        for part in quiet:
            part.eval()
        with torch.no_grad():
            yield
        self.module.train()


def trainee_of(module: nn.Module, inputs: Sequence[str], tensors: Mapping[str, Tensor]) -> Trainee:
    """The module as it is now.

    `tensors` are its parameters and buffers by the names of the tensors of the model that hold their values.
    """
    own = {id(tensor): name for name, tensor in module.state_dict(keep_vars=True).items()}
    places = {name: own[id(tensor)] for name, tensor in tensors.items()}
    start = {name: value.detach().clone() for name, value in module.state_dict().items()}
    return Trainee(module=module, inputs=inputs, places=places, start=start)
