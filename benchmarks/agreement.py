"""How well `compare` foretells what `race` sees: predicted slowness against steps, over many networks.

    python benchmarks/agreement.py OUT sample_models/*.onnx --families 20

Each network is raced from the usual starts: on scikit-learn's digits, or on what another draw of it answers where it takes no digits. `OUT/agreement.jsonl` gets one line
a network, so that a run that was ended goes on where it stopped. `--families N` makes N networks by the generators of `trainability/label_families.py`, from a group on that no
constant was fitted to (`--group`), and takes the recommended start of each as the file. Networks of which `--time` cut a run short are not counted. Needs the extra torch.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from itertools import zip_longest
from pathlib import Path
from statistics import median
from typing import Any

from initaudit.config import Config
from initaudit.errors import InitauditError, NotTrainable, UsageError
from initaudit.racing.options import RaceOptions, read_settings
from initaudit.racing.race import DIGITS, TEACHER, race

BAR, WITHIN, SHARE = 0.8, 1.25, 0.8
"""Wanted: the median of the rank correlations, how far behind the fastest the favourite may be, and in which share of the networks."""
SETTINGS = (("sgd", "0.01"), ("adam", "0.001"))
"""Those that slowness was fitted to."""
UNSEEN = 9000
"""First group of networks that no fit has used."""


def raced(path: Path, options: argparse.Namespace) -> dict[str, Any]:
    """What is kept of one network; why, where it cannot be raced."""
    settings = tuple(s for optimizer, rate in SETTINGS for s in read_settings([optimizer], [rate]))
    how = RaceOptions(settings=settings, steps=options.steps, seeds=options.seeds, seconds=options.time)
    begin = time.perf_counter()
    why = ""
    for data in (DIGITS, TEACHER):
        try:
            document = race(path, data, Config(), how).document
        except UsageError as error:
            why = str(error)
            continue
        except (InitauditError, NotTrainable) as error:
            return {"id": path.stem, "why": str(error)}
        return {
            "id": path.stem,
            "why": None,
            "task": document["race"]["task"],
            **document["agreement"],
            "winner": document["winner"],
            "cut": sum(run["end"] == "time" for s in document["starts"] for o in s["outcomes"] for run in o["runs"]),
            "starts": [
                {
                    "scheme": s["scheme"],
                    **s["predicted"],
                    "steps": s["steps"],
                    "settings": {f"{o['optimizer']} {o['rate']:g}": o["steps"] for o in s["outcomes"]},
                }
                for s in document["starts"]
            ],
            "seconds": round(time.perf_counter() - begin, 1),
        }
    return {"id": path.stem, "why": why}


def families(folder: Path, count: int, first: int) -> list[Path]:
    """The reference network of so many groups, exported."""
    from label_families import export, group_of

    made = []
    for number in range(first, first + count):
        path = folder / f"family{number}.onnx"
        if not path.exists():
            export(next(group_of(number)), path)
        made.append(path)
    return made


def told(name: str, rows: list[dict[str, Any]]) -> str:
    """The figures of some networks."""
    ranked = [row["rank_correlation"] for row in rows if row["rank_correlation"] is not None]
    learned = [row for row in rows if row["winner"] is not None]
    close = [row for row in learned if (row["favourite_times"] or WITHIN + 1) <= WITHIN]
    if not ranked or not learned:
        return f"{name}: {len(rows)} networks, none of which learned"
    return (
        f"{name}: {len(rows)} networks, {len(learned)} of which learned; rank correlation {median(ranked):.2f} (median of {len(ranked)}; wanted {BAR}); "
        f"favourite within {WITHIN} of the fastest in {len(close)} of {len(learned)}, {len(close) / len(learned):.0%} (wanted {SHARE:.0%})"
    )


def main() -> None:
    sys.path.insert(0, str(Path(__file__).parent / "trainability"))
    from lines import rows_in, write_down

    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("models", type=Path, nargs="*")
    parser.add_argument("--families", type=int, default=0, metavar="N")
    parser.add_argument("--group", type=int, default=UNSEEN, help="first group of the families")
    parser.add_argument("--steps", type=int, default=250)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--time", type=float, help="seconds for the training of each network")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    file = options.out / "agreement.jsonl"
    done = rows_in(file)
    made = families(options.out, options.families, options.group)
    paths = [path for pair in zip_longest(made, options.models) for path in pair if path is not None]
    for path in paths:
        if path.stem not in done:
            done[path.stem] = raced(path, options)
            write_down(file, done[path.stem])
            print(json.dumps({k: v for k, v in done[path.stem].items() if k != "starts"}), flush=True)
    rows = [row for path in paths if (row := done[path.stem])["why"] is None and not row["cut"]]
    print(told("all", rows))
    print(told("given", [r for r in rows if not r["id"].startswith("family")]))
    print(told("families", [r for r in rows if r["id"].startswith("family")]))


if __name__ == "__main__":
    main()
