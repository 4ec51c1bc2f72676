"""What an input means decides what it is fed: a state, a count, a class, a pixel; and something always differs from sample to sample."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto
from onnx.helper import make_node as op

from initaudit.extraction.extract import extract_layers
from initaudit.model.load import load_model
from initaudit.probe.plan import ProbeOptions
from initaudit.probe.probe import probe
from tests.probe.test_inputs import I64, F, build, feeds_of, weight

U8 = TensorProto.UINT8


def how(feeds) -> dict[str, str]:
    return {described["name"]: described["how"] for described in feeds.descriptions}


def mlp(name: str, *, output: str = "y"):
    nodes = [op("MatMul", [name, "w"], ["z"]), op("Relu", ["z"], ["a"]), op("MatMul", ["a", "v"], [output])]
    return build(nodes, [(name, F, ["b", 12])], {"w": weight(12, 16), "v": weight(16, 12)}, outputs=(output,))


def cell(states: tuple[str, str]):
    """h' = tanh(x W + h R), the next state an output."""
    before, behind = states
    nodes = [
        op("MatMul", ["x", "w"], ["p"]),
        op("MatMul", [before, "r"], ["q"]),
        op("Add", ["p", "q"], ["z"]),
        op("Tanh", ["z"], [behind]),
    ]
    inputs = [("x", F, ["b", 12]), (before, F, ["b", 8])]
    model = build(nodes, inputs, {"w": weight(12, 8), "r": weight(8, 8)}, outputs=(behind,))
    dims = model.graph.output[0].type.tensor_type.shape.dim
    dims.add(dim_param="b")
    dims.add(dim_value=8)
    return model


class TestStates:
    """A state is one where the network says so, not where a name does."""

    @pytest.mark.parametrize("name", ["state", "network_state", "h", "h0", "initial_state", "hidden"])
    def test_what_an_agent_observes_is_data(self, name: str):
        """In reinforcement learning the state is the observation: nothing gives its next value."""
        assert how(feeds_of(mlp(name))) == {name: "N(0, 1)"}

    @pytest.mark.parametrize("states", [("h", "hn"), ("h0", "h1"), ("state", "stateN"), ("hidden_in", "hidden_out")])
    def test_a_state_whose_next_value_is_an_output_starts_at_zero(self, states: tuple[str, str]):
        """A cell written out by hand has no recurrent operator; its output shows what is carried on."""
        assert how(feeds_of(cell(states))) == {"x": "N(0, 1)", states[0]: "zeros (initial state)"}

    @pytest.mark.parametrize("name", ["state", "h", "mask", "segment", "scale_factor"])
    def test_the_only_input_differs_between_samples(self, name: str):
        """Zeros or ones in the only input would say nothing of the network, whatever it is called and gives out."""
        x = feeds_of(mlp(name, output=f"{name}_out")).arrays[name]

        assert (x.std(axis=0) > 0.2).all()


class TestIds:
    """Ids are drawn from where they are compared or counted."""

    def test_classes_that_ids_are_compared_with(self):
        """Equal(x, arange(257)) encodes one of 257 classes."""
        nodes = [
            op("Unsqueeze", ["x", "last"], ["u"]),
            op("Equal", ["u", "classes"], ["e"]),
            op("Cast", ["e"], ["c"], to=F),
            op("MatMul", ["c", "w"], ["y"]),
        ]
        model = build(
            nodes, [("x", I64, ["b", 9])], {"last": np.array([-1]), "classes": np.arange(257), "w": weight(257, 4)}
        )

        x = feeds_of(model).arrays["x"]

        assert (x.min(), x.max()) >= (4, 100)
        assert x.max() < 257
        assert (x != x[:1]).any()

    @pytest.mark.parametrize("name", ["n_node", "sizes"])
    def test_counts_are_such_that_the_network_runs(self, name: str):
        """As many rows are picked as the counts add up to, of as many as there are counts: none but ones do; the name may not tell."""
        nodes = [
            op("ReduceSum", [name], ["total"], keepdims=0),
            op("Range", ["start", "total", "step"], ["rows"]),
            op("Gather", ["x", "rows"], ["picked"]),
            op("Add", ["x", "picked"], ["sum"]),
            op("MatMul", ["sum", "w"], ["y"]),
        ]
        tensors = {"start": np.array(0), "step": np.array(1), "w": weight(4, 3)}
        model = build(nodes, [("x", F, [16, 4]), (name, I64, [16])], tensors)

        assert feeds_of(model).arrays[name].tolist() == [1] * 16


def pixels(*nodes, dtype=F, shape=("b", 3, 40, 40), **constants):
    """The nodes from `image` to `x`, and a convolution."""
    tensors = {name: np.asarray(value, np.float32) for name, value in constants.items()}
    return build(
        [*nodes, op("Conv", ["x", "k"], ["y"])], [("image", dtype, list(shape))], {"k": weight(8, 3, 3, 3), **tensors}
    )


def per_channel(*values: float):
    return np.reshape(values, (1, 3, 1, 1))


