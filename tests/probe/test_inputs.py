"""Every model gets inputs that it accepts, made of what they mean; or a reason in words why not."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.helper import make_node as op

from initaudit.errors import ProbeError, UsageError
from initaudit.probe.inputs import InputOptions, make, make_feeds
from initaudit.probe.inputs.dimensions import evaluate
from initaudit.probe.session import open_session, run_session

F, I64, I32, BOOL = TensorProto.FLOAT, TensorProto.INT64, TensorProto.INT32, TensorProto.BOOL


def build(nodes, inputs, initializers=None, *, outputs=("y",), domains=(), opset=17):
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info(*i) if isinstance(i, tuple) else i for i in inputs],
        [helper.make_tensor_value_info(o, F, None) for o in outputs],
        [numpy_helper.from_array(np.asarray(v), name) for name, v in (initializers or {}).items()],
    )
    imports = [helper.make_opsetid("", opset), *(helper.make_opsetid(d, 1) for d in domains)]
    return helper.make_model(graph, opset_imports=imports, ir_version=8)


def weight(*shape):
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32) * 0.1


def feeds_of(model, **options):
    """Inputs for a model, after making sure that it runs on them."""
    feeds = make_feeds(model, None, InputOptions(**options))
    for arrays in feeds.runs():
        run_session(open_session(model, None), None, arrays)
    return feeds


def shapes_of(model, **options):
    return {name: array.shape for name, array in feeds_of(model, **options).arrays.items()}


def mlp(*dims):
    return build([op("MatMul", ["x", "w"], ["y"])], [("x", F, list(dims))], {"w": weight(12, 5)})


class TestSizes:
    """Free dimensions take the sizes that the graph demands."""

    def test_batch_is_free_and_large_enough_for_a_variance(self):
        """A free leading dimension counts independent samples."""
        feeds = feeds_of(mlp("batch", 12))

        assert feeds.arrays["x"].shape == (16, 12)
        assert (feeds.batch, feeds.batch_axes, feeds.batch_is_free, feeds.more) == (16, {"x": 0}, True, ())

    def test_batch_of_the_user_is_taken(self):
        """--batch wins over the default."""
        assert shapes_of(mlp("batch", 12), batch=5) == {"x": (5, 12)}

    def test_fixed_batch_gives_several_different_draws(self):
        """A file that fixes its batch at one is fed one input after the other."""
        feeds = feeds_of(mlp(1, 12))

        assert (feeds.batch, len(feeds.more), feeds.batch_is_free) == (1, 15, False)
        assert not np.array_equal(feeds.more[0]["x"], feeds.more[1]["x"])

    @pytest.mark.parametrize("dims", [("batch", "features"), (None, None), ("?", "?"), ("N", "D")])
    def test_features_come_from_the_weight(self, dims):
        """The first product fixes the number of features, whatever the file calls the dimension."""
        assert shapes_of(mlp(*dims)) == {"x": (16, 12)}

    def test_same_symbol_same_size(self):
        """Two inputs that share a symbol get equal sizes; nameless dimensions are not shared."""
        model = build(
            [op("MatMul", ["a", "w"], ["p"]), op("MatMul", ["b", "v"], ["q"]), op("Concat", ["p", "q"], ["y"], axis=1)],
            [("a", F, ["n", "seq", 12]), ("b", F, ["n", "steps", 3])],
            {"w": weight(12, 4), "v": weight(3, 4)},
        )

        shapes = shapes_of(model)

        assert shapes["a"][0] == shapes["b"][0] == 16

    def test_channels_come_from_the_kernel_also_when_grouped(self):
        """A convolution has kernel channels times groups at its input."""
        model = build(
            [op("Transpose", ["x"], ["t"], perm=[0, 3, 1, 2]), op("Conv", ["t", "w"], ["y"], group=2)],
            [("x", F, [None, None, None, None])],
            {"w": weight(4, 3, 5, 5)},
        )

        shape = shapes_of(model)["x"]

        assert shape[3] == 6
        assert shape[1] == shape[2] >= 5

    @pytest.mark.parametrize("side", [224, 32, 28, 84, 50, 100])
    @pytest.mark.parametrize("flatten", ["Flatten", "Reshape"])
    def test_image_size_behind_a_flattened_head_is_found(self, side, flatten):
        """Convolution, pooling, flatten, product: only one image size fits, usual (224) or not (50)."""
        after = (side - 3) // 2 + 1
        flat = op("Flatten", ["c"], ["f"]) if flatten == "Flatten" else op("Reshape", ["c", "s"], ["f"])
        model = build(
            [op("Conv", ["x", "w"], ["c"], strides=[2, 2]), flat, op("Gemm", ["f", "v"], ["y"])],
            [("x", F, ["batch", 3, "height", "width"])],
            {"w": weight(2, 3, 3, 3), "v": weight(2 * after * after, 4), "s": np.array([-1, 2 * after * after])},
        )

        shape = shapes_of(model)["x"]

        assert ((shape[2] - 3) // 2 + 1) ** 2 == after * after

    @pytest.mark.parametrize("length", [160, 700, 16000])
    def test_length_of_a_sound_is_found(self, length):
        """A clip of raw sound in front of a product has one right length."""
        after = (length - 10) // 5 + 1
        model = build(
            [
                op("Unsqueeze", ["x", "axis"], ["u"]),
                op("Conv", ["u", "w"], ["c"], strides=[5]),
                op("Flatten", ["c"], ["f"]),
                op("Gemm", ["f", "v"], ["y"]),
            ],
            [("x", F, ["batch", "samples"])],
            {"axis": np.array([1]), "w": weight(2, 1, 10), "v": weight(2 * after, 4)},
        )

        assert (shapes_of(model)["x"][1] - 10) // 5 + 1 == after

    def test_batch_that_the_graph_fixes_against_its_declaration(self):
        """A traced Reshape holds the batch of the trace, though the file declares it free."""
        model = build(
            [op("Reshape", ["x", "s"], ["r"]), op("MatMul", ["r", "w"], ["y"])],
            [("x", F, ["batch", 6, 2])],
            {"s": np.array([1, 12]), "w": weight(12, 3)},
        )

        feeds = feeds_of(model)

        assert feeds.arrays["x"].shape == (1, 6, 2)
        assert (feeds.batch, feeds.batch_is_free, len(feeds.more)) == (1, False, 15)

    def test_time_comes_first_in_a_recurrent_layer(self):
        """The first axis of an LSTM is time, even where the file does not name it."""
        model = build(
            [op("LSTM", ["x", "w", "r"], ["y"], hidden_size=4)],
            [("x", F, [None, None, 3])],
            {"w": weight(1, 16, 3), "r": weight(1, 16, 4)},
        )

        feeds = feeds_of(model)

        assert feeds.batch_axes == {"x": 1}
        assert (feeds.batch, feeds.batch_is_free) == (16, True)

    def test_initial_state_has_the_layers_size_and_is_zero(self):
        """Initial states are [directions, batch, hidden], all zero; lengths are those of the sequence."""
        model = build(
            [op("GRU", ["x", "w", "r", "", "n", "s"], ["y"], hidden_size=4)],
            [("x", F, ["time", "batch", 3]), ("n", I32, ["batch"]), ("s", F, [None, None, None])],
            {"w": weight(1, 12, 3), "r": weight(1, 12, 4)},
        )

        arrays = feeds_of(model).arrays

        assert arrays["s"].shape == (1, 16, 4)
        assert not arrays["s"].any()
        assert set(arrays["n"]) == {arrays["x"].shape[0]}

    def test_position_table_limits_the_sentence(self):
        """A learned table of ten positions leaves no choice."""
        model = build(
            [op("Gather", ["t", "ids"], ["e"]), op("Add", ["e", "p"], ["y"])],
            [("ids", I64, ["batch", "sequence"])],
            {"t": weight(50, 8), "p": weight(1, 10, 8)},
        )

        assert shapes_of(model) == {"ids": (16, 10)}

    def test_position_table_behind_a_gather_limits_the_sentence(self):
        """Positions counted in the graph must stay inside their table; the ids keep the range of theirs."""
        model = build(
            [
                op("Shape", ["ids"], ["shape"]),
                op("Gather", ["shape", "one"], ["length"], axis=0),
                op("Range", ["zero", "length", "one"], ["positions"]),
                op("Gather", ["p", "positions"], ["pe"]),
                op("Gather", ["t", "ids"], ["e"]),
                op("Add", ["e", "pe"], ["y"]),
            ],
            [("ids", I64, ["batch", "sequence"])],
            {"t": weight(500, 8), "p": weight(12, 8), "one": np.array(1), "zero": np.array(0)},
        )

        ids = feeds_of(model).arrays["ids"]

        assert ids.shape[1] <= 12
        assert ids.max() > 100

    def test_past_and_present_add_up(self):
        """A decoder with a cache: the mask is as long as past and present together, and the past starts empty."""
        model = build(
            [
                op("Gather", ["t", "input_ids"], ["e"]),
                op("Concat", ["past", "e"], ["k"], axis=1),
                op("Cast", ["attention_mask"], ["m"], to=F),
                op("Unsqueeze", ["m", "last"], ["mu"]),
                op("Mul", ["k", "mu"], ["y"]),
            ],
            [
                ("input_ids", I64, ["batch", "sequence_length"]),
                ("attention_mask", I64, ["batch", "past_sequence_length + sequence_length"]),
                ("past", F, ["batch", "past_sequence_length", 8]),
            ],
            {"t": weight(50, 8), "last": np.array([2])},
        )

        shapes = shapes_of(model)

        assert shapes["attention_mask"][1] == shapes["past"][1] + shapes["input_ids"][1]

    def test_grouped_attention_with_an_empty_cache(self):
        """GroupQueryAttention: caches per key head, and the lengths that it asks for, in its own terms."""
        model = build(
            [
                op("GroupQueryAttention", ["q", "k", "v", "pk", "pv", "seqlens_k", "total"], ["y", "nk", "nv"],
                   domain="com.microsoft", num_heads=4, kv_num_heads=2),
            ],
            [
                ("q", F, ["batch", "sequence", 64]), ("k", F, ["batch", "sequence", 32]), ("v", F, ["batch", "sequence", 32]),
                ("pk", F, ["batch", 2, "past", 16]), ("pv", F, ["batch", 2, "past", 16]),
                ("seqlens_k", I32, ["batch"]), ("total", I32, []),
            ],
            domains=("com.microsoft",),
        )  # fmt: skip

        arrays = feeds_of(model).arrays

        assert arrays["q"].shape == (16, 16, 64)
        assert (arrays["seqlens_k"] == arrays["pk"].shape[2] + 15).all()
        assert arrays["total"] == arrays["pk"].shape[2] + 16

    def test_multi_head_attention_with_its_padding_mask(self):
        """MultiHeadAttention: query and key from the inputs, every key allowed."""
        model = build(
            [op("MultiHeadAttention", ["q", "k", "k", "", "kpm"], ["y"], domain="com.microsoft", num_heads=4)],
            [("q", F, ["batch", "s", 32]), ("k", F, ["batch", "t", 32]), ("kpm", I32, ["batch", "t"])],
            domains=("com.microsoft",),
        )

        arrays = feeds_of(model).arrays

        assert arrays["kpm"].shape == arrays["k"].shape[:2]
        assert (arrays["kpm"] == 1).all()

    def test_shape_of_the_user_is_taken(self):
        """--input-shape settles what the search would otherwise guess."""
        model = build([op("Relu", ["x"], ["y"])], [("x", F, ["b", "h", "w"])])

        assert shapes_of(model, shapes={"x": (2, 7, 9)}) == {"x": (2, 7, 9)}

    def test_rank_that_is_not_declared_can_be_given(self):
        """An input without a shape is refused, unless the user says what it is."""
        model = build([op("Relu", ["x"], ["y"])], [("x", F, None)])

        assert shapes_of(model, shapes={"x": (2, 3)}) == {"x": (2, 3)}
        with pytest.raises(ProbeError, match="'x' has no declared rank; give its shape with --input-shape"):
            feeds_of(model)

    def test_model_without_inputs_needs_none(self):
        """A graph of constants runs on nothing."""
        feeds = feeds_of(build([op("Relu", ["c"], ["y"])], [], {"c": weight(2, 2)}))

        assert (feeds.arrays, feeds.batch, feeds.more) == ({}, 1, ())

    def test_batch_shrinks_with_the_memory(self):
        """Large activations lower the batch, and the report says so."""
        model = build(
            [op("Expand", ["x", "s"], ["e"]), op("ReduceSum", ["e"], ["y"], keepdims=0)],
            [("x", F, ["batch", 1])],
            {"s": np.array([1, 1 << 22])},
        )

        feeds = feeds_of(model, max_memory=256 << 20)

        assert 2 <= feeds.batch < 16
        assert "batch lowered" in feeds.notes[0]


class TestValues:
    """Values are what they mean."""

    def test_numbers_are_standard_normal(self):
        """Images, sound and features have mean 0 and variance 1."""
        x = feeds_of(mlp("batch", 12), batch=4096).arrays["x"]

        assert x.dtype == np.float32
        assert abs(x.mean()) < 0.02
        assert abs(x.std() - 1) < 0.02

    def test_same_seed_same_inputs(self):
        """Deterministic in the seed, different for another."""
        first, again, other = (feeds_of(mlp("b", 12), seed=s).arrays["x"] for s in (3, 3, 4))

        assert np.array_equal(first, again)
        assert not np.array_equal(first, other)

    @pytest.mark.parametrize("kind", ["plain", "cast", "offset", "masked", "float", "reshaped"])
    def test_ids_stay_inside_the_smallest_table(self, kind):
        """Ids are followed to every table they index, through casts, offsets, masks and reshapes."""
        way = {
            "plain": [op("Identity", ["ids"], ["i"])],
            "cast": [op("Cast", ["ids"], ["i"], to=I32)],
            "offset": [op("Add", ["ids", "two"], ["i"])],
            "masked": [op("Mul", ["ids", "mask"], ["i"])],
            "float": [op("Cast", ["ids"], ["i"], to=I64)],
            "reshaped": [op("Reshape", ["ids", "s"], ["i"])],
        }[kind]
        inputs = [("ids", F if kind == "float" else I64, ["batch", 6])]
        if kind == "masked":
            inputs.append(("mask", I64, ["batch", 6]))
        model = build(
            [*way, op("Gather", ["t", "i"], ["a"]), op("Gather", ["u", "i"], ["b"]), op("Add", ["a", "b"], ["y"])],
            inputs,
            {"t": weight(40, 3), "u": weight(30, 3), "two": np.array(2), "s": np.array([-1, 6])},
        )

        ids = feeds_of(model, batch=256).arrays["ids"]

        assert ids.min() >= 0
        assert ids.max() == (27 if kind == "offset" else 29)

    def test_range_of_ids_is_learnt_from_the_runtime(self):
        """Where the table is computed, its size is read from the error of a trial run."""
        model = build(
            [op("Relu", ["c"], ["t"]), op("Slice", ["t", "a", "b"], ["u"]), op("Gather", ["u", "ids"], ["y"])],
            [("ids", I64, ["batch", 6])],
            {"c": weight(40, 3), "a": np.array([0]), "b": np.array([7])},
        )

        assert feeds_of(model).arrays["ids"].max() <= 6

    @pytest.mark.parametrize(("offset", "low"), [(1.0, -1.0), (0.0, 0.0)])
    def test_pixels_that_a_network_rounds_to_ids_stay_inside_its_table(self, offset, low):
        """16 grey levels, of an image scaled to -1..1 or 0..1: N(0, 1) would leave the table."""
        model = build(
            [
                op("Add", ["x", "offset"], ["a"]),
                op("Mul", ["a", "levels"], ["b"]),
                op("Round", ["b"], ["c"]),
                op("Cast", ["c"], ["ids"], to=I64),
                op("Gather", ["t", "ids"], ["y"]),
            ],
            [("x", F, ["batch", 64])],
            {
                "offset": np.array(offset, np.float32),
                "levels": np.array(16.0 / (1.0 - low), np.float32),
                "t": weight(17, 4),
            },
        )

        x = feeds_of(model).arrays["x"]

        assert x.min() >= low - (1.0 if low == 0 else 0.0)
        assert x.max() <= 1.0
        assert x.std() > 0.25

    def test_bert_inputs(self):
        """Nothing masked, one segment, positions in order, ids above the reserved ones."""
        model = build(
            [
                op("Gather", ["t", "input_ids"], ["a"]),
                op("Gather", ["s", "token_type_ids"], ["b"]),
                op("Gather", ["p", "position_ids"], ["c"]),
                op("Cast", ["attention_mask"], ["m"], to=F),
                op("Unsqueeze", ["m", "last"], ["mu"]),
                op("Sum", ["a", "b", "c"], ["e"]),
                op("Mul", ["e", "mu"], ["y"]),
            ],
            [(n, I64, ["batch", "seq"]) for n in ("input_ids", "token_type_ids", "position_ids", "attention_mask")],
            {"t": weight(100, 4), "s": weight(2, 4), "p": weight(64, 4), "last": np.array([2])},
        )

        arrays = feeds_of(model).arrays

        assert (arrays["attention_mask"] == 1).all()
        assert (arrays["token_type_ids"] == 0).all()
        assert (arrays["position_ids"] == np.arange(16)).all()
        assert arrays["input_ids"].min() >= 4

    def test_mask_that_hides_where_it_is_true_is_turned_round(self):
        """The key_padding_mask of torch hides where it is true: all true would leave a softmax over nothing."""
        model = build(
            [op("Where", ["padding_mask", "never", "x"], ["s"]), op("Softmax", ["s"], ["y"], axis=-1)],
            [("x", F, ["batch", 8]), ("padding_mask", BOOL, ["batch", 8])],
            {"never": np.array(-np.inf, np.float32)},
        )

        assert not feeds_of(model).arrays["padding_mask"].any()

    def test_number_that_the_graph_asks_for(self):
        """A switch compared with a constant gets that constant, here the sampling rate."""
        then = helper.make_graph([op("Relu", ["x"], ["a"])], "t", [], [helper.make_tensor_value_info("a", F, None)])
        other = helper.make_graph([op("Neg", ["x"], ["b"])], "e", [], [helper.make_tensor_value_info("b", F, None)])
        model = build(
            [op("Equal", ["rate", "c"], ["q"]), op("If", ["q"], ["y"], then_branch=then, else_branch=other)],
            [("x", F, ["batch", 8]), ("rate", I64, [])],
            {"c": np.array(16000)},
        )

        rate = feeds_of(model).arrays["rate"]

        assert rate.shape == ()
        assert rate == 16000

    @pytest.mark.parametrize(
        ("kind", "low", "high"),
        [
            ("uint8", 0, 255),
            ("int8", -128, 127),
            ("int32", 0, 9),
            ("float16", -9, 9),
            ("float64", -9, 9),
            ("bool", 0, 1),
        ],
    )
    def test_every_type_can_be_fed(self, kind, low, high):
        """Types that are no numbers of a network get values in their range."""
        code = helper.np_dtype_to_tensor_dtype(np.dtype(kind))
        model = build([op("Cast", ["x"], ["y"], to=F)], [("x", code, ["batch", 3, 8, 8])])

        x = feeds_of(model).arrays["x"]

        assert x.dtype == kind
        assert low <= x.min() <= x.max() <= high


class TestRefusals:
    """What cannot be fed is refused in words."""

    def test_weights_without_values(self):
        """A network whose weights are inputs cannot be judged by random weights."""
        model = build(
            [op("Conv", ["x", "kernel"], ["c"]), op("Transpose", ["m"], ["t"]), op("Gemm", ["v", "t"], ["z"])],
            [("x", F, [1, 3, 8, 8]), ("kernel", F, [4, 3, 3, 3]), ("m", F, [4, 5]), ("v", F, ["n", 5])],
            outputs=("c", "z"),
        )

        with pytest.raises(ProbeError, match=r"weights are graph inputs without values \(kernel, m\).*--input-data"):
            feeds_of(model)

    @pytest.mark.parametrize(
        ("make", "what"),
        [
            (lambda: helper.make_tensor_sequence_value_info("x", F, None), "sequence"),
            (
                lambda: helper.make_value_info(
                    "x", helper.make_optional_type_proto(helper.make_tensor_type_proto(F, [2]))
                ),
                "optional",
            ),
        ],
    )
    def test_sequences_and_optionals(self, make, what):
        """Only tensors can be fed."""
        node = op("SequenceAt", ["x", "i"], ["y"]) if what == "sequence" else op("OptionalGetElement", ["x"], ["y"])
        model = build([node], [make()], {"i": np.array(0)})

        with pytest.raises(ProbeError, match=f"input 'x' is a {what}; only tensors can be fed"):
            feeds_of(model)

    def test_impossible_model_gives_the_runtimes_reason(self):
        """Where no size fits, the reason of the likeliest size is given, with the number of trials."""
        model = build(
            [op("MatMul", ["x", "w"], ["a"]), op("MatMul", ["x", "v"], ["b"]), op("Add", ["a", "b"], ["y"])],
            [("x", F, ["batch", "features"])],
            {"w": weight(12, 5), "v": weight(13, 5)},
        )

        with pytest.raises(ProbeError, match=r"no input sizes were found in \d+ trials.*--input-shape"):
            feeds_of(model)

    @pytest.mark.parametrize(
        ("shapes", "reason"),
        [
            ({"z": (1, 12)}, "no input 'z'; it has x"),
            ({"x": (1, 12, 1)}, "'x' has 2 dimensions"),
            ({"x": (1, 13)}, "'x' has shape batchx12, not 1x13"),
        ],
    )
    def test_shape_that_does_not_fit(self, shapes, reason):
        """A shape that contradicts the file is the user's mistake."""
        with pytest.raises(UsageError, match=reason):
            feeds_of(mlp("batch", 12), shapes=shapes)


