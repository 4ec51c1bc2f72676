"""follow(): what a layer's output goes through, and what it meets first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from initaudit.activations.named import Parameters
from initaudit.activations.reductions import NORMALISATIONS, Reduced, match_reduction
from initaudit.activations.region import Match, match_activation
from initaudit.activations.roles import (
    Role,
    derives_from,
    fused_activation,
    is_scale,
    role_of,
    through_boundary,
)
from initaudit.graph import Node, Value
from initaudit.tensors import Tensor

MAX_VALUES = 400
"""Values followed behind one layer before the walk gives up; a packed attention projection reaches about 60."""
MAX_SHORTCUT = 12
"""Nodes looked back through on a shortcut; pooling, padding, convolution and normalisation are four."""
MAX_RESIDUAL_DEPTH = 3
"""Additions and linear layers that may stand between a layer and the addition of the skip (parallel branches, LoRA)."""
LINKS = frozenset({"sigmoid", "logsigmoid", "tanh", "softplus", "hardsigmoid", "custom"})
"""Activations that turn the output of a head into a probability, a bounded or a positive number."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Following:
    """What follows a layer; the fields are those of `Layer`."""

    output: Value
    bias: Tensor | None = None
    activation: str | None = None
    activation_params: Parameters = field(default_factory=dict)
    normalized_by: str | None = None
    feeds: tuple[str, ...] = ()
    preactivation: Value
    postactivation: Value | None = None
    in_residual_branch: bool = False
    ends_residual_branch: bool = False
    is_head: bool = False
    normalized_before_use: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Ending:
    """One place where the output first meets something that is not passed through."""

    what: str
    """An entry of `Layer.feeds`."""
    value: Value
    """What arrives there."""
    node: Node | None = None
    """Where it arrives; None at an output of the graph and where a normalisation is passed."""
    match: Match | None = None
    norm: str | None = None
    """Normalisation passed on the way, or the one that is met."""

    @property
    def comes_first(self) -> bool:
        """Whether no normalisation stands before it."""
        return self.norm is None or self.what.startswith("norm:")


def follow(value: Value, part: Value | None = None) -> Following:
    """What follows the weight layer that gives `value`.

    `part`: a value split or sliced from it, where only one part of a packed output is asked for; then the walk follows
    this part alone, and `output` and `bias` are still those of the whole.
    """
    fused = fused_activation(value)
    if fused is not None:
        return _fused(value, *fused)
    output, bias = _with_bias(value)
    whole = _traced(output)
    trace = whole if part is None or part is value or part is output else _traced(part)
    first = next((e for e in trace.endings if e.match is not None), None)
    gated = _gated_linear_unit(whole.endings)
    if gated is not None and (trace is whole or any(e.node is gated[1] or e.match is gated[0].match for e in trace.endings)):
        ending, product = gated
        return _following(
            trace, output, bias, value, activation="glu", pre=output, post=product.outputs[0], norm=ending.norm,
            feeds=("glu",),
        )  # fmt: skip
    if first is None or first.match is None:
        norm = next((e.norm for e in trace.endings if e.norm), None)
        return _following(trace, output, bias, value, norm=norm)
    return _following(
        trace, output, bias, value, activation=first.match.name, parameters=first.match.parameters,
        pre=first.match.start, post=first.match.end, norm=first.norm,
    )  # fmt: skip


def _following(
    trace: _Trace,
    output: Value,
    bias: Tensor | None,
    value: Value,
    *,
    activation: str | None = None,
    parameters: Parameters | None = None,
    pre: Value | None = None,
    post: Value | None = None,
    norm: str | None = None,
    feeds: tuple[str, ...] | None = None,
) -> Following:
    ends, inside = _residual(trace, value)
    return Following(
        output=output,
        bias=bias if bias is not None else trace.late_bias,
        activation=activation,
        activation_params=dict(parameters or {}),
        normalized_by=norm,
        feeds=feeds or tuple(dict.fromkeys(e.what for e in trace.endings if e.comes_first)),
        preactivation=pre if pre is not None else output,
        postactivation=post,
        in_residual_branch=inside,
        ends_residual_branch=ends,
        is_head=not ends and _is_head(trace),
        normalized_before_use=_normalized(trace),
    )


