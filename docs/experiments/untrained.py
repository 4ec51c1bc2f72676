"""Experiments that need no training: what the weights do to the signal."""

from __future__ import annotations

import math

from docs.experiments.experiment import Claim, Documents, Experiment, Picture, Seen, at, growth, seen, signals

THROUGH_DEPTH = (".charts figure:nth-child(-n+2)", "section:has(.multiples)")
"""Signal, gradient and histograms."""
SATURATED = (".charts figure[data-chart=variance]", ".charts figure[data-chart=saturated]", "section:has(.multiples)")


def _stds(documents: Documents, name: str, scheme: str, *, hidden: bool = True) -> list[float]:
    """Of the pre-activations, of the hidden layers."""
    of = signals(documents, name, scheme)
    return [math.sqrt(signal["variance"]) for signal in (of[:-1] if hidden else of)]


def _gradient(documents: Documents, name: str, scheme: str) -> float:
    """At the first layer, over that at the output."""
    of = signals(documents, name, scheme)
    return float(of[0]["gradient_rms"] / of[-1]["gradient_rms"])


def _saturated(documents: Documents, name: str, scheme: str) -> list[float]:
    return [signal["saturated"] for signal in signals(documents, name, scheme)[:-1]]


def _growth(documents: Documents, name: str, scheme: str) -> float:
    """Of the mean square of the pre-activations a layer, from the second hidden layer to the last."""
    return growth([signal["mean_square"] for signal in signals(documents, name, scheme)[1:-1]])


def _small_tanh(documents: Documents) -> tuple[Seen, str]:
    stds = _stds(documents, "tanh", "normal:0.01")
    return seen(stds[-1] < 1e-3 * stds[0]), f"std {stds[0]:.2g} in the first layer, {stds[-1]:.2g} in the fifth"


def _small_tanh_gradient(documents: Documents) -> tuple[Seen, str]:
    gradient = _gradient(documents, "tanh", "normal:0.01")
    return seen(gradient < 1e-3), f"{gradient:.2g} of the output's arrives at the first layer"


def _large_tanh(documents: Documents) -> tuple[Seen, str]:
    shares = _saturated(documents, "tanh", "normal:1")
    return seen(
        min(shares) > 0.9, min(shares) > 0.5
    ), f"{min(shares):.0%} to {max(shares):.0%} of the values of each layer"


def _large_tanh_gradient(documents: Documents) -> tuple[Seen, str]:
    gradient = _gradient(documents, "tanh", "normal:1")
    text = f"{gradient:.2g} times the output's arrives at the first layer: what the units that do not saturate pass on is multiplied by large weights"
    return seen(gradient < 0.1), text


def _xavier_tanh(documents: Documents) -> tuple[Seen, str]:
    stds = _stds(documents, "tanh", "xavier_normal")
    saturated = max(_saturated(documents, "tanh", "xavier_normal"))
    ratio = max(stds) / min(stds)
    text = f"std {stds[0]:.2g} in the first layer, {stds[-1]:.2g} in the fifth (x {growth(stds):.2g} a layer: tanh shrinks what is not small), {saturated:.0%} saturated"
    return seen(ratio < 1.5, ratio < 10), text


def _sum_of_784(documents: Documents) -> tuple[Seen, str]:
    (std,) = _stds(documents, "sigmoid", "normal:1")
    return seen(abs(std / 28 - 1) < 0.05), f"std {std:.3g}"


def _sigmoid_saturates(documents: Documents) -> tuple[Seen, str]:
    (share,) = _saturated(documents, "sigmoid", "normal:1")
    return seen(share > 0.9, share > 0.5), f"{share:.0%} of the values"


def _sigmoid_xavier(documents: Documents) -> tuple[Seen, str]:
    (std,), (share,) = (of(documents, "sigmoid", "xavier_normal") for of in (_stds, _saturated))
    return seen(share < 0.05), f"std {std:.2g}, {share:.0%} saturated"


def _sigmoid_gradient(documents: Documents) -> tuple[Seen, str]:
    naive, xavier = (_gradient(documents, "sigmoid", scheme) for scheme in ("normal:1", "xavier_normal"))
    slow = at(documents, "sigmoid", "normal:1")["verdict"]["slowness"]
    text = (
        f"{naive:.2g} of the output's, with Xavier {xavier:.2g}: the larger weights behind make up for the flat curve. But steps are small beside "
        f"the weights: {slow:.2g} times as many are expected"
    )
    return seen(naive < xavier / 3), text


def _images(documents: Documents) -> tuple[Seen, str]:
    (std,) = _stds(documents, "images", "normal:1")
    (share,) = _saturated(documents, "images", "normal:1")
    return seen(
        abs(std / 74 - 1) < 0.1
    ), f"std {std:.2g}; 784 x 0.094 = 74 is the variance, measured {std**2:.2g}. {share:.0%} saturate"


