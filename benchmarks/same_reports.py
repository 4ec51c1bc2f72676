"""Do two versions of the package say the same of the same models? For changes that must not change behaviour.

    python benchmarks/same_reports.py REVISION [MODEL ...] [--probe none|forward|full] [--new-keys] [--inspect] [--show N]

Audits each model (default: all of sample_models/) with the working tree and with REVISION, both from source, and compares the JSON
documents byte for byte apart from what names the version, the run and its times. Where they differ, the first N differences are printed with their
paths in the document. `--new-keys` lets the working tree add keys, which the contract of the document allows. `--inspect` compares what
`initaudit inspect` says instead. Exit code 0 where all are equal, 1 where one differs.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
RUN_KEYS = ("tool", "run")
"""Top-level keys of the document that name the version and the run."""
TIME_KEYS = ("timing",)
"""Keys of a report that hold times."""


def said(tree: Path, model: Path, command: list[str]) -> object:
    """What the package in `tree` prints about a model: its document, or the exit code and the message."""
    environment = {**os.environ, "PYTHONPATH": str(tree)}
    done = subprocess.run(
        [sys.executable, "-m", "initaudit", *command, str(model)],
        cwd=model.parent,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        document = json.loads(done.stdout)
    except json.JSONDecodeError:
        return {"exit": done.returncode, "stderr": done.stderr}
    if isinstance(document, dict):
        document = {key: value for key, value in document.items() if key not in RUN_KEYS}
        for report in document.get("reports", ()):
            for key in TIME_KEYS:
                report.pop(key, None)
    return {"exit": done.returncode, "document": document}


def differences(old: object, new: object, path: str = "", *, new_keys: bool = False) -> Iterator[str]:
    """One line for each place where two documents differ."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in [*old, *(k for k in new if k not in old and not new_keys)]:
            yield from differences(
                old.get(key, "(absent)"), new.get(key, "(absent)"), f"{path}.{key}", new_keys=new_keys
            )
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for index, (a, b) in enumerate(zip(old, new, strict=True)):
            yield from differences(a, b, f"{path}[{index}]", new_keys=new_keys)
    elif json.dumps(old) != json.dumps(new):
        yield f"{path}: {json.dumps(old)[:300]} -> {json.dumps(new)[:300]}"


def main() -> int:
    """Compare and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("revision")
    parser.add_argument("models", nargs="*", type=Path)
    parser.add_argument("--probe", default="full")
    parser.add_argument("--new-keys", action="store_true")
    parser.add_argument("--inspect", action="store_true")
    parser.add_argument("--show", type=int, default=5)
    options = parser.parse_args()
    models = [m.resolve() for m in options.models] or sorted((ROOT / "sample_models").glob("*.onnx"))
    command = ["check", "--isolated", "--output-format", "json", "-q", "--probe", options.probe]
    if options.inspect:
        command = ["inspect", "--output-format", "json"]
    changed = 0
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(2) as pool:
        before = Path(folder) / "before"
        subprocess.run(
            ["git", "worktree", "add", "-q", "--detach", str(before), options.revision], cwd=ROOT, check=True
        )
        try:
            for model in models:
                old, new = pool.map(lambda tree, m=model: said(tree, m, command), (before, ROOT))
                lines = list(differences(old, new, new_keys=options.new_keys))
                changed += bool(lines)
                for line in lines[: options.show]:
                    print(f"{model.name}{line}")
                if len(lines) > options.show:
                    print(f"{model.name}: and {len(lines) - options.show} more")
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", str(before)], cwd=ROOT, check=True)
    print(f"{len(models) - changed} of {len(models)} models: the same; {changed} differ")
    return int(changed > 0)


if __name__ == "__main__":
    sys.exit(main())
