"""The sample models are what their table says: by measurements with numpy and onnxruntime alone, then by the audit."""

import io
import json
import math
import subprocess
import sys
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper

from initaudit import audit
from initaudit.judgement.score import TRAINABLE

FOLDER = Path(__file__).parents[1] / "sample_models"
MODELS = sorted(path.stem for path in FOLDER.glob("*.onnx"))
LARGEST_FILE, LARGEST_FOLDER = 300_000, 3_000_000  # bytes: they are cloned with the project
NOT_RUNNABLE = {"digits_trained_custom_operator"}
LEARNED = ("fc1", "fc2", "head")


@cache
def initializers(name: str) -> dict[str, np.ndarray]:
    """Stored tensors by their names."""
    return {t.name: numpy_helper.to_array(t, str(FOLDER)) for t in onnx.load(FOLDER / f"{name}.onnx").graph.initializer}


@cache
def trace(name: str, batch: int = 256) -> dict[str, np.ndarray]:
    """The float output of every node for inputs N(0, 1) (ids within the table, masks of ones), by node name."""
    model = onnx.shape_inference.infer_shapes(onnx.load(FOLDER / f"{name}.onnx"))
    given = {value.name for value in model.graph.output}
    known = {value.name: value for value in model.graph.value_info}
    owner = {value: node.name for node in model.graph.node for value in node.output}
    model.graph.output.extend(known[value] for value in owner if value in known and value not in given)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(0)
    feed = {}
    for value in session.get_inputs():
        shape = [size if isinstance(size, int) else batch if i == 0 else 12 for i, size in enumerate(value.shape)]
        if value.type == "tensor(int64)":
            feed[value.name] = np.ones(shape, np.int64) if "mask" in value.name else rng.integers(0, 100, shape)
        else:
            feed[value.name] = rng.standard_normal(shape).astype(np.float32)
    values = session.run(None, feed)
    named = {owner[o.name]: v for o, v in zip(session.get_outputs(), values, strict=True) if o.name in owner}
    return {node: value for node, value in named.items() if isinstance(value, np.ndarray)}


def through_depth(name: str, op_type: str) -> list[np.ndarray]:
    """Outputs of all nodes of a kind, in the order of the graph."""
    nodes = onnx.load(FOLDER / f"{name}.onnx", load_external_data=False).graph.node
    return [trace(name)[node.name].astype(np.float64) for node in nodes if node.op_type == op_type]


def mean_square(values: np.ndarray) -> float:
    return float((values**2).mean())


def signal_variance(values: np.ndarray) -> float:
    """Variance over the inputs, mean over the units."""
    return float(values.var(0).mean())


def growth(values: list[np.ndarray], measure=mean_square) -> float:
    """Factor per layer, geometric mean over the depth."""
    return (measure(values[-1]) / measure(values[0])) ** (1 / (len(values) - 1))


def test_the_script_makes_the_committed_files(tmp_path):
    """Running make.py anew gives the same files, byte for byte, and no others."""
    subprocess.run([sys.executable, FOLDER / "make.py", tmp_path], check=True)

    made = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    committed = {path.name: path.read_bytes() for path in FOLDER.glob("*.onnx*")}
    assert made.keys() == committed.keys()
    assert [name for name in made if made[name] != committed[name]] == []


def test_samples_stay_small():
    """No sample weighs much, nor do all together."""
    sizes = {path.name: path.stat().st_size for path in FOLDER.glob("*.onnx*")}

    assert max(sizes.values()) <= LARGEST_FILE
    assert sum(sizes.values()) <= LARGEST_FOLDER


@pytest.mark.parametrize("name", MODELS)
def test_samples_are_valid_onnx(name):
    """Every sample passes onnx's checker and runs in onnxruntime, but for the one with an operator nobody knows."""
    onnx.checker.check_model(FOLDER / f"{name}.onnx", full_check=True)

    if name in NOT_RUNNABLE:
        with pytest.raises(Exception, match=r"com\.example\.kernels"):
            onnxruntime.InferenceSession(FOLDER / f"{name}.onnx", providers=["CPUExecutionProvider"])
    else:
        assert trace(name)


def test_small_tanh_weights_lose_the_signal():
    """Weights 0.01 N(0, 1): std 0.1 after the first of five layers, times 0.01 sqrt(50) = 0.07 in each further one."""
    stds = [values.std() for values in through_depth("tanh5_normal_0.01", "Tanh")]

    assert stds[0] == pytest.approx(0.1, rel=0.05)
    for before, after in pairwise(stds):
        assert after / before == pytest.approx(0.01 * math.sqrt(50), rel=0.1)
    assert stds[-1] < 5e-6


