"""How much `fix` changes where one thing is wrong: parts of layers that it changes beside those that a fault was planted in.

    python benchmarks/layers_changed.py [WORD ...]      only faults and networks whose names contain one of the words

Every network of `layers_changed_networks.py` as it is, which should stay so, and with one fault in one stored tensor, as far as it has such
tensors; the tensor is drawn at random. A part is the weight or the bias of a layer, of recurrent cells that of each gate. Columns:

    cases      networks with the fault
    left       of them: the faulty part stayed, and the network learns all the same (it does not fail)
    mended     the faulty part changed, and the network does not fail
    at most 1  no more than one part changed beside those that the fault is in
    most       the most parts that changed beside them

What does not come out so is told below the table, case by case.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from zlib import crc32

import numpy as np
from layers_changed_networks import FAULTS, NETWORKS, Fault

import initaudit
from initaudit.errors import FixRefused
from initaudit.extraction.extract import extract_layers
from initaudit.model.load import load_model

if TYPE_CHECKING:
    import onnx

SOUND = "none"
FRESH = initaudit.Config(context="fresh")


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A network with a fault, or without, and what `fix` made of it."""

    network: str
    fault: str
    place: str
    planted: frozenset[str]
    """Parts that the fault is in."""
    changed: frozenset[str]
    """Parts that `fix` changed."""
    status: str
    """Of the verdict on the network as `fix` leaves it."""

    @property
    def others(self) -> int:
        """Parts that changed though they were sound."""
        return len(self.changed - self.planted)

    @property
    def is_left(self) -> bool:
        """Whether the fault stays and does no harm."""
        return not self.changed & self.planted and self.status != "fail"

    @property
    def is_mended(self) -> bool:
        """Whether the fault is gone and the network learns."""
        return bool(self.changed & self.planted) and self.status != "fail"

    def __str__(self) -> str:
        """In a line."""
        where = f"{self.fault} in {self.place} of {self.network}"
        return f"{where}: {self.status}, changed {', '.join(sorted(self.changed)) or 'nothing'}"


def parts(model: onnx.ModelProto) -> dict[str, np.ndarray]:
    """Weights and biases by the name of their layer."""
    found = {}
    for layer in extract_layers(load_model(model)).layers:
        found[f"{layer.name} weight"] = np.array(layer.weight.array())
        if layer.bias is not None:
            start, stop = layer.bias_slice or (0, layer.bias.size)
            found[f"{layer.name} bias"] = np.array(layer.bias.array()).reshape(-1)[start:stop]
    return found


def different(one: onnx.ModelProto, other: onnx.ModelProto) -> frozenset[str]:
    """Parts that two models of the same layers have not in common."""
    before, after = parts(one), parts(other)
    return frozenset(name for name in before if not np.array_equal(before[name], after[name], equal_nan=True))


def tried(network: str, fault: str, place: str, sound: onnx.ModelProto, faulty: onnx.ModelProto) -> Case:
    """What `fix` makes of it, in memory."""
    planted = different(sound, faulty)
    try:
        result = initaudit.fix(faulty, config=FRESH)
    except FixRefused as refusal:
        return Case(
            network=network, fault=fault, place=place, planted=planted, changed=frozenset(), status=str(refusal)
        )
    now = result.now
    assert now.audit is not None
    changed = different(faulty, now.audit.model.proto)
    return Case(network=network, fault=fault, place=place, planted=planted, changed=changed, status=now.verdict.status)


def cases(words: list[str]) -> Iterator[Case]:
    for network, built in NETWORKS.items():
        sound = built.model()
        faults: dict[str, Fault | None] = {SOUND: None, **FAULTS}
        for name, fault in faults.items():
            if words and not any(word in f"{name} in {network}" for word in words):
                continue
            rng = np.random.default_rng([crc32(network.encode()), crc32(name.encode())])
            if fault is None:
                yield tried(network, name, "nothing", sound, sound)
            elif places := fault.places(sound):
                place = str(rng.choice(places))
                yield tried(network, name, place, sound, fault.planted(sound, place, rng))


def row(fault: str, found: Sequence[Case]) -> None:
    """A line of the table."""
    if found:
        left, mended = sum(case.is_left for case in found), sum(case.is_mended for case in found)
        few = sum(case.others <= 1 for case in found)
        print(f"| {fault} | {len(found)} | {left} | {mended} | {few} | {max(case.others for case in found)} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", nargs="*")
    found = []
    for case in cases(parser.parse_args().words):
        print(case, file=sys.stderr, flush=True)
        found.append(case)
    faulty = [case for case in found if case.fault != SOUND]
    print("| fault | cases | left | mended | at most 1 | most |\n|---|---|---|---|---|---|")
    for fault in (SOUND, *FAULTS):
        row(fault, [case for case in found if case.fault == fault])
    row("all faults", faulty)
    print()
    for case in found:
        if case.others > 1 or not (case.is_left or case.is_mended or case.fault == SOUND):
            print(f"- {case}")


if __name__ == "__main__":
    main()
