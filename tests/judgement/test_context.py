"""Context: what the weights, norms and biases of a network together say of its training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from onnx import helper

from initaudit.judgement.context import Context, infer_context, with_training
from initaudit.kind import Kind
from initaudit.measuring.measure import measure
from initaudit.stats.verdicts import Confidence, Provenance
from tests.extracting import extract
from tests.networks import he, mlp, model, trained_like

if TYPE_CHECKING:
    import onnx

    from initaudit.measuring.layer_audit import LayerAudit


def measured(proto: onnx.ModelProto) -> Sequence[LayerAudit]:
    """The layers of a model with what their weights say."""
    layers, _ = measure(extract(proto).layers)
    return layers


def witnesses(
    count: int, *, untrained: bool | None, confidence: Confidence = "high", kind: Kind = Kind.LINEAR
) -> list[LayerAudit]:
    """Layers with one weight each, of which provenance says this."""
    provenance = Provenance(
        law=None, distribution=None, std=None, gain=None, p_value=None, untrained=untrained, confidence=confidence, why=""
    )  # fmt: skip
    layers = measured(mlp([8] * (count + 2)))[:count]
    return [replace(a, bias=None, provenance=provenance, layer=replace(a.layer, kind=kind)) for a in layers]


def fresh(count: int) -> list[LayerAudit]:
    """Layers that are certainly as drawn."""
    return witnesses(count, untrained=True)


def trained(count: int, confidence: Confidence = "high") -> list[LayerAudit]:
    """Layers that are not as any scheme draws them."""
    return witnesses(count, untrained=False, confidence=confidence)


def norms(moved: int, still: int) -> list[LayerAudit]:
    """Normalisation scales, some away from one and the others at it."""
    rng = np.random.default_rng(0)
    scales = [rng.normal(1, 0.2, 8) for _ in range(moved)] + [np.ones(8)] * still
    nodes, tensors, value = [], {"zero": np.zeros(8, np.float32)}, "x"
    for i, scale in enumerate(scales):
        tensors[f"s{i}"] = scale.astype(np.float32)
        nodes.append(helper.make_node("LayerNormalization", [value, f"s{i}", "zero"], [f"n{i}"], f"norm{i}"))
        value = f"n{i}"
    return list(measured(model(nodes, {"x": ["N", 8]}, [value], tensors)))


@pytest.mark.parametrize(
    ("draw", "context"),
    [(he, "fresh"), (trained_like, "trained"), (lambda shape, rng: np.full(shape, 0.1), "fresh")],
)
def test_a_network_of_one_kind_is_called_what_it_is(draw, context: str) -> None:
    """Drawn by He's scheme, heavy-tailed as training leaves it, or one value everywhere, as no training leaves it."""
    assert infer_context(measured(mlp([64, 64, 64, 10], draw=draw))).name == context


@pytest.mark.parametrize("tensor", ["fc0.bias", "fc1.bias", "fc2.bias", "fc0.weight", "fc1.weight", "fc2.weight"])
def test_one_wild_value_is_no_training(tensor: str) -> None:
    """A slip of the hand, or a flipped bit, in a network that is fresh otherwise; training moves every value."""

    def plant(values: np.ndarray) -> np.ndarray:
        values.reshape(-1)[5] = 1e4
        return values

    found = infer_context(measured(mlp([128, 96, 64, 10], change={tensor: plant})))

    assert found.name == "fresh"
    assert found.evidence[-1] == "3 of 3 biases are constant, as at initialisation"


@pytest.mark.parametrize("draw", ["nothing", "biases"])
def test_a_bias_without_a_finite_value_is_no_mark(draw: str) -> None:
    """Neither of training nor of a start, in a layer of few weights or beside biases of a law of their own."""
    rng = np.random.default_rng(0)
    change = {
        "fc0.bias": lambda values: np.full_like(values, np.nan),
        "fc0.weight": lambda values: rng.uniform(-1, 1, values.shape) / 20**0.5,
    }
    if draw == "biases":
        change |= {f"fc{i}.bias": lambda values: rng.normal(0, 0.3, values.shape) for i in range(1, 5)}

    found = infer_context(measured(mlp([20, 20, 64, 64, 64, 64], change=change)))

    constant = 0 if draw == "biases" else 4
    assert f"{constant} of 5 biases are constant, as at initialisation" in found.evidence


def test_a_norm_without_a_finite_value_has_not_left_its_start() -> None:
    """It holds nothing that training moved."""
    audits = measured(
        model(
            [helper.make_node("LayerNormalization", ["x", "scale", "shift"], ["y"])],
            {"x": ["n", 8]},
            ["y"],
            {"scale": np.full(8, np.nan, np.float32), "shift": np.zeros(8, np.float32)},
        )
    )

    assert "0 of 1 normalisation vectors have left their constant start" in infer_context(audits).evidence


