"""Experiments that train networks on scikit-learn's digits: who learns, and in how many steps."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

from docs.experiments.experiment import Claim, Documents, Experiment, Picture, Seen, at, seen

CURVES = (".charts figure",)
"""Loss and accuracy."""
DEPTHS = (1, 2, 3, 4)
KINDS = {"mlp": "dense", "cnn": "convolutions", "lstm": "LSTM"}


def _steps(documents: Documents, name: str, scheme: str) -> float:
    """To the target of the race, infinite where it was not reached."""
    steps = at(documents, name, scheme)["steps"]
    return math.inf if steps is None else float(steps)


def _best(documents: Documents, name: str, scheme: str) -> dict[str, Any]:
    """Under the learning rate that suits the start best."""
    outcomes = at(documents, name, scheme)["outcomes"]
    return dict(min(outcomes, key=lambda o: (math.inf if o["steps"] is None else o["steps"], -(o["held_out"] or 0.0))))


def _held_out(documents: Documents, name: str, scheme: str) -> float:
    """Accuracy on digits that were held out."""
    return float(_best(documents, name, scheme)["held_out"])


def _told(documents: Documents, name: str, scheme: str) -> str:
    steps = _steps(documents, name, scheme)
    if math.isfinite(steps):
        return f"{steps:.0f} steps"
    return f"not within {documents[name]['race']['steps']} steps (accuracy {_held_out(documents, name, scheme):.2f})"


def _naive_sigmoid(documents: Documents) -> tuple[Seen, str]:
    naive, xavier = (_steps(documents, "nielsen", scheme) for scheme in ("normal:1", "xavier_normal"))
    text = f"{_told(documents, 'nielsen', 'normal:1')} to accuracy {documents['nielsen']['race']['target']:.2f}, with Xavier {_told(documents, 'nielsen', 'xavier_normal')}"
    return seen(naive > 1.5 * xavier), text


def _naive_sigmoid_end(documents: Documents) -> tuple[Seen, str]:
    naive, xavier = (_held_out(documents, "nielsen", scheme) for scheme in ("normal:1", "xavier_normal"))
    steps = documents["nielsen"]["race"]["steps"]
    return seen(naive < xavier - 0.02), f"{naive:.2f} after {steps} steps on digits held out, with Xavier {xavier:.2f}"


def _small_sigmoid(documents: Documents) -> tuple[Seen, str]:
    small = _steps(documents, "nielsen", "normal:0.01")
    text = f"{_told(documents, 'nielsen', 'normal:0.01')}: one hidden layer gets over it"
    return seen(not math.isfinite(small)), text


def _small_relu(documents: Documents) -> tuple[Seen, str]:
    end = _held_out(documents, "rectified", "normal:0.01")
    return seen(end < 0.2), f"accuracy {end:.2f}, chance is 0.10"


def _xavier_relu(documents: Documents) -> tuple[Seen, str]:
    xavier, he = (_steps(documents, "rectified", scheme) for scheme in ("xavier_normal", "he_normal"))
    text = f"five layers: Xavier {_told(documents, 'rectified', 'xavier_normal')}, He {_told(documents, 'rectified', 'he_normal')}"
    return seen(he < xavier / 1.5, he < xavier), text


def _xavier_deep_relu(documents: Documents) -> tuple[Seen, str]:
    xavier, he = (_held_out(documents, "deep", scheme) for scheme in ("xavier_normal", "he_normal"))
    steps = documents["deep"]["race"]["steps"]
    return seen(
        xavier < 0.3 < he
    ), f"twenty layers, after {steps} steps: accuracy {xavier:.2f}, with He's weights {he:.2f}"


def _zeros(documents: Documents) -> tuple[Seen, str]:
    end = _held_out(documents, "alike", "zeros")
    return seen(end < 0.2), f"accuracy {end:.2f}, chance is 0.10"


def _constants(documents: Documents) -> tuple[Seen, str]:
    end, xavier = (_held_out(documents, "alike", scheme) for scheme in ("constant:0.1", "xavier_normal"))
    text = f"accuracy {end:.2f}: what one unit a layer can learn; with Xavier {xavier:.2f}"
    return seen(end < 0.2, end < xavier / 2), text


def _dropout(documents: Documents) -> tuple[Seen, str]:
    without, end, xavier = (
        _held_out(documents, name, scheme)
        for name, scheme in (("alike", "constant:0.1"), ("dropped", "constant:0.1"), ("dropped", "xavier_normal"))
    )
    expected = at(documents, "dropped", "constant:0.1")["predicted"]["learns"]
    text = f"constants with half of the units dropped: accuracy {end:.2f}, without dropout {without:.2f}; Xavier with dropout {xavier:.2f}"
    text += "" if expected else ". The audit, which takes dropout for the identity, had expected nothing of them"
    return seen(end > 0.8 * xavier, end > 1.5 * without), text


def _dropout_zeros(documents: Documents) -> tuple[Seen, str]:
    end = _held_out(documents, "dropped", "zeros")
    return seen(end > 0.5), f"accuracy {end:.2f}: no gradient reaches the hidden layers, whichever units are dropped"


def _leaky(documents: Documents) -> tuple[Seen, str]:
    leaky, relu = _steps(documents, "leaking", "he_normal"), _steps(documents, "rectified", "he_normal")
    return seen(
        leaky < relu / 1.5, leaky < relu / 1.1
    ), f"{leaky:.0f} steps, with ReLU {relu:.0f}, both from He's weights"


def _leaky_slope(documents: Documents) -> tuple[Seen, str]:
    own, plain = (_steps(documents, "leaking", scheme) for scheme in ("he_normal:fan_in,0.2", "he_normal"))
    return seen(own < plain / 1.25), f"{own:.0f} steps with the slope of 0.2 in the scheme, {plain:.0f} without"


def _depths(documents: Documents) -> dict[int, tuple[float, float]]:
    """The steps of N(0, 1) and those of Xavier, by number of layers."""
    return {
        n: (_steps(documents, f"depth{n}", "normal:1"), _steps(documents, f"depth{n}", "xavier_normal")) for n in DEPTHS
    }


def _depth(documents: Documents) -> tuple[Seen, str]:
    pairs = _depths(documents)
    text = ", ".join(f"{n}: {_shown(naive)} to {_shown(xavier)}" for n, (naive, xavier) in pairs.items())
    slower = all(naive > 1.5 * xavier for naive, xavier in pairs.values())
    return seen(slower), f"layers: steps of N(0, 1) to steps of Xavier; {text}"


def _depth_more(documents: Documents) -> tuple[Seen, str]:
    times = [naive / xavier for naive, xavier in _depths(documents).values()]
    grows = all(a <= b for a, b in pairwise(times))
    return (
        seen(grows, times[0] < times[-1]),
        f"{', '.join(_shown(t, 1) for t in times)} times as many steps as Xavier with 1 to 4 layers (never: not within {documents['depth4']['race']['steps']} steps)",
    )


def _shown(value: float, digits: int = 0) -> str:
    return f"{value:.{digits}f}" if math.isfinite(value) else "never"


def _kind(name: str) -> Callable[[Documents], tuple[Seen, str]]:
    def judge(documents: Documents) -> tuple[Seen, str]:
        naive = _steps(documents, name, "normal:0.05")
        recommended = {
            scheme: _steps(documents, name, scheme)
            for scheme in ("xavier_normal", "he_normal" if name != "lstm" else "auto")
        }
        best = min(recommended, key=lambda scheme: recommended[scheme])
        saved = 1 - recommended[best] / naive
        others = ", ".join(f"{scheme} {_shown(steps)}" for scheme, steps in recommended.items())
        return seen(saved > 0.25, saved > 0), f"{saved:.0%} of the steps: N(0, 0.05²) {_shown(naive)}, {others}"

    return judge


def _pretrained(documents: Documents) -> tuple[Seen, str]:
    pca, xavier = (_steps(documents, "layerwise", scheme) for scheme in ("pca", "xavier_normal"))
    return seen(pca < xavier / 1.25, pca < xavier), f"four tanh layers: {pca:.0f} steps, Xavier {xavier:.0f}"


def _pretrained_sigmoid(documents: Documents) -> tuple[Seen, str]:
    pca, xavier, auto = (_steps(documents, "layerwise_sigmoid", scheme) for scheme in ("pca", "xavier_normal", "auto"))
    told = {scheme: _told(documents, "layerwise_sigmoid", scheme) for scheme in ("pca", "xavier_normal", "auto")}
    text = f"four sigmoid layers: {told['pca']}, Xavier {told['xavier_normal']}; but the random weights that `fix` draws {told['auto']}"
    learns = pca < xavier / 1.25
    return seen(learns and not math.isfinite(auto), learns), text


DIGITS = "python -c \"import numpy as np; from sklearn.datasets import load_digits as d; x = d().data; np.save('digits.npy', ((x - x.mean()) / x.std()).astype('float32'))\""
"""The pictures as `race --digits` shows them, for what is fitted to them before training."""


def _race(name: str, schemes: str, *, rates: str = "0.01,0.1", steps: int = 300, more: str = "") -> str:
    return f"initaudit race {name}.onnx --digits --schemes {schemes} --optimizer sgd --lr {rates} --steps {steps}{more} -o {name}.html"


def _curves(page: str, shows: str) -> Picture:
    return Picture(page=page, shows=f"Loss and accuracy over training: {shows}", selectors=CURVES)


EXPERIMENTS = (
    Experiment(
        name="nielsen",
        title="One sigmoid layer, trained",
        what="784 inputs, 30 sigmoid units: N(0, 1), small and Xavier's weights.",
        commands=(
            "initaudit make --mlp 784,30,10 --activation sigmoid -o nielsen.onnx",
            _race("nielsen", "normal:1,normal:0.01,xavier_normal", rates="0.1,1"),
        ),
        claims=(
            Claim(
                told="With N(0, 1) a sigmoid network learns more slowly than with Xavier's weights.",
                judge=_naive_sigmoid,
            ),
            Claim(told="And it ends less accurate.", judge=_naive_sigmoid_end),
            Claim(told="With 0.01 N(0, 1) it does not learn.", judge=_small_sigmoid),
        ),
        picture=_curves("nielsen", "N(0, 1), 0.01 N(0, 1) and Xavier"),
        trains=True,
    ),
    Experiment(
        name="rectified",
        title="ReLU layers, trained",
        what="Five ReLU layers of 100, and twenty of 64: small, Xavier's and He's weights.",
        commands=(
            "initaudit make --mlp 784,100x5,10 -o rectified.onnx",
            _race("rectified", "normal:0.01,xavier_normal,he_normal"),
            "initaudit make --mlp 64,64x20,10 -o deep.onnx",
            _race("deep", "xavier_normal,he_normal"),
        ),
        claims=(
            Claim(told="With 0.01 N(0, 1) five ReLU layers do not learn.", judge=_small_relu),
            Claim(told="With He's weights ReLU layers learn faster than with Xavier's.", judge=_xavier_relu),
            Claim(told="With Xavier's weights many ReLU layers do not learn at all.", judge=_xavier_deep_relu),
        ),
        picture=_curves("deep", "Xavier and He in twenty ReLU layers"),
        trains=True,
    ),
    Experiment(
        name="alike",
        title="Zero and constant weights, trained",
        what="Two layers of 50 tanh units, without dropout and with one half dropped.",
        commands=(
            "initaudit make --mlp 64,50x2,10 --activation tanh -o alike.onnx",
            _race("alike", "zeros,constant:0.1,xavier_normal", rates="0.1"),
            "initaudit make --mlp 64,50x2,10 --activation tanh --dropout 0.5 -o dropped.onnx",
            _race("dropped", "zeros,constant:0.1,xavier_normal", rates="0.1"),
        ),
        claims=(
            Claim(told="With zero weights a network does not learn.", judge=_zeros),
            Claim(told="With constant weights it does not learn either.", judge=_constants),
            Claim(told="Dropout breaks the symmetry.", judge=_dropout),
            Claim(told="That of zero weights, too.", judge=_dropout_zeros),
        ),
        picture=_curves("dropped", "zero, constant and Xavier's weights with dropout"),
        trains=True,
    ),
    Experiment(
        name="leaking",
        title="Leaky ReLU, trained",
        what="The five layers of 100 with a slope of 0.2 below zero.",
        commands=(
            "initaudit make --mlp 784,100x5,10 --activation leaky_relu:0.2 -o leaking.onnx",
            _race("leaking", "he_normal,he_normal:fan_in,0.2"),
        ),
        claims=(
            Claim(told="Leaky ReLU learns faster than ReLU.", judge=_leaky),
            Claim(told="The slope belongs into the scheme.", judge=_leaky_slope),
        ),
        trains=True,
    ),
    Experiment(
        name="depth4",
        title="One to four layers",
        what="Layers of 50 tanh units, N(0, 1) weights against Xavier's: how long each takes.",
        commands=tuple(
            command
            for n in DEPTHS
            for command in (
                f"initaudit make --mlp 64,50x{n},10 --activation tanh -o depth{n}.onnx",
                _race(f"depth{n}", "normal:1,xavier_normal"),
            )
        ),
        claims=(
            Claim(told="Xavier's weights save time at every depth.", judge=_depth),
            Claim(told="The deeper the network, the more.", judge=_depth_more),
        ),
        picture=_curves("depth4", "N(0, 1) and Xavier in four tanh layers"),
        trains=True,
    ),
    Experiment(
        name="cnn",
        title="Dense layers, convolutions, an LSTM",
        what="N(0, 0.05²), which Keras calls random normal, against the recommended schemes; the LSTM reads the rows of the picture.",
        commands=(
            "initaudit make --mlp 64,100x3,10 -o mlp.onnx",
            _race("mlp", "normal:0.05,xavier_normal,he_normal"),
            "initaudit make --conv 1x8x8,16x2,32x2,10 -o cnn.onnx",
            _race("cnn", "normal:0.05,xavier_normal,he_normal"),
            "initaudit make --lstm 8x8,48,10 -o lstm.onnx",
            _race("lstm", "normal:0.05,xavier_normal,auto", rates="0.1"),
        ),
        claims=tuple(
            Claim(told=f"A recommended scheme saves steps ({what}).", judge=_kind(name)) for name, what in KINDS.items()
        ),
        picture=_curves("cnn", "N(0, 0.05²), Xavier and He in four convolutions"),
        trains=True,
    ),
    Experiment(
        name="layerwise",
        title="Layer-wise pre-training",
        what="Each layer fitted to what arrives at it before anything is trained, here to the principal components (Krähenbühl et al. 2016), against random weights.",
        commands=(
            DIGITS,
            "initaudit make --mlp 64,50x4,10 --activation tanh -o layerwise.onnx",
            _race("layerwise", "xavier_normal,pca", more=" --input-data digits.npy"),
            "initaudit make --mlp 64,50x4,10 --activation sigmoid -o layerwise_sigmoid.onnx",
            _race("layerwise_sigmoid", "xavier_normal,pca,auto", rates="0.1,1", more=" --input-data digits.npy"),
        ),
        claims=(
            Claim(told="Layer-wise pre-training saves steps.", judge=_pretrained),
            Claim(told="It makes deep sigmoid networks learn, which random weights do not.", judge=_pretrained_sigmoid),
        ),
        picture=_curves("layerwise", "Xavier and principal components in four tanh layers"),
        trains=True,
    ),
)