def _zeros(documents: Documents) -> tuple[Seen, str]:
    of, start = signals(documents, "symmetry", "zeros"), at(documents, "symmetry", "zeros")
    text = f"variance and gradient are {of[0]['variance']:g} and {of[0]['gradient_rms']:g} in the first layer; INI003 in {start['findings'].get('INI003', 0)} layers of 3"
    return seen(of[0]["gradient_rms"] == 0 and start["findings"].get("INI003") == 3), text


def _constant(documents: Documents) -> tuple[Seen, str]:
    found = at(documents, "symmetry", "constant:0.1")["findings"].get("INI002", 0)
    return seen(found == 3), f"INI002 (all weights alike) in {found} layers of 3"


def _constant_scale(documents: Documents) -> tuple[Seen, str]:
    of = signals(documents, "symmetry", "constant:0.1")
    gradient = of[0]["gradient_rms"]
    text = f"variance {of[0]['variance']:.2g} in the first layer, {of[-1]['variance']:.2g} at the output, {gradient:.2g} of the gradient arrives"
    return seen(0.1 < gradient < 10 and of[-1]["variance"] > 0.01), text


def _relu_naive(documents: Documents) -> tuple[Seen, str]:
    factor = _growth(documents, "relu", "normal:0.01")
    return seen(
        factor < 0.1
    ), f"the mean square is multiplied by {factor:.2g} a layer, as 100 x 0.01² / 2 = 0.005 foretells"


def _relu_xavier(documents: Documents) -> tuple[Seen, str]:
    factor = _growth(documents, "relu", "xavier_normal")
    return seen(abs(factor - 0.5) < 0.1), f"the mean square is multiplied by {factor:.2g} a layer"


def _relu_he(documents: Documents) -> tuple[Seen, str]:
    factor = _growth(documents, "relu", "he_normal")
    return seen(abs(factor - 1) < 0.15), f"by {factor:.2g} a layer"


def _leaky_slope(documents: Documents) -> tuple[Seen, str]:
    plain, own = (_growth(documents, "leaky", scheme) for scheme in ("he_normal", "he_normal:fan_in,0.2"))
    return seen(
        own < plain and abs(own - 1) < 0.15, own < plain
    ), f"by {own:.2g} a layer; without the slope by {plain:.2g}"


def _leaky_dead(documents: Documents) -> tuple[Seen, str]:
    relu = max(s["dead"] for s in signals(documents, "relu", "he_normal")[:-1])
    leaky = max(s["dead"] or 0.0 for s in signals(documents, "leaky", "he_normal")[:-1])
    return seen(leaky == 0 < relu), f"{leaky:.0%} in the worst layer; with ReLU {relu:.0%}"


def _deep_sigmoid(documents: Documents) -> tuple[Seen, str]:
    alike = signals(documents, "sigmoids", "xavier_normal")[-1]["similarity"]
    learns = at(documents, "sigmoids", "xavier_normal")["verdict"]["trainability"]
    factor = growth([s["variance"] for s in signals(documents, "sigmoids", "xavier_normal")[1:-1]])
    text = f"what inputs differ by loses a factor {1 / factor:.2g} of variance a layer, the outputs are {alike:.2%} alike; trainability {learns:.2g}"
    return seen(alike < 0.5), text


def _deep_sigmoid_auto(documents: Documents) -> tuple[Seen, str]:
    start = at(documents, "sigmoids", "auto")
    learns, first = start["verdict"]["trainability"], start["layers"][1]
    return seen(
        learns > 0.5
    ), f"what `fix` writes: trainability {learns:.2g}, std {first['std']:.2g} in the second layer"