def test_a_trained_network_with_a_fresh_head_is_mixed() -> None:
    """The usual accident: the checkpoint had no weights for the new head."""
    head = {"fc2.weight": lambda w: he(w.shape, np.random.default_rng(1))}

    assert infer_context(measured(mlp([64, 64, 64, 64], draw=trained_like, change=head))).name == "mixed"


@pytest.mark.parametrize(
    ("depth", "width", "context"),
    [(12, 12, "fresh"), (4, 12, "unknown"), (12, 8, "unknown")],
    ids=["many", "few", "tiny"],
)
def test_small_weights_decide_together(depth: int, width: int, context: str) -> None:
    """No normal matrix of 144 values is known for a draw alone; twelve that all fit are no accident."""
    layers = [replace(a, bias=None) for a in measured(mlp([width] * (depth + 1)))]

    assert infer_context(layers).name == context


def test_one_small_weight_that_fits_no_law_keeps_the_others_from_deciding() -> None:
    """Together they are fresh only if none departs."""
    layers = [replace(a, bias=None) for a in measured(mlp([12] * 13))]

    assert infer_context([*layers, *witnesses(1, untrained=None)]).name == "unknown"


def test_scales_of_norms_that_saw_no_data_were_drawn() -> None:
    """RepVGG starts the scales of its BatchNorms at N(0.1, 0.1): only where the running statistics moved did training move them."""
    rng = np.random.default_rng(0)
    tensors = {"s": rng.normal(0.1, 0.1, 8).astype(np.float32), "b": np.zeros(8, np.float32)}
    nodes = [helper.make_node("BatchNormalization", ["x", "s", "b", "mean", "variance"], ["y"], "norm")]

    def context(mean: np.ndarray) -> str:
        statistics = {"mean": mean.astype(np.float32), "variance": np.ones(8, np.float32)}
        norm = measured(model(nodes, {"x": ["N", 8]}, ["y"], tensors | statistics))
        return infer_context([*fresh(9), *trained(1), *norm]).name

    assert context(np.zeros(8)) == "fresh"
    assert context(rng.normal(size=8)) == "mixed"


@pytest.mark.parametrize(("updates", "context"), [(1, "fresh"), (3, "mixed")])
def test_the_one_run_of_an_export_in_training_mode_is_no_training(updates: int, context: str) -> None:
    """Each update keeps nine tenths of the statistics; a batch of small values brings the variance below that from the second on."""
    rng = np.random.default_rng(0)
    drawn = {"s": rng.normal(0.1, 0.1, 8).astype(np.float32), "b": np.zeros(8, np.float32)}
    mean, variance = np.zeros(8), np.ones(8)
    for _ in range(updates):
        mean, variance = 0.9 * mean + 0.1 * rng.normal(size=8), 0.9 * variance + 0.1 * rng.uniform(0, 0.4, 8)
    statistics = {"mean": mean.astype(np.float32), "variance": variance.astype(np.float32)}
    node = helper.make_node("BatchNormalization", ["x", *drawn, *statistics], ["y", "m", "v"], "norm", training_mode=1)
    norm = measured(model([node], {"x": ["N", 8]}, ["y"], drawn | statistics))

    assert infer_context([*fresh(9), *trained(1), *norm]).name == context


def test_what_the_user_says_is_not_doubted() -> None:
    """With --context, no evidence to the contrary counts."""
    assert infer_context(trained(4), "fresh") == Context(name="fresh", evidence=("given as fresh",))


def test_nothing_is_concluded_from_nothing() -> None:
    """No layer, or none whose weights decide: unknown, unless the norms have left their start."""
    assert infer_context(()).name == "unknown"
    assert infer_context(witnesses(3, untrained=None)).name == "unknown"
    assert infer_context([*witnesses(3, untrained=None), *norms(2, 1)]).name == "trained"


@pytest.mark.parametrize(
    ("as_drawn", "not_as_drawn", "context"),
    [(10, 0, "fresh"), (4, 1, "fresh"), (3, 1, "mixed"), (1, 9, "mixed"), (1, 10, "trained"), (0, 10, "trained")],
)
def test_a_few_exceptions_do_not_change_the_word(as_drawn: int, not_as_drawn: int, context: str) -> None:
    """Four in five layers as drawn make a fresh network, less than one in ten a trained one; both, something mixed."""
    assert infer_context([*fresh(as_drawn), *trained(not_as_drawn)]).name == context


def test_moved_norms_outweigh_a_majority_of_fresh_layers() -> None:
    """A large backbone that was frozen at random, with a trained rest: the norms say that training happened."""
    assert infer_context([*fresh(9), *trained(1)]).name == "fresh"
    assert infer_context([*fresh(9), *trained(1), *norms(2, 1)]).name == "mixed"


