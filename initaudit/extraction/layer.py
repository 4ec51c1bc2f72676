"""Layer: one use of a weight by an operator, with everything the file says about it; and what is no layer, with the reason."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from initaudit.kind import Kind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from initaudit.model.graph import Node, Value
    from initaudit.model.tensors import Tensor
    from initaudit.op import WeightPlace
    from initaudit.views.weight import WeightView


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Layer:
    """One use of a weight by an operator."""

    name: str
    """Unique in the model: the node's name, or a stable path where nodes are unnamed; parts of one node append `[part]`."""
    title: str
    """Name a person recognises: the parameter's path recovered from the file where the exporter lost it."""
    lasting_name: str = ""
    """Unique in the model and the same in the next export, whatever its nodes are numbered."""
    kind: Kind
    node: Node = field(repr=False)
    weight: WeightView
    fan_in: int
    """Input values that enter one output value (groups respected, stride ignored)."""
    fan_out: int
    """Output values that one input value enters."""
    groups: int = 1
    hidden_size: int | None = None
    """Of a recurrent layer."""
    role: str | None = None
    """`W` (input weights) or `R` (recurrent weights) of a recurrent layer."""
    activation: str | None = None
    """torch's functional name of the nonlinearity that the layer's own output goes through before anything else."""
    activation_params: Mapping[str, float] = field(default_factory=dict)
    normalized_by: str | None = None
    """batch_norm, layer_norm, group_norm, instance_norm, rms_norm: a normalisation between output and activation (or next layer)."""
    feeds: tuple[str, ...] = ()
    """What consumes the output first: an activation, `norm:layer_norm`, `residual_add`, `gate`, `softmax`, `attention`, `layer`, `output`, `recurrent_cell`, `offsets`."""
    bias: Tensor | None = None
    """Stored bias added to the output, if any."""
    bias_slice: tuple[int, int] | None = None
    """Elements of a packed bias [start, stop) that belong to this part."""
    auxiliary: Mapping[str, WeightView] = field(default_factory=dict, repr=False)
    """Other stored constants that belong to the layer, by role: `bias` (also where it is quantised or computed, so that `bias` is None),
    `running_mean`, `running_var`, `peephole`, `initial_state`, ..."""
    input: Value | None = field(default=None, repr=False)
    """The data operand (not the weight)."""
    output: Value | None = field(default=None, repr=False)
    """The layer's own output, after its bias (a following constant Add counts as the bias)."""
    preactivation: Value | None = field(default=None, repr=False)
    """What enters the activation (after a normalisation where one stands between); equals `output` where there is no activation."""
    postactivation: Value | None = field(default=None, repr=False)
    """What leaves the activation; None where there is none."""
    channel_axis: int | None = None
    """Axis of `output` that counts the units: 1 for convolutions (N, C, ...), -1 for linear layers; None if unknown."""
    unit_slice: tuple[int, int] | None = None
    """Units [start, stop) of `output` along `channel_axis` that this part computes; None for the whole."""
    in_residual_branch: bool = False
    """It stands between the split of a skip connection and the sum where the skip returns: the signal has a way past it."""
    ends_residual_branch: bool = False
    """It is the last weight layer before that addition."""
    is_head: bool = False
    """Nothing but linear steps, softmax and the like lie between the output and a graph output."""
    folded_norm: bool = False
    """Whether the exporter says that it folded a BatchNorm into the layer: the norm acts in training, the file no longer has it."""
    normalized_before_use: bool = False
    """A normalisation removes the scale of the output before anything nonlinear sees it (directly behind the layer or behind the residual add's branch end)."""
    place: WeightPlace | None = field(default=None, repr=False)
    """Where the node reads the weight; None where it cannot be perturbed there."""
    shared_with: tuple[str, ...] = ()
    """Names of the other layers that use the same stored weight, the first MAX_SHARING of them."""
    untrainable: str | None = None
    """Reason why this is no learned weight although an operator multiplies by it (adjacency matrix, fixed table, ...)."""
    depth: int = 0
    """Position in topological order, from 0."""

    @property
    def op_type(self) -> str:
        """Operator of the node."""
        return self.node.op_type

    @property
    def parameters(self) -> int:
        """Number of weight elements in this layer (or part)."""
        size = 1
        for n in self.weight.shape:
            size *= n
        return size

    @property
    def gives_offsets(self) -> bool:
        """Whether its output only moves the taps of a deformable convolution, in pixels."""
        return self.feeds == ("offsets",)

    @property
    def is_forget_gate(self) -> bool:
        """Whether these are weights of an LSTM's forget gate."""
        return self.kind is Kind.LSTM and (self.weight.part or "").endswith("gate:forget")


@dataclass(frozen=True, slots=True, kw_only=True)
class Skipped:
    """A tensor that no layer stands for, with the reason."""

    initializer: str
    parameters: int
    reason: str
    is_parameter: bool
    """Whether it looks like a learned parameter at all: shapes, axes, scalars and integer tables are not counted in coverage."""
    stored: bool = True
    """False for a weight that the caller of the model brings: the file holds no values to audit or to count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Extraction:
    """All layers of a model and everything that is not one."""

    layers: tuple[Layer, ...]
    skipped: tuple[Skipped, ...]
    parameters: int
    """Elements of stored tensors that are learned parameters, biases and norm parameters included, each stored tensor once."""
    audited: int
    """Of these, how many some layer (weight, bias, norm statistic) accounts for."""
    claimed: Mapping[int, int] = field(default_factory=dict, repr=False)
    """The same by stored tensor, of its identity."""