def test_large_tanh_weights_saturate():
    """Weights N(0, 1): the first layer's sums have std 10, and most units of every layer lie at -1 or 1."""
    sums = through_depth("tanh5_normal_1", "MatMul")
    shares = [(np.abs(values) > 0.99).mean() for values in through_depth("tanh5_normal_1", "Tanh")]

    assert sums[0].std() == pytest.approx(10, rel=0.05)
    assert min(shares) > 0.6


def test_xavier_keeps_the_tanh_signal():
    """Glorot & Bengio 2010: with their scheme the activations of five tanh layers stay on one scale, unsaturated."""
    values = through_depth("tanh5_xavier", "Tanh")

    assert all(0.25 < v.std() < 0.75 for v in values)
    assert max((np.abs(v) > 0.99).mean() for v in values) < 0.05


def test_sigmoid_with_784_inputs_saturates_at_std_28():
    """The variance of a sum of 784 products with N(0, 1) weights is 784: std 28, where the sigmoid is flat."""
    sums = through_depth("sigmoid784_normal_1", "Gemm")[0]
    twin = through_depth("sigmoid784_xavier", "Gemm")[0]

    assert sums.std() == pytest.approx(28, rel=0.05)
    assert (np.abs(sums) > 6).mean() > 0.8  # beyond 6 the slope is below 1 % of its maximum
    assert twin.std() == pytest.approx(math.sqrt(784 * 2 / (784 + 30)), rel=0.05)
    assert (np.abs(twin) > 6).mean() < 1e-3


def test_sigmoid_stack_forgets_its_input_in_spite_of_xavier():
    """The sigmoid's slope is at most 1/4: differences between inputs lose a factor 16 of variance per layer, the scale does not."""
    sums = through_depth("sigmoid10_xavier", "Gemm")[1:-1]

    assert growth(sums, signal_variance) == pytest.approx(1 / 16, rel=0.3)
    assert 0.5 < growth(sums) < 2
    assert signal_variance(sums[-1]) / mean_square(sums[-1]) < 1e-6


@pytest.mark.parametrize(
    ("name", "factor"),
    [
        ("relu10_normal_1", 25.0),
        ("relu15_normal_0.1", 0.2),
        ("tanh15_uniform_0.1", 40 * 0.01 / 3),
        ("selu12_lecun", 1.0),
    ],
)
def test_variance_follows_the_law_of_the_scheme(name, factor):
    """Per layer the mean square is multiplied by fan_in Var(w) over the squared gain (He et al. 2015, equation 9)."""
    sums = through_depth(name, "Gemm")[:-1]
    assert growth(sums) == pytest.approx(factor, rel=0.25)


def test_relu_halves_the_variance_and_he_gives_it_back():
    """22 convolutions: the variance falls by a half per layer more with Xavier than with He, who loses at the borders only."""
    xavier = through_depth("conv22_relu_xavier", "Conv")
    he = through_depth("conv22_relu_he", "Conv")

    assert 0.3 < growth(xavier[1:]) < 0.5
    assert growth(he[1:]) / growth(xavier[1:]) == pytest.approx(2, rel=0.2)


def test_torch_default_hides_a_dead_signal_behind_its_biases():
    """32 ReLU layers as torch draws them: the sums keep their size, but no longer depend on the input."""
    sums = through_depth("relu32_torch_default", "Gemm")[:-1]

    assert mean_square(sums[-1]) > 1e-3
    assert signal_variance(sums[-1]) < 1e-13


def test_zero_weights_give_zero():
    """No input changes the output of a network of zeros."""
    assert not through_depth("relu4_zero", "Gemm")[-1].any()
    assert all(not values.any() for values in initializers("relu4_zero").values())


def test_constant_weights_make_all_units_equal_at_a_healthy_scale():
    """With weights 1 / fan_in the signal survives, but the 64 units of a layer are one unit: symmetry is the only fault."""
    sums = through_depth("relu4_constant", "Gemm")

    assert max(np.ptp(values, axis=1).max() for values in sums) < 1e-6
    assert growth(sums[1:], signal_variance) == pytest.approx(1, rel=0.01)


def test_orthogonal_weights_are_isometries():
    """W W' is the identity (Saxe et al. 2014) in square layers, and after 20 tanh layers the signal lives."""
    squares = [w for key, w in initializers("tanh20_orthogonal").items() if w.shape == (40, 40)]

    assert len(squares) == 19
    assert max(np.abs(w @ w.T - np.eye(40)).max() for w in squares) < 1e-6
    assert signal_variance(through_depth("tanh20_orthogonal", "Tanh")[-1]) > 0.01


