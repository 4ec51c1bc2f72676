"""What is asked for is drawn: a scheme for all layers or some, its gain, the biases; what is excluded stays."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import initaudit
from initaudit.cli import run
from initaudit.errors import FixRefused, UsageError
from tests.networks import mlp, normal, save

STATIC = initaudit.Config(probe="none", context="fresh")


@pytest.fixture(scope="module")
def weak(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three layers of N(0, 0.001) with biases of 0.5: all are flagged."""
    return save(mlp([64, 128, 128, 32], draw=normal(0.001), bias=0.5), tmp_path_factory.mktemp("weak") / "m.onnx")


def fixed(path: Path, folder: Path, **options: object) -> dict[str, np.ndarray]:
    initaudit.fix(path, folder / "out.onnx", config=STATIC, every=True, **options)
    return {t.name: numpy_helper.to_array(t) for t in onnx.load(folder / "out.onnx").graph.initializer}


def test_each_layer_gets_the_scheme_that_names_it(weak: Path, tmp_path: Path):
    """The last of the globs that fit; the scheme without one is for the rest."""
    schemes = ["fc0*=ones", "fc0*=constant:0.25", "/fc2/Gemm=zeros", "torch_default"]

    stored = fixed(weak, tmp_path, scheme=schemes)

    assert (stored["fc0.weight"] == 0.25).all()
    assert np.abs(stored["fc1.weight"]).max() == pytest.approx(1 / np.sqrt(128), rel=0.01)
    assert not stored["fc2.weight"].any()


@pytest.mark.parametrize(
    "given", [{}, {"scheme": "lecun_normal"}, {"mode": "rescale"}], ids=["target", "scheme", "rescale"]
)
def test_the_gain_multiplies_what_is_drawn(given: dict[str, str], weak: Path, tmp_path: Path):
    """Of a scheme, of each layer's target and of rescaled weights alike."""
    plain, doubled = (fixed(weak, save_in(tmp_path), gain=gain, **given) for gain in (1.0, 2.0))

    assert doubled["fc1.weight"] == pytest.approx(2.0 * plain["fc1.weight"])


def save_in(folder: Path) -> Path:
    """An empty folder of its own."""
    own = folder / str(sum(1 for _ in folder.iterdir()))
    own.mkdir()
    return own


@pytest.mark.parametrize(("bias", "expected"), [("auto", 0.0), ("zero", 0.0), ("keep", 0.5)])
def test_biases_are_reset_or_kept_as_asked(bias: str, expected: float, weak: Path, tmp_path: Path):
    """A rescaled layer keeps its bias unless it is asked to lose it."""
    drawn = fixed(weak, save_in(tmp_path), bias=bias)
    rescaled = fixed(weak, save_in(tmp_path), bias=bias, mode="rescale")

    assert (drawn["fc1.bias"] == expected).all()
    assert (rescaled["fc1.bias"] == (0.0 if bias == "zero" else 0.5)).all()


def test_excluded_layers_keep_every_bit(weak: Path, tmp_path: Path):
    """By glob, though they are flagged."""
    before = {t.name: numpy_helper.to_array(t) for t in onnx.load(weak).graph.initializer}

    stored = fixed(weak, tmp_path, exclude=["fc[12]"])

    assert [name for name, array in stored.items() if not np.array_equal(array, before[name])] == [
        "fc0.weight",
        "fc0.bias",
    ]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"scheme": "fc9=zeros"}, "scheme: .* has no layer 'fc9'; did you mean fc"),
        ({"exclude": "fc9"}, "exclude: .* has no layer 'fc9'; did you mean fc"),
        ({"scheme": "zeros", "mode": "rescale"}, "mode rescale keeps the directions of the weights, and zeros"),
        ({"gain": 0}, "option 'gain': must be above 0"),
        ({"bias": "none"}, "option 'bias': must be one of auto, zero, keep"),
    ],
)
def test_what_cannot_be_meant_is_told(options: dict[str, object], said: str, weak: Path):
    """A glob that fits no layer would be in force nowhere without a word."""
    with pytest.raises(UsageError, match=said):
        initaudit.fix(weak, config=STATIC, **options)


def test_a_kept_bias_is_no_change(tmp_path: Path):
    """Where the bias alone is wrong and biases are kept, there is nothing to do, and that is said."""
    wild = save(mlp([64, 64, 8], bias=lambda shape, rng: rng.normal(0, 30, shape)), tmp_path / "m.onnx")

    with pytest.raises(FixRefused, match="only its bias is off, and that is left as it is"):
        initaudit.fix(wild, tmp_path / "out.onnx", config=STATIC, bias="keep", select="INI301")


def test_the_command_line_adds_to_the_file(weak: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd):
    """Schemes add up over the sources, the later ones first; `initaudit config` shows each with its own."""
    (tmp_path / "initaudit.toml").write_text("scheme = ['he_normal', 'fc0*=ones']\ngain = 2\nfix-exclude = ['fc1*']\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("INITAUDIT_BIAS", "keep")

    code = run(["fix", str(weak), "-o", "out.onnx", "--all", "--scheme", "zeros", "--probe", "none", "--fail-on", "never"])  # fmt: skip
    stored = {t.name: numpy_helper.to_array(t) for t in onnx.load("out.onnx").graph.initializer}
    run(["config"])
    shown = capfd.readouterr().out

    assert code == 0
    assert (stored["fc0.weight"] == 2).all()
    assert not stored["fc2.weight"].any()
    assert stored["fc1.weight"].any()
    assert (stored["fc0.bias"] == 0.5).all()
    assert [line.split()[-2:] for line in shown.splitlines() if "initaudit.toml:1" in line] == [
        ["he_normal", "initaudit.toml:1"],
        ["fc0*=ones", "initaudit.toml:1"],
    ]


def test_a_scheme_that_no_changed_layer_needed_is_told(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    """A scheme says how layers are drawn, not which."""
    path = save(mlp([64, 64, 32], change={"fc0.weight": np.zeros_like}), tmp_path / "m.onnx")

    code = run(
        ["fix", str(path), "--dry-run", "--scheme", "fc1=zeros", "--scheme", "fc0=orthogonal", "--probe", "none"]
    )
    told = capfd.readouterr()

    assert code == 0
    assert "orthogonal" in told.out
    assert "note: no layer like 'fc1' is changed" in told.err
    assert "fc0" not in told.err