@pytest.mark.parametrize(("moved", "still", "context"), [(1, 1, "fresh"), (1, 2, "fresh"), (3, 2, "mixed")])
def test_most_norms_must_have_moved(moved: int, still: int, context: str) -> None:
    """One scale that starts elsewhere (zero at the end of a residual branch, a ramp) is no training."""
    assert infer_context([*fresh(9), *trained(1), *norms(moved, still)]).name == context


@pytest.mark.parametrize(("guesses", "context"), [(1, "trained"), (3, "trained"), (12, "fresh")])
def test_guesses_count_only_where_nothing_convincing_outweighs_them(guesses: int, context: str) -> None:
    """A trained layer may be bell-shaped by accident; a dozen beside one trained one are a fresh network with an exception."""
    guessed = witnesses(guesses, untrained=True, confidence="low")

    assert infer_context([*guessed, *trained(1)]).name == context


def test_biases_tell_that_weights_which_fit_their_law_were_trained() -> None:
    """A short training moves the weights by too little to see, and the biases away from zero."""
    moved = mlp([64, 128, 128, 64], bias=lambda shape, rng: rng.exponential(3e-4, shape))

    context = infer_context(measured(moved))

    assert context.name == "trained"
    assert context.hardly_moved == 3
    assert "3 layers whose weights fit a law" in context.evidence[-1]


@pytest.mark.parametrize("std", [0.05, 0.37])
def test_one_law_for_all_biases_is_not_training(std: float) -> None:
    """An author may draw them: by a published law, or by another beside as many weights as leave no doubt."""
    published = std == 0.05
    drawn = mlp([64, *[128] * (3 if published else 8), 64], bias=lambda shape, rng: rng.normal(0, std, shape))

    assert infer_context(measured(drawn)).name == ("fresh" if published else "trained")


def test_many_biases_that_are_all_zero_speak_for_a_fresh_network() -> None:
    """Where the weights are too few to say anything: training moves a bias."""
    assert infer_context(measured(mlp([3] * 10))).name == "fresh"
    assert infer_context(measured(mlp([3] * 4))).name == "unknown"


def test_in_a_fresh_network_a_law_needs_fewer_values() -> None:
    """A matrix of 12 by 24 normal values fits He's law with low confidence alone; beside others that do, it is that law."""
    layers = measured(mlp([64, 64, 64, 24, 12]))
    context = infer_context(layers)

    small, judged = layers[-1].provenance, with_training(layers, context)[-1].provenance

    assert context.name == "fresh"
    assert small is not None
    assert small.confidence == "low"
    assert judged is not None
    assert judged.confidence == "medium"


def test_the_gates_of_a_recurrent_layer_are_one_witness() -> None:
    """Four gates of one stored tensor do not outvote two other layers. One that was certainly trained speaks for all: so was the cell."""
    first, *others = fresh(3)
    (drifted,) = trained(1)
    gates = [replace(part, layer=first.layer) for part in (drifted, first, first, first)]
    torn = [replace(part, layer=first.layer) for part in (first, first, drifted, drifted)]

    assert infer_context([*gates, *others, *trained(1)]).evidence[0].startswith("2 of 4 decidable weights")
    assert infer_context([*torn, *others, *trained(1)]).evidence[0].startswith("2 of 4 decidable weights")


def test_what_nobody_learns_and_what_is_only_added_are_no_witnesses() -> None:
    """A fixed table follows no law and was never trained; the decay of a recurrence may start as any pattern."""
    fixed = [replace(a, layer=replace(a.layer, untrainable="an adjacency matrix")) for a in trained(5)]
    decays = witnesses(5, untrained=False, kind=Kind.OTHER)

    assert infer_context([*fresh(2), *fixed, *decays]).name == "fresh"


def test_the_evidence_counts_weights_norms_and_biases() -> None:
    """In words, for the reader who doubts the verdict."""
    biased = mlp([8, 8, 8], change={"fc1.bias": lambda b: np.arange(8.0)})
    with_biases = [replace(a, provenance=None) for a in measured(biased)]

    evidence = infer_context([*fresh(2), *trained(1), *norms(1, 2), *with_biases]).evidence

    assert evidence == (
        "2 of 3 decidable weights follow an initialisation scheme",
        "1 of 3 normalisation vectors have left their constant start",
        "4 of 5 biases are constant, as at initialisation",
    )


def test_there_is_evidence_also_where_no_weight_decides() -> None:
    """Constant weights, or norms alone."""
    constant = measured(mlp([8, 8, 8], draw=lambda shape, rng: np.full(shape, 0.1)))

    assert infer_context(constant).evidence[-1] == "all weights are constant"
    assert "2 of 3 normalisation vectors have left their constant start" in infer_context(norms(2, 1)).evidence


@pytest.mark.parametrize(("name", "has"), [("fresh", False), ("trained", True), ("mixed", True), ("unknown", False)])
def test_training_of_a_part_is_training(name: str, has: bool) -> None:
    """A mixed network is judged by the standard of trained ones."""
    assert Context(name=name).has_training is has
