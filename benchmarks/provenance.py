"""Calibration of provenance: how many fresh tensors are recognised, and how many others are taken for fresh.

    python benchmarks/provenance.py [--tensors N] [--seed S]      N per law and per kind of non-member, default 10,000

Fresh: every scheme, over layers of 1,000 to 20,000 values of all kinds, in float32, float16 and bfloat16. Recognised means the right
distribution, and untrained for all but constants; the standard deviation within 2 % is counted apart. Others: heavy tails (t with
3, 4 and 5 degrees of freedom, Laplace), correlation (a low-rank part, smoothing along either axis, rescaled units or inputs), a
trained look (shifted, partly grown, decayed), and a part of real steps of gradient descent on a random teacher. Accepted means
untrained with medium or high confidence; what is said with low confidence is printed beside it.
"""

from __future__ import annotations

import argparse
import math
import time
from collections import Counter
from collections.abc import Callable

import ml_dtypes
import numpy as np

from initaudit.initialisation.schemes import SCHEMES
from initaudit.kind import Kind
from initaudit.stats import weigh
from initaudit.stats.provenance import LayerFacts, Provenance, recognise

FRESH = (
    "xavier_uniform", "xavier_normal", "xavier_truncated_normal", "he_uniform", "he_normal", "he_truncated_normal",
    "he_uniform_fan_out", "he_normal_fan_out", "lecun_uniform", "lecun_normal", "lecun_truncated_normal", "torch_default",
    "torch_recurrent", "orthogonal", "identity", "normal_1", "normal_0.02",
)  # fmt: skip
DTYPES = (np.float32, np.float32, np.float16, ml_dtypes.bfloat16)


def layer(rng: np.random.Generator) -> LayerFacts:
    """A layer of 1,000 to 20,000 values: linear, embedding, convolution (grouped, depthwise, transposed) or one gate."""
    while True:
        kind = str(
            rng.choice(
                [
                    "linear",
                    "linear",
                    "conv",
                    "conv",
                    "conv_transpose",
                    "grouped_conv",
                    "depthwise_conv",
                    "embedding",
                    "lstm",
                ]
            )
        )
        a, b = (int(2 ** rng.uniform(3, 9)) for _ in range(2))
        k = int(rng.choice([1, 3, 5]))
        groups, hidden = 1, None
        if kind in ("linear", "embedding", "lstm"):
            shape: tuple[int, ...] = (a, b)
            fan_in, fan_out = b, a
            hidden = a if kind == "lstm" else None
        elif kind == "conv_transpose":
            shape, fan_in, fan_out = (a, b, k, k), a * k * k, b * k * k
        elif kind == "depthwise_conv":
            shape, fan_in, fan_out, groups = (a * 8, 1, k + 2, k + 2), (k + 2) ** 2, (k + 2) ** 2, a * 8
        else:
            groups = int(rng.choice([2, 4])) if kind == "grouped_conv" else 1
            shape, fan_in, fan_out = (a * groups, b, k, k), b * k * k, a * k * k
        if 1000 <= math.prod(shape) <= 20_000:
            units = (1,) if kind in ("conv_transpose", "embedding") else (0,)
            return LayerFacts(
                kind=Kind(kind), shape=shape, fan_in=fan_in, fan_out=fan_out, groups=groups, hidden_size=hidden, unit_axes=units,
                dtype="float32",
            )  # fmt: skip


def judge(array: np.ndarray, about: LayerFacts) -> Provenance:
    return recognise(weigh(array, about.unit_axes, about.input_axes, about.groups), about)


def draw(scheme: str, about: LayerFacts, rng: np.random.Generator) -> np.ndarray:
    return SCHEMES[scheme].draw(about.shape, rng, fan_in=about.fan_in, fan_out=about.fan_out, unit_axes=about.unit_axes)


def smooth(x: np.ndarray, axis: int) -> np.ndarray:
    return x + 0.4 * np.roll(x, 1, axis=axis)


Change = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def by_unit(array: np.ndarray, about: LayerFacts, change: Change, rng: np.random.Generator) -> np.ndarray:
    """Apply a change to the weight as a matrix [units, inputs]."""
    unit = about.unit_axes[0]
    moved = np.moveaxis(array, unit, 0)
    return np.moveaxis(change(moved.reshape(moved.shape[0], -1), rng).reshape(moved.shape), 0, unit)


