"""PyTorch: calls of torch.nn.init that start layers as they should be."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from initaudit.advising.parameters import Parameter, bias_of, expression, weight_of

if TYPE_CHECKING:
    from initaudit.advising.modules import Modules
    from initaudit.advising.start import Start
    from initaudit.measuring.layer_audit import LayerAudit

EQUAL = 5e-3
"""Relative difference of two standard deviations that are one scheme: three digits, and the rounding of tabulated gains."""
FEWEST_IN_A_LOOP = 3
"""Modules of a list from which their calls are written as a loop. A judgement: two lines are read faster."""
MOST_LINES = 24
"""Lines of code that one piece of advice has at most. A judgement: one screen."""
_INDEX = re.compile(r"\.(\d+)\.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call for one parameter."""

    parameter: Parameter
    template: str
    """With `{}` for the parameter."""

    @property
    def line(self) -> str:
        """The statement."""
        return self.template.format(self.parameter.place)


def calls(audit: LayerAudit, start: Start, modules: Modules, *, from_torch: bool) -> list[Call] | None:
    """What starts this layer as it should be; None where its parameter is not known."""
    layer, found = audit.layer, []
    if start.distribution is not None:
        weight = weight_of(layer, modules, from_torch=from_torch)
        if weight is None:
            return None
        if start.sums_to_zero:
            found.append(Call(parameter=weight, template=f"centred_({{}}, std={start.std:.3g})"))
        else:
            found.append(Call(parameter=weight, template=_initialiser(weight.shape, start, audit)))
    if start.bias is not None:
        bias = bias_of(layer, modules, from_torch=from_torch)
        if bias is None:
            return found or None
        found.append(Call(parameter=bias, template=f"nn.init.{_constant(start.bias)}"))
        if layer.is_forget_gate and layer.role == "W":  # the cell adds two biases, whose sum counts
            rows = Parameter(
                path=bias.path and bias.path.replace("bias_ih", "bias_hh"),
                attribute=bias.attribute.replace("bias_ih", "bias_hh"),
                shape=bias.shape,
                block=bias.block,
            )
            found.append(Call(parameter=rows, template="nn.init.zeros_({})"))
    return found


CENTRED = """\
def centred_(weight, std):
    with torch.no_grad():
        nn.init.orthogonal_(weight)
        weight -= weight.flatten(1).mean(1).reshape(-1, *[1] * (weight.dim() - 1))
        weight *= std / weight.std()"""
"""What draws orthogonal weights that sum to zero over the inputs of each unit."""


def code(found: Sequence[Call]) -> str:
    """The calls as a piece of Python, those for the members of a list of modules as a loop."""
    lines = CENTRED.split("\n") if any("centred_" in call.template for call in found) else []
    written = [*lines, *_lines(found)]
    left = len(written) - MOST_LINES
    return "\n".join(written if left <= 0 else [*written[:MOST_LINES], f"# and {left} more lines of this kind"])


def _lines(found: Sequence[Call]) -> Iterator[str]:
    """Loops in the place of their first call; what is no member of a list is written out."""
    members: dict[_Member, list[int]] = {}
    for call in found:
        at = _member(call)
        if at is not None:
            members.setdefault(at[0], []).append(at[1])
    ranges = {member: _range(indices) for member, indices in members.items()}
    written = set()
    for call in found:
        at = _member(call)
        indices = ranges[at[0]] if at is not None else None
        if at is None or indices is None:
            yield call.line
        elif (at[0].before, indices) not in written:
            written.add((at[0].before, indices))
            yield f"for i in {indices}:"
            for member in members:
                if (member.before, ranges[member]) == (at[0].before, indices):
                    place = f"{expression(member.before)}[i]{_chain(member.after)}"
                    yield f"    {member.template.format(place)}"


@dataclass(frozen=True, slots=True)
class _Member:
    """A parameter of each module of a list."""

    before: str
    after: str
    template: str


def _member(call: Call) -> tuple[_Member, int] | None:
    """The list that a call's parameter belongs to, by the first number in its path, and which of its modules; None where there is no such list."""
    path = call.parameter.path or ""
    at = _INDEX.search(path)
    if at is None or "get_parameter" in expression(path):
        return None
    return _Member(path[: at.start()], f"{path[at.end() :]}{call.parameter.rows}", call.template), int(at[1])


def _chain(after: str) -> str:
    """`mlp.0.weight[0:8]` behind a module: `.mlp[0].weight[0:8]`."""
    path, bracket, rows = after.partition("[")
    return expression(path).removeprefix("model") + bracket + rows


def _range(indices: Sequence[int]) -> str | None:
    """`range(0, 40, 2)` for numbers at equal distances; None for others, and for a few."""
    first, step = indices[0], indices[1] - indices[0] if len(indices) > 1 else 0
    if len(indices) < FEWEST_IN_A_LOOP or step < 1:
        return None
    if list(indices) != list(range(first, first + step * len(indices), step)):
        return None
    stop = indices[-1] + 1
    return f"range({stop})" if (first, step) == (0, 1) else f"range({first}, {stop}{f', {step}' if step > 1 else ''})"


def _initialiser(shape: Sequence[int], start: Start, audit: LayerAudit) -> str:
    """The call of the scheme by its name where torch, which counts fans on the parameter's shape, gives its scale; else by the scale."""
    std = start.std
    if start.distribution == "constant":
        return f"nn.init.{_constant(std)}"
    inputs = math.prod(shape[1:])
    outputs = math.prod(shape[2:]) * shape[0]
    if start.distribution == "orthogonal":
        gain = std * math.sqrt(max(shape[0], inputs))
        return "nn.init.orthogonal_({})" if _is(gain, 1.0) else f"nn.init.orthogonal_({{}}, gain={gain:.3g})"
    law = "uniform" if start.distribution == "uniform" else "normal"
    slope = audit.layer.activation_params.get("negative_slope", 0.0) if audit.layer.activation == "leaky_relu" else 0.0
    named = {
        f'nn.init.kaiming_{law}_({{}}, nonlinearity="relu")': 2.0 / inputs,
        f'nn.init.kaiming_{law}_({{}}, a={slope:.3g}, nonlinearity="leaky_relu")': 2.0 / (1.0 + slope**2) / inputs,
        f'nn.init.kaiming_{law}_({{}}, nonlinearity="linear")': 1.0 / inputs,
    }
    xavier = {f"nn.init.xavier_{law}_({{}})": 2.0 / (inputs + outputs)}
    balanced = audit.target is not None and audit.target.scheme.startswith("xavier")
    for call, variance in (xavier | named if balanced else named | xavier).items():
        if _is(std, math.sqrt(variance)):
            return call
    if law == "uniform":
        bound = math.sqrt(3.0) * std
        return f"nn.init.uniform_({{}}, -{bound:.3g}, {bound:.3g})"
    return f"nn.init.normal_({{}}, std={std:.3g})"


def _constant(value: float) -> str:
    known = {0.0: "zeros_({})", 1.0: "ones_({})"}
    return known.get(value) or f"constant_({{}}, {value:g})"


def _is(std: float, other: float) -> bool:
    return math.isclose(std, other, rel_tol=EQUAL)