class TestScales:
    """An input has the scale that the graph undoes."""

    @pytest.mark.parametrize(
        ("model", "low", "high", "middle"),
        [
            (pixels(op("Div", ["image", "by"], ["x"]), by=255.0), 0, 255, 127),
            (pixels(op("Mul", ["image", "by"], ["x"]), by=1 / 255), 0, 255, 127),
            (pixels(op("Sub", ["image", "mean"], ["x"]), mean=per_channel(123.7, 116.8, 103.9)), 0, 255, 115),
            (
                pixels(op("Div", ["image", "by"], ["d"]), op("Sub", ["d", "one"], ["x"]), by=127.5, one=1.0),
                0,
                255,
                127,
            ),
            (pixels(op("Mul", ["image", "by"], ["d"]), op("Sub", ["d", "one"], ["x"]), by=2.0, one=1.0), 0, 1, 0.5),
            (
                pixels(
                    op("Transpose", ["image"], ["t"], perm=[0, 3, 1, 2]),
                    op("Cast", ["t"], ["c"], to=F),
                    op("Div", ["c", "by"], ["x"]),
                    by=255.0,
                    dtype=U8,
                    shape=("b", 40, 40, 3),
                ),
                0,
                255,
                127,
            ),
        ],
    )
    def test_pixels(self, model, low: float, high: float, middle: float):
        """Division by 255, a mean of ImageNet, a range of -1 to 1: each tells what the pixels are."""
        image = feeds_of(model).arrays["image"].astype(np.float64)

        assert image.min() >= low
        assert image.max() <= high
        assert image.mean() == pytest.approx(middle, rel=0.1)
        assert 0.15 * high < image.std() < 0.35 * high

    def test_features_that_are_standardised(self):
        """Mean and standard deviation of each feature are those that the graph takes out."""
        mean, std = np.array([1000.0, 5.0, -7.0]), np.array([200.0, 2.0, 3.0])
        nodes = [
            op("Sub", ["f", "mean"], ["d"]),
            op("Div", ["d", "std"], ["x"]),
            op("MatMul", ["x", "w"], ["y"]),
        ]
        tensors = {"mean": mean.astype(np.float32), "std": std.astype(np.float32), "w": weight(3, 4)}

        f = feeds_of(build(nodes, [("f", F, ["b", 3])], tensors), batch=2000).arrays["f"]

        assert f.mean(axis=0) == pytest.approx(mean, abs=0.1 * std.max())
        assert f.std(axis=0) == pytest.approx(std, rel=0.1)

    def test_a_batch_normalisation_has_seen_the_input(self):
        """Its running statistics are those of the features."""
        tensors = {
            "s": np.ones(3, np.float32),
            "z": np.zeros(3, np.float32),
            "m": np.array([10, 0, -4], np.float32),
            "v": np.array([4, 1, 25], np.float32),
            "w": weight(3, 4),
        }
        nodes = [op("BatchNormalization", ["f", "s", "z", "m", "v"], ["x"]), op("MatMul", ["x", "w"], ["y"])]

        f = feeds_of(build(nodes, [("f", F, ["b", 3])], tensors), batch=2000).arrays["f"]

        assert f.mean(axis=0) == pytest.approx([10, 0, -4], abs=0.3)
        assert f.std(axis=0) == pytest.approx([2, 1, 5], rel=0.1)

    def test_frequencies_that_multiply_a_coordinate_are_no_scale(self):
        """A positional encoding makes several values of each; it undoes nothing."""
        nodes = [
            op("Unsqueeze", ["x", "last"], ["u"]),
            op("Mul", ["u", "frequencies"], ["m"]),
            op("Sin", ["m"], ["s"]),
            op("Flatten", ["s"], ["f"]),
            op("MatMul", ["f", "w"], ["y"]),
        ]
        tensors = {
            "last": np.array([-1]),
            "frequencies": 0.01 * 2.0 ** np.arange(4, dtype=np.float32),
            "w": weight(12, 4),
        }

        assert how(feeds_of(build(nodes, [("x", F, ["b", 3])], tensors))) == {"x": "N(0, 1)"}


def measured(model, **options):
    loaded = load_model(model)
    return probe(loaded, extract_layers(loaded).layers, ProbeOptions(**options))


class TestNothingVaries:
    """Inputs that are all alike measure nothing, and the result says so."""

    def test_a_network_without_inputs(self):
        """All it computes is known beforehand."""
        model = build([op("MatMul", ["c", "w"], ["y"])], [], {"c": weight(4, 12), "w": weight(12, 5)})

        result = measured(model)

        assert (result.status, result.reason, result.signals) == ("failed", "the network has no input", {})

    def test_one_sample(self):
        """What distinguishes inputs shows with two."""
        result = measured(mlp("x"), batch=1)

        assert result.status == "failed"
        assert "two or more" in result.reason

    def test_data_whose_rows_are_equal(self, tmp_path):
        """Real data that does not differ is named with its input."""
        np.savez(tmp_path / "same.npz", x=np.ones((8, 12), np.float32))

        result = measured(mlp("x"), input_data=str(tmp_path / "same.npz"))

        assert result.status == "failed"
        assert "x: from same.npz" in result.reason
        assert [entry["varies"] for entry in result.inputs] == [False]


def test_shapes_that_depend_on_values_are_the_reason():
    """A network that keeps the positive elements gives as many as there are: no two inputs can be compared there."""
    nodes = [
        op("Greater", ["x", "zero"], ["positive"]),
        op("Compress", ["x", "positive"], ["kept"], axis=0),
        op("Unsqueeze", ["kept", "last"], ["column"]),
        op("MatMul", ["column", "w"], ["y"]),
    ]
    tensors = {"zero": np.float32(0.0), "last": np.array([-1]), "w": weight(1, 5)}

    result = measured(build(nodes, [("x", F, [40])], tensors))

    assert result.status == "failed"
    assert "the shape of 'y' depends on the values that are fed" in result.reason
