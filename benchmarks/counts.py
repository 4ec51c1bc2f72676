"""Work against size, counted: how many lines of Python run for a model, and for one of twice the size.

    python benchmarks/counts.py audit|plan NAME:SIZE ...

`audit` is the audit without a probe, `plan` what the probe does in front of its sessions, SIZE the smaller of the two sizes, NAME a dimension of
`scaling_models.py`. The counts are the same on every machine and under any load: 2 is linear, 4 is quadratic. What one call of a library does
(a copy of a dict, a sort) counts as one line, and is for `scaling.py` to show.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from scaling_models import DIMENSIONS

ROOT = Path(__file__).resolve().parent.parent


def work(what: str, content: bytes) -> Callable[[], object]:
    """What is counted, for a model."""
    from initaudit.auditor import audit
    from initaudit.config import Config
    from initaudit.extraction.extract import extract_layers
    from initaudit.model.load import load_model
    from tests.planning import plan

    if what == "audit":
        return lambda: audit(content, Config(probe="none", timeout=600))
    model = load_model(content)
    layers = extract_layers(model).layers
    return lambda: plan(model, layers)


def main() -> None:
    sys.path.insert(0, str(ROOT))
    from tests.counting import lines_of

    what, *named = sys.argv[1:]
    print("| what | dimension | sizes | lines | ratio |\n|---|---|---|---|---|", flush=True)
    for name, _, size in (word.rpartition(":") for word in named):
        work(what, DIMENSIONS[name].make(8).SerializeToString())()  # what is imported or remembered for ever
        sizes = (int(size), 2 * int(size))
        few, many = (lines_of(work(what, DIMENSIONS[name].make(n).SerializeToString())) for n in sizes)
        told = [what, name, f"{sizes[0]:,} and {sizes[1]:,}", f"{few:,} and {many:,}", f"{many / few:.2f}"]
        print(f"| {' | '.join(told)} |", flush=True)


if __name__ == "__main__":
    main()
