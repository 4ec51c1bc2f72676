"""state_of(): the weights of a model as PyTorch's `load_state_dict` wants them.

Exporters keep the names of most parameters, and change some: they store products of sequences transposed and call them `val_59`, pack the gates of recurrent
cells in another order, store equal values once, leave out biases of zeros, and fold norms into convolutions. Each is turned back where the file says enough;
what is not is listed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from initaudit.advising.modules import Modules, module_path
from initaudit.advising.parameters import TORCH_GATES, bias_of, weight_of
from initaudit.exporting.signature import signature
from initaudit.extraction.copies import names_parameter
from initaudit.extraction.extract import extract_layers
from initaudit.extraction.names import scope_of
from initaudit.kind import Kind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from initaudit.extraction.layer import Layer
    from initaudit.model.load import Model


_NUMBER = re.compile(r"\d+")


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What a module is to hold."""

    values: dict[str, np.ndarray]
    """By the key of `state_dict`, in the layout of PyTorch; where the file has them so, views of it."""
    missing: tuple[str, ...]
    """What the module has and the file does not, with the reason: `name: reason`."""
    notes: tuple[str, ...]
    """What was put in where the file has nothing, a sentence each."""


def state_of(model: Model) -> State:
    """The weights of `model` by the names of the module that it was exported from. Raises InitauditError where a weight cannot be read."""
    layers, expected = extract_layers(model).layers, signature(model.proto)
    gathering = _Gathering(
        model=model,
        expected=None if expected is None else dict.fromkeys(expected),
        layers=layers,
        modules=Modules.of(layers),
    )
    gathering.take_named()
    for layer in gathering.layers:
        gathering.take_weight(layer)
        gathering.take_bias(layer)
    gathering.join_parts()
    for layer in gathering.layers:
        gathering.take_tied(layer)
        gathering.take_statistics(layer)
        gathering.take_left_out_bias(layer)
    gathering.take_folded_norms()
    gathering.take_shared()
    return gathering.state()


