"""What scales of weights are ordinary in trained networks: where `judgement.trained_scale.ORDINARY` comes from.

    python benchmarks/ordinary_scales.py FOLDER [FOLDER ...]

Audits every ONNX file below the folders without the probe, leaves out those that are judged fresh, and prints for each kind of layer the
percentiles of the ratio to the target's std: of layers that follow another layer, and apart from them of first ones, which take the units of the
inputs. The head is left out: it gives those of the targets. Downwards the ratio is that of the std, upwards that of the bulk of the values where it is smaller, as in the judgement.
Give it networks that are known to be sound.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

import initaudit
from initaudit.errors import InitauditError
from initaudit.judgement.scale import MIN_COUNT
from initaudit.judgement.trained_scale import bulk_ratio, reads_images, reads_inputs

if TYPE_CHECKING:
    from initaudit.measuring.layer_audit import LayerAudit

PERCENTILES = (0, 1, 5, 50, 95, 99, 100)
DENORMAL = 1e-30
"""Std of a layer that died in training: it says nothing of ordinary ones."""


def trained_layers(folders: Sequence[Path]) -> Iterator[tuple[Path, str, LayerAudit]]:
    """File, group and layer of all trained ones that have a target."""
    for file in sorted(file for folder in folders for file in folder.rglob("*.onnx")):
        try:
            audit = initaudit.audit(file, probe="none").audit
        except InitauditError as error:
            print(f"left out: {file}: {error}", file=sys.stderr)
            continue
        if audit is None or not audit.context.has_training:
            continue
        for layer in audit.layers:
            facts, stats = layer.layer, layer.stats
            sized = layer.ratio is not None and stats.count >= MIN_COUNT and not stats.nonfinite
            if not (sized and layer.trained and stats.std > DENORMAL):
                continue
            if reads_inputs(layer, audit):
                yield file, "first, images" if reads_images(facts) else "first, others", layer
            elif not facts.is_head:
                yield file, facts.kind.value, layer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    below, above, files = defaultdict(list), defaultdict(list), set()
    for file, group, layer in trained_layers(parser.parse_args().folders):
        files.add(file)
        for kind in (group, *(() if group.startswith("first") else ("all",))):
            below[kind].append(layer.ratio)
            above[kind].append(bulk_ratio(layer))
    print(f"{len(files)} networks; percentiles {', '.join(map(str, PERCENTILES))}")
    for kind in sorted(below):
        for name, values in (("std", below[kind]), ("bulk", above[kind])):
            shown = "  ".join(f"{value:8.3g}" for value in np.percentile(values, PERCENTILES))
            print(f"{kind:15} {len(values):5} {name:4}  {shown}")


if __name__ == "__main__":
    main()
