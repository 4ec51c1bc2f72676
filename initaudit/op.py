"""The interface of an operator family that owns weights: which operators, and which layers a node of theirs is.

A family is one class in one file of `initaudit/ops/`; others add theirs through the entry point group `initaudit.ops`.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from initaudit.kind import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from initaudit.model.graph import Node, Value
    from initaudit.model.operators import OperatorSpec
    from initaudit.views import Constants, Operand


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AuxiliaryConstant:
    """A stored constant that belongs to a layer but is not its weight: bias, running mean, slope, initial state, ..."""

    operand: Operand
    role: str
    """`bias`, `running_mean`, `running_var`, `peephole`, `initial_state`, ..."""
    span: tuple[int, int] | None = None
    """Elements [start, stop) of the flattened operand that belong to this layer or part; None for all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightPlace:
    """Where a node reads a layer's weight."""

    position: int
    """Input of the node."""
    shape: tuple[int, ...]
    """Of the operand there, of which the layer may be a part."""
    window: tuple[tuple[int, int], ...] | None = None
    """Elements [start, stop) along each of its axes that are the layer's; None for all, or where later nodes take the output apart."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LayerSpec:
    """What an operator family says about one layer (or part of one) of a node."""

    kind: Kind
    operand: Operand
    """The weight."""
    unit_axes: tuple[int, ...]
    input_axes: tuple[int, ...]
    fan_in: int
    fan_out: int
    part: str | None = None
    role: str | None = None
    """Which operand of the node, where a node has several weights: `W` and `R` of a recurrent cell."""
    groups: int = 1
    hidden_size: int | None = None
    input: Value | None = None
    output: Value | None = None
    channel_axis: int | None = None
    unit_slice: tuple[int, int] | None = None
    auxiliary: tuple[AuxiliaryConstant, ...] = ()
    feeds: tuple[str, ...] = ()
    """What the operator itself does with the product (recurrent cell, attention); empty where the graph says it."""
    doubt: int = 0
    """0: certainly a weight. Higher: only where no layer of a lower number uses the same stored tensor."""
    untrainable: str | None = None
    place: WeightPlace | None = None
    """Where the node reads the weight; None where the node holds it in another form, so that it cannot be perturbed."""

    def __post_init__(self) -> None:
        """Takes the kind also as its plain word, as other packages may give it. Raises ValueError or TypeError for a kind, axes or fans that cannot be."""
        object.__setattr__(self, "kind", Kind(self.kind))
        rank = len(self.operand.shape)
        if not all(0 <= axis < rank for axis in (*self.unit_axes, *self.input_axes)):
            raise ValueError(f"axes {self.unit_axes} and {self.input_axes} are not those of a weight of {rank} axes")
        if not (self.fan_in >= 0 and self.fan_out >= 0):
            raise ValueError(f"fans {self.fan_in} and {self.fan_out} are no numbers of values")

    @property
    def units(self) -> int:
        """Output units of the layer; as many biases belong to it."""
        units = math.prod(self.operand.shape[a] for a in self.unit_axes)
        return units * self.groups if self.kind is Kind.CONV_TRANSPOSE else units

    @property
    def copies(self) -> int:
        """Independent copies of the layer in one weight (experts, heads)."""
        counted = {*self.unit_axes, *self.input_axes}
        return math.prod(n for axis, n in enumerate(self.operand.shape) if axis not in counted)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DetachedConstant:
    """A constant that belongs to the layer whose output `to` is (a bias that a later operator adds)."""

    operand: Operand
    to: Value
    role: str = "bias"
    span: tuple[int, int] | None = None
    also: tuple[Value, ...] = ()
    """Further values whose layer it may belong to, tried in order."""
    otherwise: Callable[[], LayerSpec | NotALayer] | None = None
    """What it is where no layer with as many units made the value."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NotALayer:
    """A constant that is no layer and belongs to none, with the reason."""

    reason: str
    operand: Operand | None = None
    name: str | None = None
    """Of what is listed, where no stored tensor is (coefficients in attributes)."""
    parameters: int = 0
    """Number of values then."""
    is_parameter: bool = False


Found = LayerSpec | DetachedConstant | NotALayer


class Operator(ABC):
    """A family of operators whose nodes own weights."""

    types: ClassVar[tuple[str, ...]]
    """Operators as `op_type` (standard domain) or `domain:op_type`."""
    specs: ClassVar[Mapping[str, OperatorSpec]] = {}
    """What operators do that `initaudit.model.operators` has no row for, by the names in `types`. One that is left out counts as a
    product of its first input with a weight."""

    @abstractmethod
    def find(self, node: Node, constants: Constants) -> Iterator[Found]:
        """Layers of `node` and what belongs to them; nothing where its weights are not constant.

        Raises ValueError, IndexError, TypeError or UnsupportedWeight where shapes and attributes contradict each other.
        """


def key(node: Node) -> str:
    """How `Operator.types` names the operator of a node."""
    return f"{node.domain}:{node.op_type}" if node.domain else node.op_type