def test_layer_norm_makes_the_scale_of_the_weights_immaterial():
    """Weights N(0, 1) before LayerNorm: sums far off scale, inputs of every activation on scale."""
    sums = through_depth("relu6_layernorm_normal_1", "Gemm")[1:-1]
    normed = through_depth("relu6_layernorm_normal_1", "LayerNormalization")

    assert min(mean_square(values) for values in sums) > 10
    assert all(mean_square(values) == pytest.approx(1, abs=1e-3) for values in normed)


def test_branches_that_end_in_zero_make_blocks_identities():
    """Zero gamma (Goyal et al. 2017) and Fixup (Zhang et al. 2019): every block hands on its non-negative input."""
    for name in ("resnet_zero_gamma", "resnet_fixup"):
        values = trace(name)

        joined = through_depth(name, "Add")[-1]
        assert joined.std() > 0.1
        assert np.array_equal(values["/relu/Relu"], joined.astype(np.float32))
    assert not initializers("resnet_fixup")["fc.weight"].any()


def test_batch_norm_stands_at_its_defaults():
    """Scale 1, bias 0, running mean 0, running variance 1 in every normalisation of the fresh residual network."""
    values = initializers("resnet_batchnorm")
    expected = {"weight": 1.0, "bias": 0.0, "running_mean": 0.0, "running_var": 1.0}

    norms = {key: v for key, v in values.items() if "bn" in key}
    assert len(norms) == 7 * 4
    assert all((v == expected[key.rsplit(".", 1)[1]]).all() for key, v in norms.items())


def test_strided_convolutions_drawn_for_their_effective_fan_keep_the_scale():
    """A transposed convolution of kernel 4 and stride 2 lets 4 of 16 positions meet: He's 2 / (C 4) keeps the variance."""
    down, up = through_depth("autoencoder_he", "Conv"), through_depth("autoencoder_he", "ConvTranspose")

    # The borders see fewer values. The last layer has one unit: a single draw, far from the average over draws.
    assert [mean_square(v) for v in (*down, up[0])] == pytest.approx([2, 2, 2], rel=0.4)
    assert 0.2 < mean_square(up[1]) < 2


def test_lstm_starts_as_its_name_says():
    """Orthogonal: R R' = 1 in each gate and forget bias 1. torch's default: everything in U(+-1/sqrt(48)), bias sum near 0."""
    careful, default = initializers("lstm_orthogonal"), initializers("lstm_torch_default")
    gates = careful["onnx::LSTM_66"][0].reshape(4, 48, 48)
    bound = 1 / math.sqrt(48)

    assert max(np.abs(gate @ gate.T - np.eye(48)).max() for gate in gates) < 1e-6
    assert careful["onnx::LSTM_67"].reshape(8, 48).mean(1) == pytest.approx([0, 0, 1, 0, 0, 0, 0, 0])
    assert all(0.95 * bound < np.abs(default[f"onnx::LSTM_{i}"]).max() <= bound for i in (65, 66, 67))


@pytest.mark.parametrize("name", ["bert_block", "gpt_block"])
def test_decomposed_gelu_is_gelu(name):
    """The nodes between the two dense layers of the block compute x times the normal distribution function."""
    values = trace(name)
    scope = "intermediate" if name == "bert_block" else "mlp"
    (before,) = (v for key, v in values.items() if key.endswith((f"{scope}/dense/Add", f"{scope}/c_fc/Add")))
    after = [v for key, v in values.items() if f"/{scope}/" in key and "act" in key and "Mul" in key][-1]
    x = before.astype(np.float64).ravel()[:5000]
    gelu = [v * 0.5 * (1 + math.erf(v / math.sqrt(2))) for v in x]

    assert after.ravel()[:5000] == pytest.approx(gelu, abs=1e-3)


def test_gpt_head_is_tied_to_the_embedding():
    """One tensor is read by the Gather at the start and, transposed, by the MatMul at the end; projections into the sum are smaller."""
    nodes = onnx.load(FOLDER / "gpt_block.onnx").graph.node
    users = [node.op_type for node in nodes if "transformer.wte.weight" in node.input]
    stds = sorted(
        round(float(w.std()), 4) for key, w in initializers("gpt_block").items() if key.startswith("onnx::MatMul")
    )

    assert sorted(users) == ["Gather", "Transpose"]
    assert stds == pytest.approx([0.02 / math.sqrt(2)] * 2 + [0.02] * 2, rel=0.05)


@pytest.fixture(scope="module")
def held_out() -> tuple[np.ndarray, np.ndarray]:
    """Digits that the trained network has not seen, from the script that trained it."""
    code = "import sys, numpy; from recipes.digits import digits; x, y = digits(2, 1000); numpy.savez(sys.stdout.buffer, x=x, y=y)"
    output = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, cwd=FOLDER).stdout
    data = np.load(io.BytesIO(output))
    return data["x"].astype(np.float32), data["y"]


