"""Networks that are made: what their files hold, that they run, and that their weights are those `fix` would draw."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper

import initaudit
from initaudit.activations.named import ACTIVATIONS as KNOWN
from initaudit.activations.named import closed_form
from initaudit.config import Config
from initaudit.errors import UsageError
from initaudit.making.activation import ACTIVATIONS, WITH_NUMBER, read_activation
from initaudit.making.architectures import ARCHITECTURES, Architecture
from initaudit.making.net import Net

SMALL = {
    "mlp": "12,8x2,4",
    "conv": "1x8x8,4x2,6,3",
    "residual": "2x8x8,4,6x2,3",
    "lstm": "5x6,8x2,3",
    "transformer": "11x5,8x2,2",
}


def weights(model: onnx.ModelProto) -> dict[str, np.ndarray]:
    """By name."""
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}


def run(model: onnx.ModelProto, values: np.ndarray | None = None) -> np.ndarray:
    """What it gives for ones, or for these values."""
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (given,) = session.get_inputs()
    shape = [2 if isinstance(length, str) else length for length in given.shape]
    ones = np.ones(shape, np.int64 if "int64" in given.type else np.float32)
    return session.run(None, {given.name: ones if values is None else values})[0]


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_network_is_valid_runs_and_is_the_same_every_time(name: str):
    """The checker accepts it, with norms and dropout where it can have them; onnxruntime runs it; another seed gives another one."""
    norm = ARCHITECTURES[name].norms[-1]

    made = initaudit.make(name, SMALL[name], norm=norm, dropout=0.5)

    onnx.checker.check_model(made, full_check=True)
    assert np.isfinite(run(made)).all()
    assert made.SerializeToString(deterministic=True) == initaudit.make(
        name, SMALL[name], norm=norm, dropout=0.5
    ).SerializeToString(deterministic=True)
    assert made != initaudit.make(name, SMALL[name], norm=norm, dropout=0.5, seed=1)


@pytest.mark.parametrize(
    ("name", "norm", "operators"),
    [
        ("mlp", "layer", {"Gemm": 3, "LayerNormalization": 2, "Relu": 2, "Dropout": 2}),
        ("conv", "batch", {"Conv": 3, "BatchNormalization": 3, "Relu": 3, "MaxPool": 1, "Dropout": 1, "Gemm": 1}),
        ("residual", "batch", {"Conv": 8, "BatchNormalization": 7, "Relu": 7, "Add": 3, "Dropout": 1, "Gemm": 1}),
        ("residual", "none", {"Conv": 8, "BatchNormalization": 0, "Relu": 7, "Add": 3, "Dropout": 1, "Gemm": 1}),
        ("lstm", "none", {"LSTM": 2, "Dropout": 1, "Gemm": 1}),
        ("transformer", "layer", {"LayerNormalization": 5, "Erf": 2, "Softmax": 2, "Dropout": 4}),
    ],
)
def test_norm_activation_and_dropout_stand_where_they_belong(name: str, norm: str, operators: dict[str, int]):
    """Behind every hidden layer norm and activation; the skip connection that changes the width has neither."""
    made = initaudit.make(name, SMALL[name], norm=norm, dropout=0.5)

    counted = Counter(node.op_type for node in made.graph.node)
    assert {operator: counted[operator] for operator in operators} == operators


def test_a_convolution_has_no_bias_in_front_of_a_norm():
    """That would take it out, and adds its own."""
    normed, plain = (weights(initaudit.make("residual", SMALL["residual"], norm=norm)) for norm in ("batch", "none"))

    assert [name for name in normed if name.endswith(("conv1.bias", "conv2.bias", "downsample.bias"))] == []
    assert len([name for name in plain if name.endswith("bias")]) == 8 + 1


def test_residual_groups_of_one_width_are_halved_too():
    """The skip connection has a convolution wherever either the width or the sides change."""
    made = initaudit.make("residual", "2x8x8,4x2,4,3")

    assert np.isfinite(run(made)).all()
    assert [name for name in weights(made) if "downsample" in name] == ["blocks.2.downsample.weight"]


def test_the_weights_of_all_layers_together_are_bounded(monkeypatch: pytest.MonkeyPatch):
    """12 x 8 and 8 x 8 are more than 150, neither alone is."""
    monkeypatch.setattr("initaudit.making.make.LARGEST", 150)

    with pytest.raises(UsageError, match="more than 150 weights"):
        initaudit.make("mlp", SMALL["mlp"])


@pytest.mark.parametrize("kind", ARCHITECTURES.values(), ids=ARCHITECTURES)
def test_the_page_says_how_the_sizes_are_written(kind: Architecture):
    """Those of each architecture, and the usual ones."""
    page = Path(__file__).parents[2] / "docs" / "making.md"

    assert f"| `--{kind.name}` | `{kind.form}` | `{kind.sizes}` |" in page.read_text("utf-8")


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_weights_are_those_that_fix_would_draw(name: str, tmp_path):
    """`make --scheme S --seed N` is `fix --all --force --scheme S --seed N` of the network as another scheme made it."""
    config = Config(probe="none", seed=3, fail_on="never")
    model = initaudit.make(name, SMALL[name], scheme="normal:0.3", seed=3)

    initaudit.fix(model, tmp_path / "f.onnx", config=config, scheme="xavier_normal", every=True, force=True)

    fixed = weights(onnx.load(tmp_path / "f.onnx"))
    made = weights(initaudit.make(name, SMALL[name], scheme="xavier_normal", seed=3))
    assert all(np.array_equal(fixed[key], value) for key, value in made.items())
    assert any(not np.array_equal(value, weights(model)[key]) for key, value in made.items())


def test_tables_that_fix_leaves_start_as_in_gpt2():
    """N(0, 0.02) (Radford et al. 2019), whatever the scheme of the layers."""
    made = weights(initaudit.make("transformer", "9x60,16,2", scheme="normal:1"))

    assert made["transformer.wpe.weight"].std() == pytest.approx(0.02, rel=0.1)


def test_every_activation_computes_its_closed_form():
    """All that reports have names for, in one graph, within float32."""
    names = [*ACTIVATIONS, *WITH_NUMBER]
    net, grid = Net("all"), np.linspace(-6, 6, 101, dtype=np.float32)
    x = net.input("x", [101])
    outputs = [read_activation(name)(net, x, f"/{name}") for name in names if name != "linear"]
    rows = [net.op("Unsqueeze", y, net.constant([0], np.int64)) for y in outputs]
    values = run(net.model(net.op("Concat", *rows, axis=0), [len(rows), 101]), grid)
    parameters = {"threshold": {"threshold": 1.0, "value": 0.0}}

    for name, row in zip([name for name in names if name != "linear"], values, strict=True):
        form = closed_form(name, parameters.get(name))
        assert form is not None
        assert row == pytest.approx(form(grid), abs=2e-6, rel=2e-6), name
    assert set(KNOWN) | {"linear"} == set(names)


def test_the_number_of_an_activation_is_in_the_network():
    """`leaky_relu:0.2` has that slope, and the audit reads it there."""
    report = initaudit.audit(initaudit.make("mlp", "8,8,4", activation="leaky_relu:0.2"), probe="none")

    assert report.audit.layers[0].layer.activation == "leaky_relu"
    assert report.audit.layers[0].layer.activation_params == {"negative_slope": pytest.approx(0.2)}


def test_biases_are_zero_none_or_one_value_and_a_forget_gate_starts_at_one():
    """Jozefowicz et al. 2015 of the LSTM; with a value, all have it."""
    of_lstm = weights(initaudit.make("lstm", "4x3,2,2"))["onnx::LSTM_67"].reshape(8, 2)
    none = initaudit.make("mlp", SMALL["mlp"], bias="none")
    some = weights(initaudit.make("mlp", SMALL["mlp"], bias=0.1))

    assert of_lstm[:, 0].tolist() == [0, 0, 1, 0, 0, 0, 0, 0]
    assert [name for name in weights(none) if "bias" in name] == []
    assert all((value == np.float32(0.1)).all() for name, value in some.items() if "bias" in name)


def test_schemes_hold_for_the_layers_that_they_name():
    """Of several the last counts, as in `fix`; the gain multiplies what is drawn."""
    made = weights(initaudit.make("mlp", "12,8x2,4", scheme=["ones", "layers.2*=zeros"], gain=3))

    assert np.unique(made["layers.0.weight"]).tolist() == [3]
    assert not made["layers.2.weight"].any()


@pytest.mark.parametrize(
    ("name", "sizes", "options", "says"),
    [
        ("mpl", None, {}, "did you mean mlp?"),
        ("mlp", "784", {}, "they are written INPUTS,"),
        ("mlp", "784,0,10", {}, "are no sizes of mlp"),
        ("mlp", "784x2,10", {}, "are no sizes of mlp"),
        ("conv", "1x8x8,10", {}, "are no sizes of conv"),
        ("transformer", "9x4,8,8,2", {}, "are no sizes of transformer"),
        ("transformer", "9x4,8,3", {}, "3 heads cannot share a width of 8"),
        ("conv", "1x2x2,4,4,4,2", {}, "the image is too small"),
        ("mlp", "9,9x5000,9", {}, "more than 1000 layers"),
        ("mlp", "99999,99999,9", {}, "more than 67108864 weights"),
        ("mlp", "9,9,9", {"activation": "rellu"}, "did you mean relu?"),
        ("mlp", "9,9,9", {"activation": "elu:-1"}, "must be above 0"),
        ("mlp", "9,9,9", {"activation": "elu:1e7"}, "at most 1e+06 in size"),
        ("lstm", "4x3,2,2", {"activation": "tanh"}, "activations of their own"),
        ("lstm", "4x3,2,2", {"norm": "batch"}, "norm of lstm is none"),
        ("lstm", "4x3,2,2", {"scheme": "*W*=pca"}, "cannot be drawn by it"),
        ("mlp", "9,9,9", {"scheme": "he_norml"}, "did you mean he_normal?"),
        ("mlp", "9,9,9", {"scheme": "foo*=zeros"}, "has no layer 'foo*'"),
        ("mlp", "9,9,9", {"scheme": "normal:1e39"}, "would not fit float32"),
        ("mlp", "9,9,9", {"bias": "keep"}, "neither auto nor none nor a number"),
        ("mlp", "9,9,9", {"bias": 1e31}, "at most 1e+30 in size"),
        ("mlp", "9,9,9", {"dropout": 1}, "below 1"),
        ("mlp", "9,9,9", {"seed": -1}, "at least 0"),
    ],
)
def test_what_cannot_be_made_is_said(name: str, sizes: str | None, options: dict, says: str):
    """In one line."""
    with pytest.raises(UsageError) as error:
        initaudit.make(name, sizes, **options)

    assert says in str(error.value)
    assert len(str(error.value).splitlines()) == 1
