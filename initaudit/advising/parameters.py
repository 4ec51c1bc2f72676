"""Where PyTorch keeps the weight and the bias of a layer: the parameter's name, and the rows of it that are meant.

Exporters keep the names of what they store as it is (`layers.3.weight`), and lose those of what they transpose, pack or fold. Then the
module's name is still known, and its class says what its parameters are called.
"""

from __future__ import annotations

import keyword
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from initaudit.advising.modules import is_kept, module_path, names_parameter
from initaudit.errors import FixRefused
from initaudit.extraction.names import scope_of
from initaudit.kind import Kind
from initaudit.redrawing.positions import positions

if TYPE_CHECKING:
    from initaudit.advising.modules import Modules
    from initaudit.extraction.layer import Layer

TORCH_GATES = {
    Kind.LSTM: ("input", "forget", "cell", "output"),
    Kind.GRU: ("reset", "update", "hidden"),
    Kind.RNN: ("",),
}
"""In the order of torch.nn.LSTM, GRU and RNN."""
LARGEST_PACKED = 1 << 22
"""Elements of a packed weight up to which the place of a part in it is looked for. A judgement: query, key and value of a width of 1,024."""
_MOVED = re.compile(r"onnx::|_?val_?\d|t(_\d+)?$|transpose|permute", re.IGNORECASE)
"""Names of what an exporter transposed, or packed anew, and nothing else."""
_REPARAMETRISED = re.compile(r"(parametrizations\.\w+\.original\d?|weight_(orig|[vgu]))$")
"""Parameters from which a module computes its weight anew whenever it runs: weight and spectral norm, pruning."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A parameter of a PyTorch module, or a slice of it."""

    path: str | None
    """Dotted, from the exported module; None where it is not known what the layer is called there."""
    attribute: str
    """What its module calls it: `weight`, `bias`, `weight_ih_l0`."""
    shape: tuple[int, ...]
    """Of the slice."""
    block: tuple[int, int, int] | None = None
    """(axis, start, stop) of the slice; None for the whole."""

    @property
    def rows(self) -> str:
        """The slice as it is written: `[64:128]`; empty for the whole."""
        if self.block is None:
            return ""
        axis, start, stop = self.block
        return f"[{':, ' * axis}{start}:{stop}]"

    @property
    def place(self) -> str:
        """As an expression, with `model` for what was exported, or `layer` for the module where its name is not known."""
        return f"{expression(self.path) if self.path else f'layer.{self.attribute}'}{self.rows}"


def expression(path: str) -> str:
    """`layers.3.weight` -> `model.layers[3].weight`."""
    steps = path.split(".")
    if not all(step.isdecimal() or (step.isidentifier() and not keyword.iskeyword(step)) for step in steps):
        return f'model.get_parameter("{path}")'
    return "model" + "".join(f"[{int(step)}]" if step.isdecimal() else f".{step}" for step in steps)


def weight_of(layer: Layer, modules: Modules, *, from_torch: bool) -> Parameter | None:
    """The parameter that holds the layer's weight; None where setting it would not set the weight, or only part of it is known.

    Args:
        layer: the layer.
        modules: those of the model.
        from_torch: whether PyTorch exported the model, so that modules are what they are called.
    """
    if layer.kind.is_recurrent:
        return _of_cell(layer, modules, "weight", from_torch=from_torch)
    if not layer.weight.tensors or (layer.weight.computed and not layer.weight.tensors[0].is_floating):
        return None
    tensor, module = layer.weight.tensors[0], module_path(layer)
    if _REPARAMETRISED.search(tensor.name):
        return None
    kept = is_kept(tensor, module)
    block, shape = None, tensor.shape if kept else _torch_shape(layer)
    if layer.weight.part is not None:
        block = _block(layer)
        if block is None:
            return None
        axis, start, stop = block
        if kept:
            shape = (*shape[:axis], stop - start, *shape[axis + 1 :])
        else:
            block = (0, start, stop)
    path = tensor.name if kept else _lost_path(layer, modules) if from_torch else None
    if from_torch and path is None:
        return None
    return Parameter(path=path, attribute="weight", shape=shape, block=block)