def _fused(value: Value, name: str, parameters: Mapping[str, float]) -> Following:
    """The operator applies the activation itself: what leaves it is already bent."""
    return Following(
        output=value,
        activation=name,
        activation_params=dict(parameters),
        feeds=(name,),
        preactivation=value,
        postactivation=value,
        is_head=name in LINKS and leads_to_output_only(value),
    )


class _Trace:
    """Walks from one value through everything linear to where it ends."""

    def __init__(self, start: Value) -> None:
        self.start = start
        self.endings: list[_Ending] = []
        self.late_bias: Tensor | None = None
        """A bias that the next operator adds (BiasGelu, SkipLayerNormalization)."""
        self.reached: dict[int, str | None] = {}
        """id of each value reached by linear steps -> the normalisation passed on the way."""
        self.waiting: dict[int, tuple[Node, Value, str | None]] = {}
        """Nodes that combine the value with others, which may turn out to be its own."""
        self.queue: list[tuple[Value, str | None]] = []

    def run(self) -> None:
        self.push(self.start, None)
        while self.queue:
            while self.queue and len(self.reached) < MAX_VALUES:
                self.visit(*self.queue.pop(0))
            self.queue.clear() if len(self.reached) >= MAX_VALUES else self.reunite()
        for node, value, norm in self.waiting.values():
            self.end(role_of(node).value, value, node, norm)

    def push(self, value: Value | None, norm: str | None) -> None:
        if value is not None and id(value) not in self.reached:
            self.reached[id(value)] = norm
            self.queue.append((value, norm))

    def end(self, what: str, value: Value, node: Node | None, norm: str | None, match: Match | None = None) -> None:
        self.endings.append(_Ending(what=what, value=value, node=node, match=match, norm=norm))

    def visit(self, value: Value, norm: str | None) -> None:
        done: frozenset[int] = frozenset()
        reduced = match_reduction(value)
        if reduced is not None:
            done = reduced.nodes
            self.reduce(reduced, value, norm)
        else:
            match = match_activation(value)
            if match is not None:
                done = match.nodes
                self.end(match.name, value, self.node_at(value, match), norm, match)
                self.note_bias(value)
        for successor in through_boundary(value):
            self.push(successor, norm)
        if value.is_output and value.graph.owner is None:
            self.end("output", value, None, norm)
        for node, position in value.consumers:
            if id(node) not in done:
                self.step(value, node, position, norm)

    def node_at(self, value: Value, match: Match) -> Node | None:
        return next((n for n, _ in value.consumers if id(n) in match.nodes), None)

    def note_bias(self, value: Value) -> None:
        for node, _ in value.consumers:
            operand = node.input(1)
            if node.op_type in ("BiasGelu", "FastGelu") and operand is not None:
                self.late_bias = operand.tensor

    def reduce(self, reduced: Reduced, value: Value, norm: str | None) -> None:
        if reduced.kind == "softmax":
            self.end("softmax", value, reduced.end.producer, norm)
            return
        if norm is None:
            self.end(f"norm:{reduced.kind}", value, None, reduced.kind)
        self.push(reduced.end, norm or reduced.kind)

    def step(self, value: Value, node: Node, position: int, norm: str | None) -> None:
        role = role_of(node, position)
        if role is Role.PASS or (role is Role.GATE and is_scale(node, value)):
            for output in node.outputs:
                self.push(output, norm)
        elif role in (Role.ADD, Role.GATE, Role.MAXIMUM):
            self.waiting.setdefault(id(node), (node, value, norm))
        elif role is not Role.NOTHING:
            self.end(role.value, value, node, norm)
            if node.op_type.startswith("Skip") and node.input(4) is not None:
                operand = node.input(4)
                self.late_bias = operand.tensor if operand is not None else None

    def reunite(self) -> None:
        """A sum of values that all come from the start (rotary embedding, complex numbers) is passed through."""
        for key, (node, value, norm) in list(self.waiting.items()):
            data = [v for v in node.inputs if v is not None and not v.is_static]
            if not all(id(v) in self.reached for v in data):
                continue
            role = role_of(node)
            if role is Role.ADD:
                del self.waiting[key]
                self.push(node.outputs[0], norm)
            elif role is Role.MAXIMUM and len({id(v) for v in data}) > 1:
                del self.waiting[key]
                result = node.outputs[0]
                assert result is not None
                found = Match(name="maxout", start=self.start, end=result, nodes=frozenset({key}))
                self.end("maxout", value, node, norm, found)



