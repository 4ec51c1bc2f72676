"""Whether a layer of a trained network still is as drawn: the pieces of evidence, and their sum."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from initaudit.judgement.untrained import with_evidence
from initaudit.measuring.measure import measure
from tests.extracting import extract
from tests.networks import he, mlp, normal, trained_like

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from initaudit.stats.provenance import Provenance

    Change = Mapping[str, Callable[[np.ndarray], np.ndarray]]

WIDTHS = (64, 96, 96, 96)
BODY = normal(0.3)
"""Biases of a trained network."""


def drawn(std: float) -> Callable[[np.ndarray], np.ndarray]:
    """Draw a weight of any shape anew."""
    return lambda w: np.random.default_rng(3).normal(0, std, w.shape)


def judged(classes: int, change: Change, name: str, draw: Callable[..., np.ndarray] = trained_like) -> Provenance:
    """What all evidence says of one layer of a network that was trained but for `change`."""
    layers, _ = measure(extract(mlp((*WIDTHS, classes), draw=draw, bias=BODY, change=change)).layers)
    found = next(a.provenance for a in with_evidence(layers) if a.layer.title.startswith(name))
    assert found is not None
    return found


NEW_HEAD = {"fc3.weight": drawn(0.02), "fc3.bias": np.zeros_like}


@pytest.mark.parametrize("classes", [2, 5, 20])
@pytest.mark.parametrize("bias", [0.0, -4.595])
def test_a_new_head_with_a_constant_bias_is_untrained(classes: int, bias: float) -> None:
    """Its few weights fit N(0, 0.02), and its bias is zero, or the prior of a detector, while all others have moved."""
    change = NEW_HEAD | {"fc3.bias": lambda b: np.full_like(b, bias)}

    origin = judged(classes, change, "fc3")

    assert origin.untrained is True
    assert origin.odds is not None
    assert origin.odds >= 10
    assert "it is a head; its bias is one constant, as at the start, while 3 of 3 others have changed" in origin.why


def test_a_small_head_whose_bias_moved_is_left_open() -> None:
    """Trained heads of so few values fit a law too."""
    origin = judged(2, {"fc3.weight": drawn(0.02)}, "fc3")

    assert origin.untrained is None
    assert origin.odds is not None


def test_the_same_layer_inside_the_network_needs_more_evidence_than_a_head() -> None:
    """Nobody draws it anew by habit."""
    head, inner = (
        judged(96, {f"fc{i}.weight": drawn(0.02), f"fc{i}.bias": np.zeros_like}, f"fc{i}").odds for i in (3, 2)
    )

    assert head is not None
    assert inner is not None
    assert head > 5 * inner


def test_layers_that_fit_although_they_moved_take_the_weight_from_a_fit() -> None:
    """In a network that training hardly moved every layer fits its law."""
    lazy = judged(10, {f"fc{i}.bias": lambda b: np.abs(b) * 1e-3 for i in range(4)}, "fc2", draw=he)

    assert lazy.untrained is None
    assert "layers that training moved fit one as well" in lazy.why


def test_a_fresh_network_is_left_to_its_values() -> None:
    """No training, no odds."""
    layers, _ = measure(extract(mlp(WIDTHS)).layers)

    assert all(a.provenance is not None and a.provenance.odds is None for a in with_evidence(layers))


def test_siblings_that_fit_as_well_speak_for_a_missing_module() -> None:
    """Two layers of one block, drawn anew, are likelier untrained than one."""
    renamed = {"fc1": "blocks.0.q", "fc2": "blocks.0.k"}

    def odds(*fresh: str) -> float:
        change: dict[str, Callable[[np.ndarray], np.ndarray]] = {}
        for name in fresh:
            change |= {f"{name}.weight": lambda w: drawn(0.02)(w)[:, :], f"{name}.bias": np.zeros_like}
        proto = mlp((64, 40, 40, 40, 10), draw=trained_like, bias=BODY, change=change)
        for node in proto.graph.node:
            for old, new in renamed.items():
                node.name = node.name.replace(f"/{old}/", f"/{new}/")
                node.input[:] = [i.replace(f"{old}.", f"{new}.") for i in node.input]
        for tensor in proto.graph.initializer:
            for old, new in renamed.items():
                tensor.name = tensor.name.replace(f"{old}.", f"{new}.")
        layers, _ = measure(extract(proto).layers)
        found = next(a.provenance for a in with_evidence(layers) if a.layer.title == "blocks.0.q")
        assert found is not None
        assert found.odds is not None
        return found.odds

    assert odds("fc1", "fc2") > 3 * odds("fc1")


@pytest.mark.parametrize(("factor", "untrained"), [(0.7, True), (1.05, None)])
def test_decay_narrows_a_uniform_law_and_training_widens_it(factor: float, untrained: bool | None) -> None:
    """Without a gradient weight decay shrinks weights and bias by one factor; a short training only widens."""
    rng = np.random.default_rng(1)
    bound = factor / 96**0.5
    change = {
        "fc2.weight": lambda w: rng.uniform(-bound, bound, w.shape),
        "fc2.bias": lambda b: rng.uniform(-bound, bound, b.shape) if factor < 1 else b,
    }

    assert judged(10, change, "fc2").untrained is untrained


def uniform(bound: float) -> Callable[[np.ndarray], np.ndarray]:
    """Draw a weight of any shape anew."""
    return lambda w: np.random.default_rng(4).uniform(-bound, bound, w.shape)


def test_a_small_uniform_layer_that_is_a_little_too_wide_is_not_called_untrained() -> None:
    """A short training widens torch's default by a tenth, and leaves the shape of 480 values."""
    change = {"fc3.weight": uniform(1.1 / 96**0.5), "fc3.bias": lambda b: b}

    assert judged(5, change, "fc3").untrained is None


def test_the_exact_bound_of_a_law_and_its_bias_together_make_a_layer_untrained() -> None:
    """Where all others left their laws, 160 values of torch's default in front of a bias of the same law are no chance."""
    bound = 1 / 10**0.5
    change = {"fc2.weight": uniform(bound), "fc2.bias": uniform(bound)}
    layers, _ = measure(extract(mlp((64, 96, 10, 16, 96), draw=trained_like, bias=BODY, change=change)).layers)
    found = next(a.provenance for a in with_evidence(layers) if a.layer.title.startswith("fc2"))

    assert found is not None
    assert found.law == "torch_default"
    assert found.untrained is True


def test_a_scale_that_chance_may_meet_says_less_than_the_default() -> None:
    """He's bound for a slope of 0.2 is one of many; torch's default is what is drawn unasked."""
    default, rare = (judged(5, {"fc3.weight": uniform(bound)}, "fc3") for bound in (96**-0.5, (6 / 1.04 / 96) ** 0.5))

    assert default.scale_nats is not None
    assert rare.scale_nats is not None
    assert default.scale_nats > rare.scale_nats + 1
