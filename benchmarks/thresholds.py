"""Where the thresholds that were read off data come from: the figures that their docstrings quote, measured again.

    python benchmarks/thresholds.py trained [MODEL_OR_FOLDER ...]    thresholds for trained networks (default: sample_models/)
    python benchmarks/thresholds.py rounding                          what storing leaves of an orthogonal matrix
    python benchmarks/thresholds.py speed                             sizes chosen for speed, in milliseconds
    python benchmarks/thresholds.py memory                            what a probe's process holds before it does anything

`trained` audits every model, leaves out those that are judged fresh, and prints for each threshold how far trained layers go and
which of them lie beyond it. Whether those are faults (a layer blown up on purpose, a head that was never trained) the reader must know:
give it networks that are known to be sound. The figures in the docstrings are of 620 layers of 47 networks: those among the ONNX files of
40 public repositories that are known to be trained, and six small ones (MLPs, CNNs, an autoencoder, an LSTM) trained with three seeds each.

For figures of one thread set OPENBLAS_NUM_THREADS=1.
"""

from __future__ import annotations

import argparse
import math
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import ml_dtypes
import numpy as np

import initaudit
from initaudit.errors import InitauditError
from initaudit.judgement import lost, scale, trained_scale
from initaudit.judgement.gain import signal_gain
from initaudit.kind import Kind
from initaudit.rules import ini104_mean_off_zero as offset
from initaudit.rules import ini105_outlier_weights as outliers
from initaudit.stats import patterns, provenance, weigh
from initaudit.stats.distributions import EXACT_KS, KS_BINS, ks_distance, normal_cdf
from initaudit.stats.rowscaled import row_scaled_evidence
from initaudit.stats.sketch import SKETCH_WIDTH
from initaudit.stats.spectrum import EXACT_SIDE
from initaudit.stats.walk import CHUNK

if TYPE_CHECKING:
    from initaudit.measuring.layer_audit import LayerAudit

SHOWN = 8
SAMPLES = Path(__file__).parents[1] / "sample_models"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """A layer of a network that was trained, and is not recognised as untrained itself."""

    model: str
    audit: LayerAudit

    def __str__(self) -> str:
        """Where to find it."""
        return f"{self.model}: {self.audit.layer.name} ({self.audit.stats.count} values of {self.audit.layer.weight.dtype})"


def trained_layers(paths: Sequence[Path]) -> Iterator[Trained]:
    for path in paths:
        for file in sorted(path.rglob("*.onnx")) if path.is_dir() else [path]:
            try:
                audit = initaudit.audit(file).audit
            except InitauditError as error:
                print(f"left out: {file.name}: {error}", file=sys.stderr)
                continue
            if audit is None or not audit.context.has_training:
                continue
            for layer in audit.layers:
                if layer.layer.untrainable is None and layer.stats.std > 0 and not layer.stats.nonfinite:
                    yield Trained(model=str(Path(*file.parts[-3:])), audit=layer)


def extremes(
    title: str, found: Sequence[Trained], value: Callable[[Trained], float | None], low: float, high: float
) -> None:
    """Print how far a figure goes, and the layers outside of [low, high]."""
    known = sorted(((v, layer) for layer in found if (v := value(layer)) is not None), key=lambda pair: pair[0])
    if not known:
        print(f"\n{title}: no layer has it")
        return
    values = [v for v, _ in known]
    outside = [(v, layer) for v, layer in known if not low <= v <= high]
    one, ninety_nine = np.percentile(values, [1, 99])
    print(f"\n{title}: {len(values)} layers, {len(outside)} outside of {low:.3g} to {high:.3g}")
    print(
        f"  smallest {values[0]:.3g}, 1 % {one:.3g}, median {np.median(values):.3g}, 99 % {ninety_nine:.3g}, largest {values[-1]:.3g}"
    )
    for v, layer in outside if len(outside) <= 2 * SHOWN else [*outside[:SHOWN], *outside[-SHOWN:]]:
        print(f"  {v:9.3g}  {layer}")


def ratio(layer: Trained) -> float | None:
    enough = layer.audit.stats.count >= scale.MIN_COUNT and layer.audit.layer.kind != "embedding"
    return layer.audit.ratio if enough else None


def gain(layer: Trained) -> float | None:
    return signal_gain(layer.audit)


def variance_ratio(layer: Trained) -> float | None:
    found = gain(layer)
    return None if found is None or layer.audit.layer.kind == "embedding" else found * found


