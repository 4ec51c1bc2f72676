"""Which starts are drawn for the networks of `families.py`, and how often (torch; development only)."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from families import FAMILIES
from family_parts import Architecture
from family_starts import NORMS, Start, kernels_of
from networks import FAULTS

if TYPE_CHECKING:
    from torch import nn


def draw_architecture(rng: random.Random, name: str) -> Architecture:
    family = FAMILIES[name]
    variant = rng.choice(family.variants)
    depth = rng.choice(family.depths)
    return Architecture(
        family=name,
        variant=variant,
        activation=rng.choice(family.activations),
        depth=1 if variant == "pixels" else depth,
        width=rng.choice(family.widths),
    )


def draw_start(rng: random.Random, schemes: dict[str, int], *, normed: bool) -> Start:
    scheme = rng.choices(list(schemes), list(schemes.values()))[0]
    scale = rng.choice(SCALES.get(scheme, (1.0,)))
    if scheme in ("scaled", "recurrent"):
        scale *= rng.uniform(0.8, 1.25)
    if scheme == "scaled" and normed:
        scale **= NORMED_REACH
    fault = rng.choice(FAULTS) if scheme == "one_bad_layer" else ""
    return Start(scheme=scheme, scale=scale, fault=fault, layer=rng.randrange(60) if fault else 0)


def has_norm(network: nn.Module) -> bool:
    """Whether it has a normalisation of any kind."""
    return any(isinstance(module, NORMS) for module in network.modules())


def schemes_for(network: nn.Module, architecture: Architecture) -> dict[str, int]:
    """The schemes that mean something for `network`, and how often each is drawn."""
    roles = {kernel.role for kernel in kernels_of(network)}
    names = [name for name, _ in network.named_parameters()]
    normed = has_norm(network)
    recurrent = "recur" in roles
    special = {
        "zero_branches": 2 if "close" in roles else 0,
        "fixup": 4 if architecture.family == "fixup" else 0,
        "gains": 8 if any(name.endswith("gain") for name in names) else 0,
        "norms": 4 if normed else 0,
        "zero_last_norms": 3 if architecture.family in ("mobilenet", "resnet_batch_norm") else 0,
        "positions": 4 if "positions" in names else 0,
        "recurrent": 8 if recurrent else 0,
        "identity": 2 if recurrent else 0,
        "forget_bias": 5 if "carry" in roles or architecture.family == "lstm" else 0,
        "attention": 4 if roles & {"query", "query_key_value"} else 0,
        "gpt2": 2 if "close" in roles else 0,
        "siren": 4 if architecture.activation == "sine" else 0,
    }
    common = {"torch_default": 4, "keras": 3, "xavier": 2, "he": 2, "lecun": 2, "orthogonal": 3, "fixed": 5}
    return {**common, "truncated": 1, "mup": 1, "head": 2, "scaled": 6, "one_bad_layer": 8, **special}


SCALES: dict[str, tuple[float, ...]] = {
    "xavier": (0.5, 1, 1, 2),
    "he": (0.5, 1, 1, 2),
    "lecun": (0.5, 1, 1, 2),
    "orthogonal": (0.3, 0.5, 0.8, 1, 1, 1.2, 2),
    "fixed": (0.003, 0.01, 0.02, 0.05, 0.1, 0.3, 1),
    "norms": (0, 0.01, 0.1, 0.3, 3, 10),
    "gains": (0, 0, 1e-6, 0.01, 0.1, 0.3, 0.5, 2, 4),
    "positions": (1, 1, 3, 10),
    "identity": (0.5, 0.9, 1, 1.1),
    "head": (0, 0.01, 0.1, 10, 100),
    "attention": (10, 20, 50, 100),
    "forget_bias": (-5, -3, -2, -1, 0, 2),
    "recurrent": (0.2, 0.4, 0.7, 1.3, 1.6, 2, 3, 4),
    "scaled": (0.05, 0.1, 0.2, 0.4, 0.6, 1.5, 2, 3, 5),
}
"""From which the scale of a scheme is drawn; 1 where it has none."""

WALKS: dict[str, tuple[float, ...]] = {
    "scaled": (0.02, 20),
    "recurrent": (0.01, 8),
    "gains": (1e-4, 20),
    "norms": (1e-4, 100),
    "head": (1e3,),
}
"""Scales at which a network hardly learns, between which and 1 the edge is sought."""

NORMED_REACH = 3
"""Power of the scales of `scaled` for networks with norms, which undo most of a scale."""