def _residual(trace: _Trace, origin: Value, depth: int = 0) -> tuple[bool, bool]:
    """(ends a residual branch, lies in one with only linear layers behind it).

    Sums of several branches (attention and feed-forward in parallel) are followed to the addition of the skip.
    """
    added = [e.node for e in trace.endings if e.what == Role.ADD.value and e.node is not None]
    if any(_adds_skip(node, trace.reached, origin) for node in added):
        return True, True
    if depth >= MAX_RESIDUAL_DEPTH:
        return False, False
    if any(_residual(_traced(_first_output(node)), origin, depth + 1)[0] for node in added):
        return True, True
    layers = [e.node for e in trace.endings if e.what == Role.LAYER.value and e.node is not None]
    return False, any(_residual(_traced(_first_output(node)), origin, depth + 1)[1] for node in layers)


def _adds_skip(node: Node, reached: Mapping[int, str | None], origin: Value) -> bool:
    """Whether what `node` adds is something that the branch started from, or a projection of it."""
    inputs = node.inputs[:2] if node.op_type.startswith("Skip") else node.inputs
    return any(
        derives_from(origin, source)
        for operand in inputs
        if operand is not None and not operand.is_static and id(operand) not in reached
        for source in _shortcut(operand)
    )


def _shortcut(value: Value) -> Iterator[Value]:
    """The value, and what it was before the linear steps and the one weight layer that a projection shortcut holds."""
    projected = False
    for _ in range(MAX_SHORTCUT):
        yield value
        node = value.producer
        data = [v for v in node.inputs if v is not None and not v.is_static] if node is not None else []
        if node is None or not data:
            return
        role = role_of(node)
        if role is Role.LAYER and not projected:
            projected = True
        elif role is not Role.PASS and node.op_type not in NORMALISATIONS:
            return
        value = data[0]


def _first_output(node: Node) -> Value:
    return next(v for v in node.outputs if v is not None)


def _traced(value: Value) -> _Trace:
    trace = _Trace(value)
    trace.run()
    return trace


def _with_bias(value: Value) -> tuple[Value, Tensor | None]:
    """The value after a constant vector is added to it, and that vector; casts and rescaling may stand between."""
    current, steps = value, 0
    while steps < 6 and not current.is_output:
        data = [(n, i) for n, i in current.consumers if any(o is not None and not o.is_static for o in n.outputs)]
        if len(data) != 1:
            break
        node, position = data[0]
        result = node.outputs[0]
        if result is None:
            break
        if node.op_type in ("Add", "Sub") and node.is_standard and (node.op_type == "Add" or position == 0):
            other = node.input(1 - position)
            tensor = _vector(other) if other is not None and other.is_static else None
            return (result, tensor) if tensor is not None else (value, None)
        if node.op_type not in ("Cast", "Identity", "QuantizeLinear", "DequantizeLinear", "Reshape", "Squeeze") and not (
            node.op_type == "Mul" and is_scale(node, current)
        ):
            break
        current, steps = result, steps + 1
    return value, None