EXPERIMENTS = (
    Experiment(
        name="tanh",
        title="Five tanh layers",
        what="100 inputs, five layers of 50 tanh units: too small, too large, and Xavier's weights (Glorot & Bengio 2010).",
        commands=(
            "initaudit make --mlp 100,50x5,10 --activation tanh -o tanh.onnx",
            "initaudit compare tanh.onnx --schemes normal:0.01,normal:1,xavier_normal --batch 64 -o tanh.html",
        ),
        claims=(
            Claim(told="With 0.01 N(0, 1) the activations collapse to zero layer by layer.", judge=_small_tanh),
            Claim(told="The gradient vanishes with them.", judge=_small_tanh_gradient),
            Claim(told="With N(0, 1) nearly all units saturate at -1 and 1.", judge=_large_tanh),
            Claim(told="So that the gradient vanishes here too.", judge=_large_tanh_gradient),
            Claim(told="With Xavier's weights the activations are spread alike in all layers.", judge=_xavier_tanh),
        ),
        picture=Picture(
            page="tanh",
            shows="Signal and gradient through five tanh layers under three schemes, and the histograms of what each layer sees",
            selectors=THROUGH_DEPTH,
        ),
    ),
    Experiment(
        name="sigmoid",
        title="A sum of 784 products",
        what="As many inputs as a picture of 28 x 28 has, 30 sigmoid units, weights N(0, 1) and Xavier's.",
        commands=(
            "initaudit make --mlp 784,30,10 --activation sigmoid -o sigmoid.onnx",
            "initaudit compare sigmoid.onnx --schemes normal:1,xavier_normal --batch 64 -o sigmoid.html",
        ),
        claims=(
            Claim(told="With N(0, 1) weights the pre-activations have std 28.", judge=_sum_of_784),
            Claim(told="Nearly every sigmoid saturates.", judge=_sigmoid_saturates),
            Claim(told="With Xavier's weights they work in the middle of their curve.", judge=_sigmoid_xavier),
            Claim(told="Saturation kills the gradient of the first layer.", judge=_sigmoid_gradient),
        ),
        picture=Picture(
            page="sigmoid",
            shows="Signal, saturation and histograms of the hidden layer and the output",
            selectors=SATURATED,
        ),
    ),
    Experiment(
        name="images",
        title="Inputs as spread as real pictures",
        what="The same network, fed with values of variance 0.094, which is that of the pixels of handwritten digits scaled to 0..1.",
        commands=(
            "python -c \"import numpy as np; np.save('pixels.npy', np.random.default_rng(1).normal(0, 0.094 ** 0.5, (256, 784)).astype('float32'))\"",
            "initaudit compare sigmoid.onnx --schemes normal:1 --input-data pixels.npy --batch 64 -o images.html",
        ),
        claims=(Claim(told="With inputs of variance 0.094 the pre-activations have std 74.", judge=_images),),
    ),
    Experiment(
        name="symmetry",
        title="Zero and constant weights",
        what="Two layers of 50 tanh units whose weights are all 0, or all 0.1.",
        commands=(
            "initaudit make --mlp 64,50x2,10 --activation tanh -o symmetry.onnx",
            "initaudit compare symmetry.onnx --schemes zeros,constant:0.1,xavier_normal --batch 64 -o symmetry.html",
        ),
        claims=(
            Claim(told="With zero weights no signal passes, and no gradient reaches the hidden layers.", judge=_zeros),
            Claim(told="With constant weights all units of a layer compute the same.", judge=_constant),
            Claim(
                told="It is the symmetry alone that keeps constants from learning: signal and gradient live.",
                judge=_constant_scale,
            ),
        ),
        picture=Picture(
            page="symmetry",
            shows="Signal and gradient of zero, constant and Xavier's weights, and the histograms",
            selectors=THROUGH_DEPTH,
        ),
    ),
    Experiment(
        name="relu",
        title="Six ReLU layers",
        what="100 inputs, six layers of 100 ReLU units (He et al. 2015).",
        commands=(
            "initaudit make --mlp 100,100x6,10 --activation relu -o relu.onnx",
            "initaudit compare relu.onnx --schemes normal:0.01,xavier_normal,he_normal --batch 64 -o relu.html",
        ),
        claims=(
            Claim(told="With 0.01 N(0, 1) the signal dies.", judge=_relu_naive),
            Claim(told="With Xavier's weights ReLU halves the signal in every layer.", judge=_relu_xavier),
            Claim(told="With He's weights it keeps its size.", judge=_relu_he),
        ),
        picture=Picture(
            page="relu",
            shows="Signal and gradient through six ReLU layers, and the histograms",
            selectors=THROUGH_DEPTH,
        ),
    ),
    Experiment(
        name="leaky",
        title="Leaky ReLU",
        what="The same with a slope of 0.2 below zero, and He's scheme without and with that slope (He et al. 2015, equation 15).",
        commands=(
            "initaudit make --mlp 100,100x6,10 --activation leaky_relu:0.2 -o leaky.onnx",
            "initaudit compare leaky.onnx --schemes he_normal,he_normal:fan_in,0.2 --batch 64 -o leaky.html",
        ),
        claims=(
            Claim(told="With the slope in the scheme the signal keeps its size.", judge=_leaky_slope),
            Claim(told="No unit is dead at the start, as some are with ReLU.", judge=_leaky_dead),
        ),
    ),
    Experiment(
        name="sigmoids",
        title="Five sigmoid layers",
        what="The network of the first experiment with sigmoids: Xavier's derivation asks for a slope of 1 at zero, and the sigmoid's is 1/4.",
        commands=(
            "initaudit make --mlp 100,50x5,10 --activation sigmoid -o sigmoids.onnx",
            "initaudit compare sigmoids.onnx --schemes xavier_normal,auto --batch 64 -o sigmoids.html",
        ),
        claims=(
            Claim(told="Xavier's weights suit sigmoids too.", judge=_deep_sigmoid),
            Claim(told="There are weights that deep sigmoid networks learn with.", judge=_deep_sigmoid_auto),
        ),
        picture=Picture(
            page="sigmoids",
            shows="Signal and gradient through five sigmoid layers under two schemes, and the histograms",
            selectors=THROUGH_DEPTH,
        ),
    ),
)