class TestRealData:
    """--input-data: real inputs from an .npz file."""

    def save(self, path, **arrays):
        np.savez(path / "data.npz", **arrays)
        return str(path / "data.npz")

    def test_real_inputs_are_fed_as_they_are(self, tmp_path):
        """As many as the probe wants, from the start of the file."""
        x = weight(40, 12)

        feeds = feeds_of(mlp("batch", 12), data=self.save(tmp_path, x=x, extra=x))

        assert np.array_equal(feeds.arrays["x"], x[:16])
        assert feeds.descriptions == [{"name": "x", "shape": [16, 12], "dtype": "float32", "how": "from data.npz"}]
        assert feeds.notes == ["the first 16 of 40 inputs in data.npz"]

    def test_fixed_batch_takes_the_data_piece_by_piece(self, tmp_path):
        """A file that fixes its batch at two is fed two real inputs after the other."""
        x = weight(10, 12)

        feeds = feeds_of(mlp(2, 12), data=self.save(tmp_path, x=x))

        assert np.array_equal(np.concatenate([arrays["x"] for arrays in feeds.runs()]), x)
        assert feeds.notes == ["the model fixes its batch at 2: 5 separate inputs from data.npz"]

    def test_weights_can_be_given(self, tmp_path):
        """Weights that are graph inputs may come from the file."""
        model = build([op("Conv", ["x", "k"], ["y"])], [("x", F, [1, 3, 8, 8]), ("k", F, [4, 3, 3, 3])])
        x, k = weight(1, 3, 8, 8), weight(4, 3, 3, 3)

        feeds = feeds_of(model, data=self.save(tmp_path, x=x, k=k))

        assert np.array_equal(feeds.arrays["k"], k)

    @pytest.mark.parametrize("dtype", [np.float64, np.float16, np.int64, np.uint8])
    def test_numbers_of_another_width_are_converted(self, tmp_path, dtype):
        """numpy makes float64 and int64 unless it is told otherwise."""
        x = (weight(8, 12) * 10).astype(dtype)

        feeds = feeds_of(mlp("batch", 12), data=self.save(tmp_path, x=x))

        assert feeds.arrays["x"].dtype == np.float32
        assert np.array_equal(feeds.arrays["x"], x.astype(np.float32))

    def test_the_only_input_needs_no_name(self, tmp_path):
        """An .npy file holds one array; of two inputs it would say nothing."""
        x = weight(8, 12)
        np.save(tmp_path / "x.npy", x)
        two = build([op("MatMul", ["x", "k"], ["y"])], [("x", F, [8, 12]), ("k", F, [12, 3])])

        assert np.array_equal(feeds_of(mlp("batch", 12), data=str(tmp_path / "x.npy")).arrays["x"], x)
        with pytest.raises(UsageError, match=r"one array, for the inputs x, k"):
            feeds_of(two, data=str(tmp_path / "x.npy"))

    @pytest.mark.parametrize(
        ("arrays", "reason"),
        [
            ({"z": weight(2, 12)}, "no array for input x; it holds z"),
            ({"x": weight(2, 12).astype(np.complex64)}, "wants float32, the file has complex64"),
            ({"x": weight(2, 3, 4)}, "has 2 dimensions"),
            ({"x": weight(2, 13)}, "has shape batchx12, not 2x13"),
            ({"x": weight(2, 12)[:0]}, "the array of input 'x' is empty"),
        ],
    )
    def test_data_that_does_not_fit(self, tmp_path, arrays, reason):
        """Each way to be wrong is told."""
        with pytest.raises(UsageError, match=reason):
            feeds_of(mlp("batch", 12), data=self.save(tmp_path, **arrays))

    def test_inputs_of_one_batch_have_as_many_rows(self, tmp_path):
        """Where the model calls their first axes the same; one row may stand for all."""
        two = build([op("Add", ["x", "k"], ["y"])], [("x", F, ["batch", 12]), ("k", F, ["batch", 12])])

        with pytest.raises(
            UsageError, match="the arrays differ in rows: 3 of input 'x', 4 of 'k'; the model calls both batch"
        ):
            feeds_of(two, data=self.save(tmp_path, x=weight(3, 12), k=weight(4, 12)))
        assert feeds_of(two, data=self.save(tmp_path, x=weight(3, 12), k=weight(1, 12))).arrays

    @pytest.mark.parametrize("content", [None, b"text", b"PK\x03\x04 broken", b""])
    def test_file_that_cannot_be_read(self, tmp_path, content):
        """Missing, damaged, or no archive at all."""
        path = tmp_path / "data.npz"
        if content is not None:
            path.write_bytes(content)

        with pytest.raises(UsageError, match=r"data\.npz"):
            feeds_of(mlp("batch", 12), data=str(path))