def _vector(value: Value) -> Tensor | None:
    """The stored tensor of a constant that has more than one element along at most one axis."""
    steps = 0
    while value.tensor is None and steps < 8:
        source = value.producer.input(0) if value.producer is not None and value.producer.inputs else None
        if source is None:
            return None
        value, steps = source, steps + 1
    tensor = value.tensor
    if tensor is None or not tensor.shape or sum(n > 1 for n in tensor.shape) > 1:
        return None
    return tensor


def _gated_linear_unit(endings: list[_Ending]) -> tuple[_Ending, Node] | None:
    """One half of the output times the sigmoid of the other half: the ending of the sigmoid, and the product."""
    for ending in endings:
        if ending.match is None or ending.match.name != "sigmoid":
            continue
        product = next((n for n in _products(ending.match.end)), None)
        if product is not None and any(
            e.node is product and e.match is None and e.value is not ending.value for e in endings
        ):
            return ending, product
    return None


def _products(value: Value) -> Iterator[Node]:
    for node, _ in value.consumers:
        if node.op_type == "Mul":
            yield node
        elif node.op_type in ("Cast", "Identity", "QuantizeLinear", "DequantizeLinear") and node.outputs[0] is not None:
            yield from _products(node.outputs[0])


def _normalized(trace: _Trace) -> bool:
    """Every way from the output meets a normalisation before anything else, or the addition that one follows."""
    met = [e for e in trace.endings if e.comes_first]
    return bool(met) and all(e.what.startswith("norm:") or _norm_follows(e.node, trace.reached) for e in met)


def _norm_follows(node: Node | None, reached: Mapping[int, str | None]) -> bool:
    """Whether `node` adds the branch to a normalised skip and only a normalisation sees the sum (post-norm blocks).

    In pre-norm blocks, the last one included, the skip is the stream of all branches before, normalised for the branch
    alone: there the scale of a branch counts against that of the others.
    """
    if node is None or role_of(node) is not Role.ADD:
        return False
    fused = node.op_type.startswith("Skip")
    for operand in node.inputs[:2] if fused else node.inputs:
        if operand is None or id(operand) in reached:
            continue
        is_stream = operand.producer is not None and operand.producer.op_type.startswith("Skip") and operand.index > 0
        if is_stream or match_reduction(operand) is not None:
            return False
    if fused:
        return sum(v is not None and bool(v.consumers) for v in node.outputs) == 1
    total = _first_output(node)
    reduced = match_reduction(total)
    return (
        reduced is not None
        and reduced.kind != "softmax"
        and all(id(n) in reduced.nodes or role_of(n, i) is Role.NOTHING for n, i in total.consumers)
    )


def _is_head(trace: _Trace, depth: int = 0) -> bool:
    """Whether nothing but linear steps, softmax and link functions lie between the layer and outputs of the model."""
    for ending in trace.endings:
        if ending.what == Role.ADD.value and ending.node is not None and depth < MAX_RESIDUAL_DEPTH:
            if not _is_head(_traced(_first_output(ending.node)), depth + 1):
                return False
        elif ending.what not in ("output", "softmax", "other") and ending.what not in LINKS:
            return False
    return bool(trace.endings) and leads_to_output_only(trace.start)


def leads_to_output_only(value: Value, limit: int = MAX_VALUES) -> bool:
    """Whether the value reaches an output of the model and no further weight layer on any way."""
    queue, seen, output = [value], {id(value)}, False
    while queue:
        current = queue.pop()
        if current.is_output and current.graph.owner is None:
            output = True
        successors = list(through_boundary(current))
        for node, position in current.consumers:
            if role_of(node, position) in (Role.LAYER, Role.RECURRENT, Role.ATTENTION):
                return False
            successors += [v for v in node.outputs if v is not None and not v.is_static]
        for successor in successors:
            if id(successor) not in seen:
                seen.add(id(successor))
                queue.append(successor)
        if len(seen) > limit:
            return False
    return output
