"""How the networks of `families.py` are initialised: as recommended, as frameworks do, and in ways that go wrong (torch; development only)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from families import stretch
from family_parts import Architecture
from networks import GAINS
from torch import Tensor, nn

MORE_GAINS = {**GAINS, "relu6": 1.414, "prelu": 1.372, "sine": 1.521}
"""Forward gain of each activation for standard normal inputs, as in `networks.py`."""

LINEAR_ROLES = ("head", "embed", "close", "query", "key", "value", "query_key_value", "gate", "carry", "recur", "read")
"""Layers that no activation with a gain follows."""

PRODUCT_GAINS = {"sigmoid": 1.847, "silu": 1.677, "gelu": 1.534}
"""1 / root mean square of act(x) for standard normal x: what the layer behind act(gate) * value is multiplied by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """An initialisation."""

    scheme: str = "recommended"
    scale: float = 1.0
    """Factor on what the scheme is about; the standard deviation itself for `fixed`, the value for gains, norms and biases."""
    fault: str = ""
    layer: int = 0
    """Number of the layer that has the fault, modulo the number of layers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kernel:
    """A weight of a layer, or that of one gate of a recurrent layer: views of the parameters, to be filled in place."""

    role: str
    weight: Tensor
    bias: Tensor | None
    fan_in: float
    fan_out: float
    gate: int = 0
    """Place among the gates of a recurrent layer."""


NORMS = (nn.LayerNorm, nn.BatchNorm1d, nn.BatchNorm2d, nn.GroupNorm)


def kernels_of(network: nn.Module) -> list[Kernel]:
    """In the order of the modules."""
    found: list[Kernel] = []
    for name, module in network.named_modules():
        role = [part for part in name.split(".") if not part.isdigit()][-1:]
        if isinstance(module, nn.RNNBase):
            found += _recurrent_kernels(module)
        elif isinstance(module, nn.Linear | nn.Conv1d | nn.Conv2d | nn.ConvTranspose2d):
            weight = module.weight.data
            fan_in, fan_out = weight[0].numel(), weight[:, 0].numel()
            if isinstance(module, nn.ConvTranspose2d):
                # Every output pixel sees one pixel of the input: the kernel is as large as the stride.
                fan_in, fan_out = weight.shape[0], weight[0].numel()
            bias = None if module.bias is None else module.bias.data
            found.append(Kernel(role="".join(role), weight=weight, bias=bias, fan_in=fan_in, fan_out=fan_out))
    return found


def _recurrent_kernels(module: nn.RNNBase) -> list[Kernel]:
    gates = {"LSTM": 4, "GRU": 3}.get(module.mode, 1)
    found = []
    for level in range(module.num_layers):
        for part, role in (("ih", "read"), ("hh", "recur")):
            weights = getattr(module, f"weight_{part}_l{level}").data.chunk(gates)
            biases = getattr(module, f"bias_{part}_l{level}").data.chunk(gates)
            for gate, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
                fan_out, fan_in = weight.shape
                role_here = role if role == "recur" or gates == 1 else "gate"
                kernel = Kernel(role=role_here, weight=weight, bias=bias, fan_in=fan_in, fan_out=fan_out, gate=gate)
                found.append(kernel)
    return found


def recommended_gain(architecture: Architecture, kernel: Kernel) -> float:
    """Standard deviation of the recommended weight times sqrt(fan in)."""
    if kernel.role == "close":
        if architecture.family == "gated" and architecture.variant == "plain":
            return PRODUCT_GAINS[architecture.activation]
        normless = architecture.variant in ("plain", "free", "skip_init", "fixup")
        return stretch(architecture) if normless else 1.0
    if kernel.role in LINEAR_ROLES:
        return 1.0
    frequency = float(architecture.variant) if architecture.activation == "sine" else 1.0
    return MORE_GAINS[architecture.activation] / frequency


def _standard_deviation(architecture: Architecture, start: Start, kernel: Kernel) -> float:
    fan_in, fan_out = kernel.fan_in, kernel.fan_out
    usual = recommended_gain(architecture, kernel) / math.sqrt(fan_in)
    if start.scheme == "gpt2":
        return 0.02 * (stretch(architecture) if kernel.role == "close" else 1)
    if start.scheme == "mup":
        return 1 / fan_in if kernel.role == "head" else usual
    factors = {
        "scaled": usual * start.scale,
        "keras": math.sqrt(2 / (fan_in + fan_out)),
        "xavier": start.scale * math.sqrt(2 / (fan_in + fan_out)),
        "he": start.scale * math.sqrt(2 / fan_in),
        "lecun": start.scale / math.sqrt(fan_in),
        "fixed": start.scale,
        "truncated": 0.02,
    }
    return factors.get(start.scheme, usual)


UNIFORM = ("keras", "xavier")


@torch.no_grad()
def initialise(network: nn.Module, architecture: Architecture, start: Start) -> None:
    """Fill the parameters of `network` in place, from torch's global generator."""
    kernels = kernels_of(network)
    if start.scheme != "torch_default":
        for kernel in kernels:
            _fill(kernel, architecture, start)
        for name, parameter in network.named_parameters():
            if architecture.family == "gain" and architecture.variant == "residual" and name.endswith(".gain"):
                parameter.fill_(stretch(architecture))
    change = CHANGES.get(start.scheme)
    if change:
        change(network, kernels, architecture, start)