@pytest.mark.parametrize(
    ("formula", "value"),
    [("a + b", 7), ("2*a - 1", 5), ("(a+b)//2", 3), ("c", None), ("__import__('os')", None), ("a +", None)],
)
def test_formula_of_a_dimension(formula, value):
    """Exporters write sums and products of symbols; nothing else is evaluated."""
    assert evaluate(formula, {"a": 3, "b": 4}) == value


def test_ids_that_are_compared_with_padding_are_still_ids():
    """RoBERTa counts positions where the id is not that of padding; an input of padding alone tells no two texts apart."""
    nodes = [
        op("Equal", ["ids", "pad"], ["is_padding"]),
        op("Cast", ["is_padding"], ["f"], to=F),
        op("Unsqueeze", ["f", "last"], ["fu"]),
        op("Gather", ["table", "ids"], ["e"]),
        op("Mul", ["e", "fu"], ["masked"]),
        op("Sub", ["e", "masked"], ["y"]),
    ]
    tensors = {"pad": np.int64(1), "last": np.array([-1]), "table": weight(99, 8)}

    (ids,) = next(iter(feeds_of(build(nodes, [("ids", I64, ["b", "t"])], tensors)).runs())).values()

    assert len(np.unique(ids)) > 4


class TestTrial:
    """A trial run is spared where the graph alone tells that the network takes its inputs."""

    @pytest.fixture
    def trials(self, monkeypatch):
        """What is run while inputs are made."""
        runs = []
        monkeypatch.setattr(make, "run_session", lambda *args: runs.append(args) or run_session(*args))
        return runs

    def test_graph_whose_shapes_all_follow_needs_none(self, trials):
        """Only the batch is open, and it reaches the output: nothing is left to be found out."""
        feeds_of(mlp("batch", 12))

        assert not trials

    @pytest.mark.parametrize(
        "model",
        [
            pytest.param(
                build([op("Gather", ["w", "x"], ["y"])], [("x", I64, ["batch", 4])], {"w": weight(30, 5)}), id="ids"
            ),
            pytest.param(mlp("batch", "features"), id="open size"),
            pytest.param(
                build(
                    [op("Reshape", ["x", "s"], ["r"]), op("MatMul", ["r", "w"], ["y"])],
                    [("x", F, ["batch", 12])],
                    {"s": np.array([1, 12]), "w": weight(12, 5)},
                ),
                id="batch that the graph fixes",
            ),
            pytest.param(
                build(
                    [op("Cast", ["x"], ["i"], to=I64), op("Gather", ["w", "i"], ["y"])],
                    [("x", F, ["batch", 4])],
                    {"w": weight(30, 5)},
                ),
                id="ids made of numbers",
            ),
        ],
    )
    def test_what_only_the_runtime_knows_is_tried(self, trials, model):
        """Ids may leave their table, and a size that the file leaves open may be refused."""
        feeds_of(model)

        assert trials