def mean_over_std(layer: Trained) -> float | None:
    stats, facts = layer.audit.stats, layer.audit.layer
    vector = facts.kind in ("norm", "scale", "embedding", "depthwise_conv", "other")
    if vector or stats.count < offset.MIN_COUNT or facts.fan_in < offset.MIN_FAN_IN:
        return None
    return abs(stats.mean) / stats.std


def largest_share(layer: Trained) -> float | None:
    stats = layer.audit.stats
    if layer.audit.layer.kind in ("norm", "scale", "other") or stats.count < outliers.MIN_COUNT:
        return None
    return max(-stats.min, stats.max) ** 2 / (stats.count * (stats.std**2 + stats.mean**2))


def size(layer: Trained) -> int:
    return layer.audit.stats.count


def recognised(found: Sequence[Trained]) -> None:
    """Weights of trained networks whose values pass for independent draws: few and small where the networks are sound."""
    print(
        f"\nprovenance.SHARP_LAW, BELL_LAW, CERTAIN_BELL, SCALE_FREE, CERTAIN_SCALE_FREE: passing every test (p >= {provenance.ACCEPT:g})"
    )
    for layer in sorted(found, key=size):
        origin = layer.audit.provenance
        passes = origin is not None and origin.p_value is not None and origin.p_value >= provenance.ACCEPT
        if origin is not None and passes and layer.audit.stats.count >= provenance.SHARP_LAW:
            print(f"  {origin.distribution:16} {origin.law or 'scale unknown':24} p = {origin.p_value:.2g}  {layer}")


def row_scaled(found: Sequence[Trained]) -> None:
    """The same for draws whose units were rescaled."""
    print(f"\nprovenance.ROW_SCALED_UNIFORM, ROW_SCALED_BELL: passing unit by unit (p >= {provenance.ACCEPT:g})")
    for layer in sorted(found, key=size):
        facts, view = layer.audit.layer, layer.audit.layer.weight
        if not (facts.kind.is_convolution or facts.kind is Kind.LINEAR):
            continue
        block = weigh(view.array(), unit_axes=view.unit_axes, input_axes=view.input_axes, groups=facts.groups).block
        kernel = math.prod(view.shape[2:]) if facts.kind.is_convolution else 1
        tests = sorted(row_scaled_evidence(block, kernel), key=lambda e: -e.log_likelihood) if block.all() else []
        if tests and tests[0].evidence.p_value >= provenance.ACCEPT:
            odds = tests[0].log_likelihood - tests[1].log_likelihood
            print(
                f"  {tests[0].evidence.family.name:8} by {odds:6.1f} nats, p = {tests[0].evidence.p_value:.2g}  {layer}"
            )


def trained(paths: Sequence[Path]) -> None:
    every = list(trained_layers(paths))
    found = [layer for layer in every if not (layer.audit.provenance and layer.audit.provenance.untrained)]
    print(
        f"{len(every)} layers of {len({layer.model for layer in every})} trained networks, {len(every) - len(found)} of them untrained"
    )
    extremes("judgement/trained_scale.ORDINARY: std over the target's", found, ratio, *trained_scale.ORDINARY)
    extremes(
        "judgement/trained_scale.TRAINED_GAIN: factor in the signal's std",
        found,
        gain,
        1 / trained_scale.TRAINED_GAIN,
        trained_scale.TRAINED_GAIN,
    )
    extremes(
        "judgement/lost.LOST, EXPLODED: factor in the signal's variance",
        found,
        variance_ratio,
        lost.LOST,
        lost.EXPLODED,
    )
    extremes("INI104 LARGE_OFFSET: |mean| over std", found, mean_over_std, 0.0, offset.LARGE_OFFSET)
    extremes("INI105 DOMINANT: energy in the largest weight", found, largest_share, 0.0, outliers.DOMINANT)
    recognised(every)
    row_scaled(every)