def low_rank(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A rank-one part twice as strong as the weakest that any test can see (Baik, Ben Arous & Peche 2005)."""
    rows, columns = x.shape
    u, v = rng.standard_normal(rows), rng.standard_normal(columns)
    strength = 2.0 * (math.sqrt(rows) + math.sqrt(columns)) * float(x.std())
    return x + strength * np.outer(u / np.linalg.norm(u), v / np.linalg.norm(v))


def descended(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A linear layer after gradient descent towards a teacher of rank 3, until it has moved by half its own norm."""
    rows, columns = x.shape
    teacher = rng.standard_normal((rows, 3)) @ rng.standard_normal((3, columns))
    step = teacher / np.linalg.norm(teacher) * np.linalg.norm(x)
    return x * 0.9 + 0.5 * step


OTHERS: dict[str, Change] = {
    "student t(3)": lambda x, rng: rng.standard_t(3, x.shape) * x.std(),
    "student t(4)": lambda x, rng: rng.standard_t(4, x.shape) * x.std(),
    "student t(5)": lambda x, rng: rng.standard_t(5, x.shape) * x.std(),
    "laplace": lambda x, rng: rng.laplace(0, x.std(), x.shape),
    "low rank added": low_rank,
    "smoothed along rows": lambda x, rng: smooth(x, 1),
    "smoothed along columns": lambda x, rng: smooth(x, 0),
    "inputs rescaled 0.5-2": lambda x, rng: x * np.exp2(rng.uniform(-1, 1, (1, x.shape[1]))),
    "shifted by std/4": lambda x, rng: x + 0.25 * x.std(),
    "5 % grown fourfold": lambda x, rng: np.where(rng.random(x.shape) < 0.05, 4 * x, x),
    "decayed |x|^1.5": lambda x, rng: np.sign(x) * np.abs(x) ** 1.5,
    "gradient descent": descended,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tensors", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    start = time.perf_counter()
    print(f"{'fresh law':28} {'recognised':>10} {'law named':>10} {'std 2 %':>8}")
    for number, scheme in enumerate(FRESH):
        right = named = close = 0
        for i in range(options.tensors):
            rng = np.random.default_rng([options.seed, number, i])
            about = layer(rng)
            while scheme == "identity" and about.kind in {
                Kind.EMBEDDING,
                Kind.DEPTHWISE_CONV,
            }:  # there one-hot codes, one tap
                about = layer(rng)
            array = draw(scheme, about, rng).astype(DTYPES[i % len(DTYPES)])
            about = LayerFacts(
                **{f: getattr(about, f) for f in about.__slots__ if f != "dtype"}, dtype=array.dtype.name
            )
            found = judge(array, about)
            distribution = SCHEMES[scheme].distribution
            right += found.distribution == distribution and found.untrained is True
            named += found.law is not None and found.untrained is True
            want = (
                float(array.astype(np.float64).std())
                if distribution in ("orthogonal", "identity")
                else SCHEMES[scheme].std(about.fan_in, about.fan_out)
            )
            close += found.std is not None and abs(found.std / want - 1) <= 0.02
        n = options.tensors
        print(f"{scheme:28} {right / n:10.2%} {named / n:10.2%} {close / n:8.2%}", flush=True)
    print(f"\n{'not fresh':28} {'accepted':>10} {'low conf.':>10} {'open':>8} {'rejected':>8}")
    for number, (name, change) in enumerate(OTHERS.items()):
        counts: Counter[str] = Counter()
        for i in range(options.tensors):
            rng = np.random.default_rng([options.seed, 1000 + number, i])
            about = layer(rng)
            units = about.shape[about.unit_axes[0]]
            while min(units, math.prod(about.shape) // units) < 8:
                about = layer(rng)
                units = about.shape[about.unit_axes[0]]
            base = draw(str(rng.choice(["he_normal", "torch_default", "xavier_uniform", "normal_0.02"])), about, rng)
            found = judge(by_unit(base, about, change, rng).astype(np.float32), about)
            sure = found.confidence in ("medium", "high")
            counts[
                "accepted"
                if found.untrained and sure
                else "low"
                if found.untrained
                else "open"
                if found.untrained is None
                else "no"
            ] += 1
        n = options.tensors
        print(
            f"{name:28} {counts['accepted'] / n:10.2%} {counts['low'] / n:10.2%} {counts['open'] / n:8.2%} {counts['no'] / n:8.2%}",
            flush=True,
        )
    print(f"\n{time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