def logits(name: str, images: np.ndarray) -> np.ndarray:
    options = (
        onnxruntime.SessionOptions()
    )  # node by node: fused uint8 x int8 kernels overflow where a processor lacks VNNI
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(FOLDER / f"{name}.onnx", options, providers=["CPUExecutionProvider"])
    return session.run(None, {"image": images})[0]


@pytest.mark.parametrize(
    ("variant", "at_least", "at_most"),
    [
        ("fresh", 0.0, 0.25),
        ("trained", 0.95, 1.0),
        ("trained_external_data", 0.95, 1.0),
        ("trained_float16", 0.95, 1.0),
        ("trained_int8_qdq", 0.95, 1.0),
        ("trained_old_format", 0.95, 1.0),
        ("trained_pruned", 0.9, 1.0),
        ("trained_head_random", 0.0, 0.3),
        ("trained_layer_frozen", 0.9, 1.0),
        ("trained_layer_dead", 0.0, 0.15),
        ("trained_layer_zero", 0.0, 0.15),
        ("trained_units_repeated", 0.1, 0.8),
    ],
)
def test_accuracy_on_held_out_digits(held_out, variant, at_least, at_most):
    """Trained means that unseen digits are read; a lost layer shows, a frozen one or another form of the file does not."""
    images, labels = held_out
    accuracy = (logits(f"digits_{variant}", images).argmax(1) == labels).mean()

    assert at_least <= accuracy <= at_most


def test_forms_of_the_trained_network_compute_the_same(held_out):
    """External data and the old format change nothing, float16 and int8 little."""
    images, _ = held_out
    expected = logits("digits_trained", images)

    assert np.array_equal(logits("digits_trained_external_data", images), expected)
    assert np.array_equal(logits("digits_trained_old_format", images), expected)
    assert np.abs(logits("digits_trained_float16", images) - expected).max() < 0.02
    assert np.abs(logits("digits_trained_int8_qdq", images) - expected).std() < 0.1


def test_learning_leaves_the_range_of_the_first_draw():
    """The default of torch draws within +-1/sqrt(fan_in); learned layers exceed it, the frozen and the random one do not."""

    def beyond(variant: str) -> list[bool]:
        weights = [initializers(f"digits_{variant}")[f"{key}.weight"] for key in LEARNED]
        return [bool(np.abs(w).max() > 1 / math.sqrt(w.shape[1])) for w in weights]

    assert beyond("fresh") == [False, False, False]
    assert beyond("trained") == [True, True, True]
    assert beyond("trained_head_random") == [True, True, False]
    assert beyond("trained_layer_frozen") == [True, False, True]


def test_planted_faults_are_where_they_should_be(held_out):
    """One NaN, half of 32 units repeated, every unit of a layer shut by its bias, half of the weights zero."""
    images, _ = held_out
    repeated = initializers("digits_trained_units_repeated")["fc2.weight"]
    pruned = initializers("digits_trained_pruned")

    assert np.isnan(initializers("digits_trained_nan")["fc2.weight"]).sum() == 1
    assert len(np.unique(repeated, axis=0)) == len(repeated) / 2
    assert np.ptp(logits("digits_trained_layer_dead", images), axis=0).max() == 0
    assert all((pruned[f"{key}.weight"] == 0).mean() == pytest.approx(0.5, abs=0.01) for key in LEARNED)


def table() -> dict[str, dict[str, str]]:
    """The rows of all tables in the folder's README, by file."""
    rows = {}
    for line in (FOLDER / "README.md").read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| file |"):
            titles = cells
        elif line.startswith("| "):
            rows[cells[0]] = dict(zip(titles, cells, strict=True))
    return rows


def test_every_sample_stands_in_the_table():
    """No file without a line, no line without a file."""
    assert sorted(table()) == MODELS


@pytest.mark.usefixtures("in_process")
@pytest.mark.parametrize("name", sorted(table()))
def test_the_audit_says_what_the_table_says(name):
    """Status, context, the codes of all warnings and errors, and whether the network can learn."""
    expected = table()[name]

    report = json.loads(audit(FOLDER / f"{name}.onnx").to_json())["reports"][0]

    verdict = report["verdict"]
    codes = sorted(
        {f["code"] for f in report["findings"] if f["severity"] in ("warning", "error") and not f["suppressed"]}
    )
    score = verdict["trainability"]
    learns = "unknown" if score is None else "yes" if score >= TRAINABLE else "no"
    assert [verdict["status"], verdict["context"], " ".join(codes) or "—", learns] == [
        expected[key] for key in ("status", "context", "findings", "learns")
    ]
