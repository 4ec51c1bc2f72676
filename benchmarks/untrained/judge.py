"""Error rates of the evidence for untrained layers, on the networks that `train.py` made.

    python benchmarks/untrained/judge.py DIR [DIR ...]

Prints (1) of the layers of trained networks, by size and optimiser, how many are called untrained, (2) of heads and blocks drawn
anew, by size and law, how many are missed, (3) what the context says, by the number of steps, and (4) the frequencies that the
constants of `judgement/untrained.py` and `judgement/freshness.py` stand for. Layers count as trained by the step at which they were
kept; a network is called much trained where most of its layers of 768 values and more are certainly no draw.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from initaudit.extraction.extract import extract_layers
from initaudit.judgement.context import infer_context, with_training
from initaudit.judgement.groups import Group, grouped
from initaudit.measuring.measure import measure
from initaudit.model.load import load_model

if TYPE_CHECKING:
    from initaudit.stats.verdicts import Provenance

SIZES = (48, 192, 768, 1536, 4000)
LARGE = 768


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One layer of one network."""

    about: dict[str, Any]
    context: str
    group: Group
    origin: Provenance
    """After all evidence was weighed."""
    untrained: bool
    head: bool

    @property
    def verdict(self) -> str:
        """What is said of the layer."""
        if self.context not in ("trained", "mixed"):
            return "network not seen to be trained"
        if self.origin.untrained and self.origin.confidence != "low":
            return "error" if self.origin.confidence == "high" else "warning"
        return "note" if (self.origin.odds or 0.0) >= 0.1 else "nothing"

    @property
    def size(self) -> str:
        """Up to how many values."""
        return next((f"to {size}" for size in SIZES if self.group.count <= size), f"over {SIZES[-1]}")


def rows(directory: Path) -> Iterator[Row]:
    """Every layer of every network."""
    for name, about in json.loads((directory / "truth.json").read_text()).items():
        layers, _ = measure(extract_layers(load_model(directory / name)).layers)
        context = infer_context(layers)
        weighed = {id(a): b.provenance for a, b in zip(layers, with_training(layers, context), strict=True)}
        for group in grouped(layers):
            first = group.parts[0]
            module, drawn = group.title.partition("[")[0], about["untrained"]
            yield Row(
                about=about | {"network": name},
                context=context.name,
                group=group,
                origin=weighed[id(first)] or group.vote,
                untrained=drawn == "*" or (drawn != "" and f"{module}.".startswith(f"{drawn}.")),
                head=first.layer.is_head,
            )


def table(title: str, counted: Iterable[tuple[str, str]]) -> None:
    """Print shares of what was counted, a line for each first word."""
    lines: dict[str, Counter[str]] = defaultdict(Counter)
    for key, what in counted:
        lines[key][what] += 1
    print(f"\n{title}")
    for key, counts in sorted(lines.items()):
        total = sum(counts.values())
        shares = "  ".join(f"{what} {count / total:.1%}" for what, count in sorted(counts.items()))
        print(f"  {key:34} {total:5}  {shares}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directories", type=Path, nargs="+")
    everything = [row for directory in parser.parse_args().directories for row in rows(directory)]
    pure = [row for row in everything if not row.about["untrained"]]
    drawn = [row for row in everything if row.untrained and row.about["untrained"] != "*"]
    rejected: dict[str, list[bool]] = defaultdict(list)
    for row in pure:
        if row.group.count >= LARGE:
            rejected[row.about["network"]].append(row.group.rejected)
    much = [row for row in pure if np.mean(rejected.get(row.about["network"], [False])) >= 0.5]
    table(
        "trained layers, by steps and optimiser",
        ((f"{r.about['steps']:5} steps {r.about['optimiser']}", r.verdict) for r in pure),
    )
    table("trained layers, by size", ((r.size, r.verdict) for r in pure))
    table(
        "layers drawn anew", ((f"{'head' if r.head else 'other'} {r.about['law']} {r.size}", r.verdict) for r in drawn)
    )
    table(
        "contexts",
        (
            (f"{r.about['steps']:5} steps", r.context)
            for r in everything
            if r.about["untrained"] in ("", "*") and r.head
        ),
    )
    table(
        "weights of much trained networks",
        (
            (
                f"{'head' if r.head else 'other'} {r.size}",
                "no law"
                if not r.group.fits
                else "uniform law"
                if r.group.vote.distribution == "uniform"
                else "bell law",
            )
            for r in much
        ),
    )
    table("biases of trained layers", ((_law(r), str(r.group.bias)) for r in pure))
    table("biases of untrained layers", ((_law(r), str(r.group.bias)) for r in everything if r.untrained))
    for title, chosen in (("much trained", much), ("untrained", [r for r in everything if r.untrained])):
        p_values = [r.group.vote.p_value for r in chosen if r.group.fits and r.group.vote.p_value is not None]
        print(f"\np-values of fitting layers, {title}: median {np.median(p_values):.2f} of {len(p_values)}")


def _law(row: Row) -> str:
    return "torch's default" if (row.about["law"] or row.about["start"]) == "torch" else "zero at the start"


if __name__ == "__main__":
    main()