@dataclass(slots=True, kw_only=True)
class _Gathering:
    """What was found so far."""

    model: Model
    expected: Mapping[str, None] | None
    """Names of what the module has, in its order; None where the file does not say."""
    layers: Sequence[Layer]
    modules: Modules
    values: dict[str, np.ndarray] = field(default_factory=dict)
    parts: dict[str, dict[int, np.ndarray]] = field(default_factory=dict)
    """Of parameters that several layers are rows of: by the first row."""
    rows: dict[str, int] = field(default_factory=dict)
    """How many rows such a parameter has."""
    unnamed: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def from_torch(self) -> bool:
        return self.expected is not None or self.model.proto.producer_name.lower().startswith("pytorch")

    def put(self, name: str, values: np.ndarray) -> bool:
        """Take these values; the first that are found for a name, and only where the module is not known to lack it."""
        if name in self.values or (self.expected is not None and name not in self.expected):
            return False
        self.values[name] = values
        return True

    def take_named(self) -> None:
        """Tensors that still have the name of a parameter or buffer, and those that the exporter stored once for two: `b = Identity(a)`."""
        for name, value in self.model.graph.values.items():
            tensor = value.tensor
            if tensor is None and value.producer is not None and value.producer.op_type == "Identity":
                source = value.producer.input(0)
                tensor = source.tensor if source is not None else None
            if tensor is None or tensor.proto is None:
                continue
            known = names_parameter(name) and (tensor.is_floating or tensor.dtype in ("int64", "bool"))
            if name in self.expected if self.expected is not None else known:
                self.put(name, tensor.array())

    def take_weight(self, layer: Layer) -> None:
        """The weight, or the rows of a parameter that it is."""
        if not layer.weight.tensors:
            return
        stored = layer.weight.tensors[0]
        parameter = weight_of(layer, self.modules, from_torch=self.from_torch)
        if parameter is not None and parameter.path is not None:
            if parameter.path not in self.values:
                self.take(
                    parameter.path, parameter.block, _torch_weight(layer), _rows(layer, stored.size // layer.fan_in)
                )
        elif stored.name not in self.values and layer.kind.is_drawn and layer.untrainable is None:
            lost = stored.is_floating
            self.unnamed[layer.title] = "the exporter lost its name" if lost else f"it is stored as {stored.dtype}"

    def take_bias(self, layer: Layer) -> None:
        """The same for the bias."""
        bias, module = layer.bias, module_path(layer)
        if bias is None:
            return
        parameter = bias_of(layer, self.modules, from_torch=self.from_torch)
        start, stop = layer.bias_slice or (0, bias.size)
        path, block = (None, None) if parameter is None else (parameter.path, parameter.block)
        if parameter is None and layer.bias_slice and bias.name.endswith(".in_proj_bias") and self.from_torch:
            path, block = (
                f"{module}.in_proj_bias",
                (0, start, stop),
            )  # stored under the name of another, whose values are equal
        if path is None:
            if bias.name not in self.values and not layer.folded_norm:
                self.unnamed[f"bias of {layer.title}"] = "the exporter lost its name"
        elif path not in self.values:
            self.take(path, block, bias.array().reshape(-1)[start:stop], _rows(layer, bias.size))

    def take(self, name: str, block: tuple[int, int, int] | None, values: np.ndarray, rows: int) -> None:
        """All of a parameter, or the rows of it that a block names."""
        if block is None:
            self.put(name, values)
        else:
            self.parts.setdefault(name, {})[block[1]] = values
            self.rows[name] = rows

    def join_parts(self) -> None:
        """Parameters whose rows are all there."""
        for name, parts in self.parts.items():
            ordered = [parts[start] for start in sorted(parts)]
            found = sum(len(part) for part in ordered)
            if found == self.rows[name]:
                self.put(name, np.concatenate(ordered))
            else:
                self.unnamed[name] = f"{found} of its {self.rows[name]} rows were found"

    def take_tied(self, layer: Layer) -> None:
        """A table that is stored under the name of another parameter; a slope or a norm's factors in another shape, under none."""
        scope = scope_of(layer.node)
        if scope is None or not self.from_torch or not layer.weight.tensors:
            return
        if layer.kind is Kind.EMBEDDING and layer.op_type == "Gather":
            self.put(f"{scope}.weight", layer.weight.tensors[0].array())
        elif layer.op_type == "PRelu" or (layer.kind is Kind.NORM and layer.op_type == "Mul"):
            self.put(f"{scope}.weight", layer.weight.tensors[0].array().reshape(-1))
            if layer.bias is not None and self.put(f"{scope}.bias", layer.bias.array().reshape(-1)):
                self.unnamed.pop(f"bias of {layer.title}", None)

    def take_statistics(self, layer: Layer) -> None:
        """Of a batch normalisation: what it measured, and how often."""
        if layer.op_type != "BatchNormalization":
            return
        module = module_path(layer)
        for role in ("running_mean", "running_var"):
            view = layer.auxiliary.get(role)
            if module is not None and view is not None:
                self.put(f"{module}.{role}", view.array())
        if module is not None and f"{module}.running_mean" in self.values:
            self.put_count(module)

    def put_count(self, module: str) -> None:
        if self.put(f"{module}.num_batches_tracked", np.array(0, np.int64)):
            self.notes.append(f"{module}.num_batches_tracked is not in the file: 0")

    def take_left_out_bias(self, layer: Layer) -> None:
        """The exporter leaves out a bias of zeros."""
        name = f"{module_path(layer)}.bias"
        if (
            self.expected is None
            or name not in self.expected
            or layer.bias is not None
            or layer.weight.part is not None
        ):
            return
        weight = self.values.get(f"{module_path(layer)}.weight")
        if layer.kind.is_product and weight is not None and self.put(name, np.zeros(len(weight), weight.dtype)):
            self.notes.append(f"{name} is not in the file, as exporters leave out a bias of zeros: zeros")

    def take_shared(self) -> None:
        """Parameters of modules of one class that the exporter stored once, under the name of the first: `blocks.1.gain` is what `blocks.1` reads of them."""
        alike: dict[str, list[tuple[set[str | None], str]]] = {}
        for name, value in self.model.graph.values.items():
            if value.tensor is not None and name in self.values:
                readers = {scope_of(node) for node, _ in value.consumers}
                alike.setdefault(_NUMBER.sub("#", name), []).append((readers, name))
        for name in self.expected or ():
            module = name.rpartition(".")[0]
            for readers, other in alike.get(_NUMBER.sub("#", name), ()) if name not in self.values else ():
                if module in readers:
                    self.put(name, self.values[other])

    def take_folded_norms(self) -> None:
        """A norm that was folded into the convolution before it is, for the module, one that does nothing."""
        if self.expected is None:
            return
        folded = {module_path(layer): layer for layer in self.layers if layer.folded_norm}
        before: str | None = None
        for name in self.expected:
            module, _, attribute = name.rpartition(".")
            if module in folded:
                before = module
            elif (
                before is not None
                and attribute in ("weight", "running_mean")
                and f"{module}.running_mean" in self.expected
            ):
                self.put_identity(module, before, folded[before])
                before = None

    def put_identity(self, module: str, before: str, layer: Layer) -> None:
        """A norm that changes nothing; the bias of the convolution is its own where the convolution of the module has none."""
        if f"{module}.running_mean" in self.values or f"{before}.weight" not in self.values:
            return
        dtype, units = self.values[f"{before}.weight"].dtype, layer.parameters // layer.fan_in
        ones, zeros = np.ones(units, dtype), np.zeros(units, dtype)
        own = layer.bias is None or f"{before}.bias" in self.values
        bias = zeros if own or layer.bias is None else layer.bias.array().reshape(-1)
        for attribute, values in (("weight", ones), ("bias", bias), ("running_mean", zeros), ("running_var", ones)):
            self.put(f"{module}.{attribute}", values)
        self.put_count(module)
        self.notes.append(f"{module} was folded into {before} by the exporter: a norm that changes nothing")

    def state(self) -> State:
        values = self.values
        if self.expected is not None:
            values = {name: values[name] for name in self.expected if name in values}
            missing = [
                f"{name}: {self.unnamed.get(name, 'the file does not tell it from others')}"
                for name in self.expected
                if name not in values
            ]
        else:
            missing = [f"{name}: {reason}" for name, reason in self.unnamed.items()]
            missing += [
                f"the norm behind {module_path(layer)}: the exporter folded it into the weights"
                for layer in self.layers
                if layer.folded_norm
            ]
        return State(values=values, missing=tuple(missing), notes=tuple(self.notes))


def _torch_weight(layer: Layer) -> np.ndarray:
    """The weight as PyTorch lays it out: units first, where the layer is a product of matrices; ONNX has the rest as PyTorch has it."""
    if not (layer.kind.is_dense or layer.kind.is_recurrent):
        return layer.weight.tensors[0].array()
    values = layer.weight.array()
    return values.transpose((*layer.weight.unit_axes, *layer.weight.input_axes)).reshape(-1, layer.fan_in)


def _rows(layer: Layer, stored: int) -> int:
    """Rows of the parameter that the layer is a part of: those of all gates, or of the whole tensor."""
    return len(TORCH_GATES[layer.kind]) * (layer.hidden_size or 0) if layer.kind.is_recurrent else stored