def bias_of(layer: Layer, modules: Modules, *, from_torch: bool) -> Parameter | None:
    """The parameter that holds the layer's bias; of a recurrent cell, that of its input weights."""
    if layer.kind.is_recurrent:
        return _of_cell(layer, modules, "bias", from_torch=from_torch)
    if layer.bias is None:
        return None
    kept = is_kept(layer.bias, module_path(layer))
    module = _called_before(layer, modules) or module_path(layer)
    lost = from_torch and not kept
    if lost and (layer.weight.part or module is None or not names_parameter(layer.bias) or not modules.know(module)):
        return None  # computed by the exporter, of a norm that it folded into the layer
    path = layer.bias.name if kept else f"{module}.bias" if from_torch else None
    units, block = layer.bias.size, None
    if layer.bias_slice is not None:
        start, stop = layer.bias_slice
        units, block = stop - start, (0, start, stop)
    return Parameter(path=path, attribute="bias", shape=(units,), block=block)


def _lost_path(layer: Layer, modules: Modules) -> str | None:
    """Of a weight whose name the exporter lost: that in the layer's module, where it is of a class of torch.nn that has just one."""
    stored = layer.weight.tensors[0].name
    merged = names_parameter(layer.weight.tensors[0])  # with that of another module, whose values were equal
    moved = layer.kind is Kind.LINEAR and _MOVED.match(stored) is not None
    folded = layer.kind.is_convolution and layer.folded_norm
    of_torch = layer.kind in (Kind.LINEAR, Kind.NORM) or layer.kind.is_convolution
    if not (moved or folded or (merged and of_torch)) or modules.have_another_weight(layer):
        return None
    module, scope = _called_before(layer, modules) or module_path(layer), scope_of(layer.node)
    if module is None:
        return None
    if scope is not None and scope.startswith(f"{module}."):  # the bias is that of a module around it
        module = scope
    return f"{module}.{_attribute(layer)}" if modules.know(module) else None


def _called_before(layer: Layer, modules: Modules) -> str | None:
    """The module that is called once more here, which the exporter's scopes then count: `query` for `query_1`; None where it is no such call."""
    module = module_path(layer)
    tensors = (*layer.weight.tensors[:1], *([layer.bias] if layer.bias is not None else []))
    first = re.sub(r"_\d+$", "", module) if module is not None else None
    if first == module or any(is_kept(tensor, module) for tensor in tensors):
        return None
    return first if first in modules.paths else None


def _attribute(layer: Layer) -> str:
    """What the weight is called beside a bias of this name: `in_proj_weight` beside `in_proj_bias`."""
    bias = layer.bias.name.rpartition(".")[2] if layer.bias is not None else ""
    return "in_proj_weight" if bias == "in_proj_bias" else "weight"


def _torch_shape(layer: Layer) -> tuple[int, ...]:
    """Of the parameter of torch.nn.Linear, Conv or Embedding, or the rows of it."""
    if layer.kind.is_dense:
        return (layer.parameters // layer.fan_in, layer.fan_in)
    return layer.weight.shape


def _block(layer: Layer) -> tuple[int, int, int] | None:
    """(axis, start, stop) of the slice of the stored matrix that the layer's part is; None where it is no slice."""
    tensor = layer.weight.tensors[0]
    if len(tensor.shape) != 2 or tensor.size > LARGEST_PACKED:
        return None
    try:
        index = positions(layer.weight)
    except FixRefused:
        return None
    if index is None:
        return None
    for axis, along in enumerate(np.divmod(index, tensor.shape[1])):
        start, stop = int(along.min()), int(along.max()) + 1
        if (stop - start) * (tensor.size // tensor.shape[axis]) == index.size:
            return axis, start, stop
    return None


def _of_cell(layer: Layer, modules: Modules, what: str, *, from_torch: bool) -> Parameter | None:
    """Rows of `weight_ih_l0` and its like: one layer of a torch.nn.LSTM, GRU or RNN after the other is a node of the graph."""
    module, part = module_path(layer), layer.weight.part or ""
    direction, named, gate = part.partition("gate:")
    gate = gate if named else ""
    gates, hidden = TORCH_GATES[layer.kind], layer.hidden_size
    if gate not in gates or hidden is None:
        return None
    cell = modules.cells[layer.kind, module][id(layer.node)]
    reverse = "_reverse" if direction.startswith("reverse") and _is_bidirectional(layer) else ""
    name = f"{what}_{'hh' if layer.role == 'R' else 'ih'}_l{cell}{reverse}"
    start = gates.index(gate) * hidden
    return Parameter(
        path=f"{module}.{name}" if from_torch and module else None,
        attribute=name,
        shape=(hidden, layer.fan_in) if what == "weight" else (hidden,),
        block=(0, start, start + hidden) if len(gates) > 1 else None,
    )


def _is_bidirectional(layer: Layer) -> bool:
    return bool(layer.node.attr("direction", "forward") == "bidirectional")
