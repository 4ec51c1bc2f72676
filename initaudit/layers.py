"""Layer: one use of a weight by an operator, with everything the file says about it; and the way to find them all.

`extract_layers` is short: constants of the graph (`views`), what each operator family says of its nodes (`op`, `ops/`),
what follows each output (`activations`), names (`names`), and what is left over (`coverage`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np

    from initaudit.activations import Following
    from initaudit.graph import Node, Value
    from initaudit.model import Model
    from initaudit.op import LayerSpec
    from initaudit.tensors import Tensor
    from initaudit.views import Constants, Operand


REWRITES = "pkg.onnxscript.rewriter.rule_name"
"""Key under which torch's exporter notes on a node which rules rewrote it."""
FOLDED_NORM = "FuseBatchNorm"
"""Beginning of the rules that fold a BatchNorm into a Conv, ConvTranspose or Gemm."""
COMPUTED = "onnx::Conv"
"""Beginning of the names that torch's older exporter gives to weights of a convolution that it computed; both weight and bias
have one where it folded a BatchNorm, the weight alone where it folded a weight norm."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WeightView:
    """The way from the stored tensor(s) to the operand that the operator multiplies by, or to one part of it."""

    tensors: tuple[Tensor, ...]
    """Stored tensors the values come from (weight first; scales and zero points of a quantised weight after it)."""
    steps: tuple[str, ...] = ()
    """What stands between, in order, e.g. `transpose(1,0)`, `dequantize(axis=0)`, `slice`, `cast(float16)`."""
    shape: tuple[int, ...]
    """Of the operand (or part) as `array()` gives it."""
    dtype: str
    """Stored element type of the first tensor, e.g. `float32`, `int4`."""
    part: str | None = None
    """Which part of a packed tensor: `q`, `k`, `v`, `gate:forget`, `forward/gate:input`, `expert`, ...; None for the whole."""
    unit_axes: tuple[int, ...]
    """Axes of `shape` that count output units."""
    input_axes: tuple[int, ...]
    """Axes of `shape` that are summed over for one output unit; the axes in neither tuple are independent copies (experts)."""
    evaluate: Callable[[], np.ndarray] = field(repr=False)
    """Gives the operand's values; a strided view of a memory map wherever the steps allow it."""

    def array(self) -> np.ndarray:
        """Values of the operand, shape `self.shape`, in the stored dtype, or float where dequantised or computed.

        Raises UnsupportedWeight, ExternalDataError or InvalidModel.
        """
        return self.evaluate()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Layer:
    """One use of a weight by an operator."""

    name: str
    """Unique in the model: the node's name, or a stable path where nodes are unnamed; parts of one node append `[part]`."""
    title: str
    """Name a person recognises: the parameter's path recovered from the file where the exporter lost it."""
    kind: str
    """conv, grouped_conv, depthwise_conv, conv_transpose, linear, embedding, lstm, gru, rnn, attention, einsum, norm, scale, other."""
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
    """What consumes the output first: an activation, `norm:layer_norm`, `residual_add`, `gate`, `softmax`, `attention`, `layer`, `output`, `recurrent_cell`."""
    bias: Tensor | None = None
    """Stored bias added to the output, if any."""
    bias_slice: tuple[int, int] | None = None
    """Elements of a packed bias [start, stop) that belong to this part."""
    companions: Mapping[str, WeightView] = field(default_factory=dict, repr=False)
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
    """The output (through linear steps only) is added to a skip connection."""
    ends_residual_branch: bool = False
    """It is the last weight layer before that addition."""
    is_head: bool = False
    """Nothing but linear steps, softmax and the like lie between the output and a graph output."""
    normalized_before_use: bool = False
    folded_norm: bool = False
    """Whether the exporter says that it folded a BatchNorm into the layer: the norm acts in training, the file no longer has it."""
    """A normalisation removes the scale of the output before anything nonlinear sees it (directly behind the layer or behind the residual add's branch end)."""
    shared_with: tuple[str, ...] = ()
    """Names of the other layers that use the same stored weight."""
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
    notes: Mapping[str, Any] = field(default_factory=dict)