def _fill(kernel: Kernel, architecture: Architecture, start: Start) -> None:
    spread = _standard_deviation(architecture, start, kernel)
    weight = kernel.weight
    if kernel.role == "recur" and start.scheme not in ("fixed", "he", "xavier", "lecun", "gpt2", "truncated"):
        nn.init.orthogonal_(weight, start.scale if start.scheme in ("orthogonal", "scaled") else 1.0)
    elif start.scheme == "orthogonal":
        nn.init.orthogonal_(weight, recommended_gain(architecture, kernel) * start.scale)
    elif start.scheme == "siren":
        bound = (
            1 / kernel.fan_in if kernel.role == "layer0" else math.sqrt(6 / kernel.fan_in) / float(architecture.variant)
        )
        nn.init.uniform_(weight, -bound, bound)
    elif start.scheme in UNIFORM:
        nn.init.uniform_(weight, -math.sqrt(3) * spread, math.sqrt(3) * spread)
    elif start.scheme == "truncated":
        nn.init.trunc_normal_(weight, 0, spread, -2 * spread, 2 * spread)
    else:
        nn.init.normal_(weight, 0, spread)
    if kernel.bias is not None:
        kernel.bias.zero_()
        forgets = architecture.family == "lstm" and kernel.role == "gate" and kernel.gate == 1
        if forgets:
            kernel.bias.fill_(1.0)
        elif kernel.role == "carry":
            kernel.bias.fill_(-1.0)


Change = Callable[[nn.Module, list[Kernel], Architecture, Start], None]


def _zero_branches(network: nn.Module, kernels: list[Kernel], architecture: Architecture, start: Start) -> None:
    for kernel in kernels:
        if kernel.role == "close":
            kernel.weight.zero_()


def _fixup(network: nn.Module, kernels: list[Kernel], architecture: Architecture, start: Start) -> None:
    for kernel in kernels:
        if kernel.role in ("close", "head"):
            kernel.weight.zero_()
        elif kernel.role == "first":
            kernel.weight.mul_(architecture.depth**-0.5)


def _set_gains(network: nn.Module, kernels: list[Kernel], architecture: Architecture, start: Start) -> None:
    for name, parameter in network.named_parameters():
        if name.endswith("gain"):
            parameter.fill_(start.scale)


def _set_norms(network: nn.Module, kernels: list[Kernel], architecture: Architecture, start: Start) -> None:
    for module in network.modules():
        if isinstance(module, NORMS):
            module.weight.fill_(start.scale)


def _zero_last_norms(network: nn.Module, kernels: list[Kernel], architecture: Architecture, start: Start) -> None:
    last = "norm3" if architecture.family == "mobilenet" else "norm2"
    for name, module in network.named_modules():
        if name.endswith(last):
            module.weight.zero_()  # type: ignore[operator]


def _spread_positions(network: nn.Module, kernels: list[Kernel], architecture: Architecture, start: Start) -> None:
    for name, parameter in network.named_parameters():
        if name in ("positions", "token"):
            nn.init.normal_(parameter, 0, start.scale)


def _multiply(*roles: str) -> Change:
    def change(network: nn.Module, kernels: list[Kernel], architecture: Architecture, start: Start) -> None:
        for kernel in kernels:
            if kernel.role in roles:
                kernel.weight.mul_(start.scale)
            elif kernel.role == "query_key_value" and "query" in roles:
                kernel.weight[: 2 * len(kernel.weight) // 3].mul_(start.scale)

    return change


def _identity(network: nn.Module, kernels: list[Kernel], architecture: Architecture, start: Start) -> None:
    for kernel in kernels:
        if kernel.role == "recur":
            nn.init.eye_(kernel.weight).mul_(start.scale)


def _forget_bias(network: nn.Module, kernels: list[Kernel], architecture: Architecture, start: Start) -> None:
    for kernel in kernels:
        forgets = architecture.family == "lstm" and kernel.role == "gate" and kernel.gate == 1
        if kernel.bias is not None and (forgets or kernel.role == "carry"):
            kernel.bias.fill_(start.scale)


def _spoil(network: nn.Module, kernels: list[Kernel], architecture: Architecture, start: Start) -> None:
    candidates = [k for k in kernels if k.bias is not None] if start.fault == "dead_bias" else kernels
    kernel = (candidates or kernels)[start.layer % len(candidates or kernels)]
    if start.fault == "zero":
        kernel.weight.zero_()
    elif start.fault == "tiny":
        kernel.weight.mul_(1e-4)
    elif start.fault == "huge":
        kernel.weight.mul_(1e3)
    elif start.fault == "same_rows":
        kernel.weight.copy_(kernel.weight[:1].expand_as(kernel.weight).clone())
    elif kernel.bias is not None:
        kernel.bias.fill_(-50.0)


CHANGES: dict[str, Change] = {
    "zero_branches": _zero_branches,
    "fixup": _fixup,
    "gains": _set_gains,
    "norms": _set_norms,
    "zero_last_norms": _zero_last_norms,
    "positions": _spread_positions,
    "recurrent": _multiply("recur"),
    "attention": _multiply("query", "key"),
    "head": _multiply("head"),
    "identity": _identity,
    "forget_bias": _forget_bias,
    "one_bad_layer": _spoil,
}
"""What a scheme changes once the network is filled as recommended."""