def rounding() -> None:
    print(
        "largest entry of the deviation from orthonormality, times the root of the side (ORTHOGONAL_DEFECT, EXACT_DEFECT without the root)"
    )
    print(
        "root mean square of (G - level I) r, relatively (SKETCHED_DEFECT); spread of the rows' squared lengths (EQUAL_LENGTHS)"
    )
    rng = np.random.default_rng(0)
    types = {"float32": np.float32, "float16": np.float16, "bfloat16": ml_dtypes.bfloat16}
    for side in (16, 64, 256, 1024, 4096):
        exact = np.linalg.qr(rng.standard_normal((side, side), dtype=np.float32))[0]
        for name, dtype in types.items():
            stored = exact.astype(dtype).astype(np.float64)
            gram = stored.T @ stored
            lengths = np.diag(gram)
            level, spread = lengths.mean(), lengths.max() / lengths.min() - 1.0
            deviation = gram / level - np.eye(side)
            defect = np.abs(deviation).max() * (1.0 if name == "float32" else math.sqrt(side))
            sketched = math.sqrt(np.square(deviation @ rng.standard_normal(side)).mean())
            allowed = patterns.ORTHOGONAL_DEFECT.get(name, patterns.EXACT_DEFECT)
            print(
                f"{side:5} {name:9} {defect:8.1e} (allowed {allowed:.0e})  {sketched:8.1e} (allowed {patterns.SKETCHED_DEFECT[name]:.0e})  {spread:8.1e}"
            )


def milliseconds(work: Callable[[], object], repeat: int = 7) -> float:
    """Best of a few runs."""
    best = math.inf
    for _ in range(repeat):
        start = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - start)
    return best * 1e3


def speed() -> None:
    rng = np.random.default_rng(0)
    values = rng.standard_normal(1 << 16, dtype=np.float32)
    binned = milliseconds(lambda: ks_distance(values, normal_cdf, 10.0))
    ordered = milliseconds(lambda: normal_cdf(np.sort(values)))
    print(
        f"distributions.EXACT_KS = {EXACT_KS}: {values.size} values sorted {ordered:.2f}, in {KS_BINS} bins {binned:.2f}"
    )
    for side in (EXACT_SIDE // 2, EXACT_SIDE, 2 * EXACT_SIDE):
        gram = np.cov(rng.standard_normal((side, 2 * side)))
        print(
            f"spectrum.EXACT_SIDE = {EXACT_SIDE}: eigenvalues of side {side} {milliseconds(lambda g=gram: np.linalg.eigvalsh(g)):.1f}"
        )
    block = rng.standard_normal((1 << 6, 1 << 11), dtype=np.float32)
    for width in (1, 2, 3, SKETCH_WIDTH, SKETCH_WIDTH + 1, 2 * SKETCH_WIDTH):
        vectors = rng.standard_normal((width, block.shape[1]), dtype=np.float32)
        print(
            f"sketch.SKETCH_WIDTH = {SKETCH_WIDTH}: {width} products {milliseconds(lambda v=vectors: v @ block.T, 200):.3f}"
        )
    flat = rng.standard_normal(1 << 23, dtype=np.float32)
    for size in (CHUNK // 4, CHUNK // 2, CHUNK, 2 * CHUNK, 4 * CHUNK):
        print(
            f"walk.CHUNK = {CHUNK}: {flat.size} values in chunks of {size} {milliseconds(lambda n=size: power_sums(flat, n)):.1f}"
        )


def power_sums(values: np.ndarray, chunk: int) -> float:
    """The four power sums of `values`, chunk by chunk, as the audit forms them."""
    squares, ones, total = np.empty(chunk, np.float32), np.ones(chunk, np.float32), 0.0
    for start in range(0, values.size, chunk):
        part = values[start : start + chunk]
        square = np.square(part, out=squares[: part.size])
        first, second = np.dot(part, ones[: part.size]), np.dot(square, ones[: part.size])
        total += float(first + second + np.dot(square, part) + np.dot(square, square))
    return total


def memory() -> None:
    code = "import numpy, onnx, onnxruntime; print(open('/proc/self/status').read())"
    status = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    held = {
        line.split()[0]: int(line.split()[1]) / 1024
        for line in status.splitlines()
        if line.startswith(("VmData", "VmRSS"))
    }
    print(f"probe/job.DATA_HEADROOM: data segment {held['VmData:']:.0f} MiB, resident {held['VmRSS:']:.0f} MiB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_subparsers(dest="what", required=True)
    what.add_parser("trained").add_argument("paths", nargs="*", type=Path, default=[SAMPLES])
    for name in ("rounding", "speed", "memory"):
        what.add_parser(name)
    options = parser.parse_args()
    if options.what == "trained":
        trained(options.paths)
    else:
        {"rounding": rounding, "speed": speed, "memory": memory}[options.what]()


if __name__ == "__main__":
    main()