def extract_layers(model: Model) -> Extraction:
    """Every use of a weight, in topological order, and every stored tensor that is none, with the reason.

    Reads no weight but small tables and a few values where a decision needs them. Time is linear in the size of the graph.
    """
    from dataclasses import replace

    from initaudit.coverage import account
    from initaudit.find import find_specs
    from initaudit.names import name_layers
    from initaudit.views import Constants

    constants = Constants(model.graph, model.opset)
    finds = find_specs(model.graph, constants)
    followings = Followings()
    specs = tuple((node, part) for node, spec in finds.specs for part in _parts(spec, constants, followings))
    finds = replace(finds, specs=specs)
    names = name_layers(specs)
    users: dict[int, list[str]] = {}
    for (_, spec), (name, _) in zip(specs, names, strict=True):
        for tensor in spec.operand.tensors[:1]:
            users.setdefault(id(tensor), []).append(name)
    layers = tuple(
        _layer(node, spec, name, title, depth, users, followings)
        for depth, ((node, spec), (name, title)) in enumerate(zip(specs, names, strict=True))
    )
    return account(model.graph, finds, layers)


class Followings:
    """What follows each output, asked once per value."""

    def __init__(self) -> None:
        self._known: dict[Value, Following] = {}

    def of(self, value: Value) -> Following:
        """What follows `value`."""
        from initaudit.activations import follow

        known = self._known.get(value)
        if known is None:
            known = self._known[value] = follow(value)
        return known


def _parts(spec: LayerSpec, constants: Constants, followings: Followings) -> list[LayerSpec]:
    """The layer, or its parts where the graph takes its output apart before anything else happens to it."""
    from initaudit.packed import part_specs, pieces

    if spec.kind not in ("linear", "conv") or spec.weak or spec.feeds or spec.output is None:
        return [spec]
    found = pieces(spec, constants)
    if not found:
        return [spec]
    whole = followings.of(spec.output).activation
    if whole == "glu" or (whole is not None and any("gate" in followings.of(p.value).feeds for p in found)):
        return [spec]  # a gated unit is one activation, not two layers
    attention = len(found) in (2, 3) and all("attention" in followings.of(p.value).feeds for p in found)
    names = list("qkv"[-len(found) :]) if attention else [f"{i + 1}/{len(found)}" for i in range(len(found))]
    return part_specs(spec, found, names)


def _layer(
    node: Node,
    spec: LayerSpec,
    name: str,
    title: str,
    depth: int,
    users: Mapping[int, list[str]],
    followings: Followings,
) -> Layer:
    from dataclasses import fields

    from initaudit.untrainable import untrainable_reason

    known: dict[str, Any] = {}
    if spec.output is not None and not spec.feeds:
        following = followings.of(spec.output)
        known = {f.name: getattr(following, f.name) for f in fields(following)}
    else:
        known = {"feeds": spec.feeds, "output": spec.output, "preactivation": spec.output}
    biases = [c for c in spec.companions if c.role == "bias"]
    if biases:
        stored = _plain_tensor(biases[0].operand)
        known |= {"bias": stored, "bias_slice": biases[0].span if stored is not None else None}
    shared = tuple(dict.fromkeys(n for t in spec.operand.tensors[:1] for n in users.get(id(t), ()) if n != name))
    return Layer(
        name=name,
        title=title,
        kind=spec.kind,
        node=node,
        weight=spec.operand.view(unit_axes=spec.unit_axes, input_axes=spec.input_axes, part=spec.part),
        fan_in=spec.fan_in,
        fan_out=spec.fan_out,
        groups=spec.groups,
        hidden_size=spec.hidden_size,
        role=spec.role,
        companions={c.role: c.operand.view(unit_axes=(), input_axes=()) for c in spec.companions},
        input=spec.input,
        channel_axis=spec.channel_axis,
        unit_slice=spec.unit_slice,
        shared_with=shared,
        untrainable=untrainable_reason(spec),
        folded_norm=_has_folded_norm(node),
        depth=depth,
        **known,
    )


def _has_folded_norm(node: Node) -> bool:
    """Whether one of torch's exporters left word that a BatchNorm stood behind the layer."""
    if FOLDED_NORM in node.metadata.get(REWRITES, ""):
        return True
    given = [node.input(1), node.input(2)]
    return node.op_type.startswith("Conv") and all(v is not None and v.name.startswith(COMPUTED) for v in given)


def _plain_tensor(operand: Operand) -> Tensor | None:
    """The stored tensor, where the operand is just that in another shape."""
    whole = operand.exact and len(operand.tensors) == 1 and operand.tensors[0].size == operand.size
    return operand.tensors[0] if whole else None
