"""Would the tests notice? Breaks a module in one place at a time and runs the tests that mirror it.

    python benchmarks/mutants.py MODULE ... [--with TEST ...] [--kinds constant comparison guard argument] [--lines 10-40]

MODULE is a file of the package, such as initaudit/judgement/context.py; the tests of initaudit/ROOM/NAME.py are tests/ROOM/test_NAME.py
and what `--with` adds. The kinds of mutants are those that have survived a green suite here: a constant of the module times or divided by
FACTOR, a comparison turned round, a guard (`if ...: return | raise | continue`) that never holds, an argument left out of a call. All
happens in a temporary copy of the tree. Printed is each survivor: a line that no test pins down. Not every one is a gap; some change
nothing that can be seen (a shortcut, a factor that rounding swallows). Exit code 0 where none survives, 1 where some do, 2 where the
tests fail before anything is broken.
"""

from __future__ import annotations

import argparse
import ast
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

ROOT = Path(__file__).resolve().parent.parent
NEEDED = ("initaudit", "templates", "tests", "sample_models", "benchmarks", "pyproject.toml", "README.md", "LICENSE")
FACTOR = 4
"""A threshold may be a judgement, but one that can be four times as large unnoticed is not tested."""
PATIENCE = 4.0
"""A mutant that takes so many times as long as the sound module is endless, and found."""
SHORTEST = 30.0
"""Seconds that every mutant is given."""
NEGATION: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.GtE,
    ast.LtE: ast.Gt,
    ast.Gt: ast.LtE,
    ast.GtE: ast.Lt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """One place of a module, and what stands there instead."""

    kind: str
    node: ast.expr
    text: str

    def apply(self, source: str) -> str:
        """The module with the mutant in place of the node."""
        lines = source.encode().splitlines(keepends=True)  # columns count bytes
        starts = [0]
        for line in lines:
            starts.append(starts[-1] + len(line))
        assert self.node.end_lineno is not None
        assert self.node.end_col_offset is not None
        begin = starts[self.node.lineno - 1] + self.node.col_offset
        end = starts[self.node.end_lineno - 1] + self.node.end_col_offset
        raw = source.encode()
        return (raw[:begin] + self.text.encode() + raw[end:]).decode()


def constants(tree: ast.Module) -> Iterator[Mutant]:
    """Numbers that the module names, FACTOR times as large and as small."""
    for statement in tree.body:
        value = statement.value if isinstance(statement, ast.Assign | ast.AnnAssign) else None
        if value is None or not _is_number(value):
            continue
        text = ast.unparse(value)
        whole = isinstance(ast.literal_eval(value), int) if isinstance(value, ast.Constant) else False
        for changed in (f"({text}) * {FACTOR}", f"({text}) {'//' if whole else '/'} {FACTOR}"):
            yield Mutant(kind="constant", node=value, text=changed)


def _is_number(node: ast.expr) -> bool:
    """Whether an expression is arithmetic on numbers alone."""
    if isinstance(node, ast.UnaryOp):
        return _is_number(node.operand)
    if isinstance(node, ast.BinOp):
        return _is_number(node.left) and _is_number(node.right)
    return isinstance(node, ast.Constant) and type(node.value) in (int, float)


def comparisons(nodes: Sequence[ast.AST]) -> Iterator[Mutant]:
    """Each comparison with its opposite."""
    for node in nodes:
        for place, operator in enumerate(node.ops if isinstance(node, ast.Compare) else ()):
            assert isinstance(node, ast.Compare)
            turned = [*node.ops[:place], NEGATION[type(operator)](), *node.ops[place + 1 :]]
            text = ast.unparse(ast.Compare(left=node.left, ops=turned, comparators=node.comparators))
            yield Mutant(kind="comparison", node=node, text=f"({text})")


def guards(nodes: Sequence[ast.AST]) -> Iterator[Mutant]:
    """Each early exit, never taken."""
    for node in nodes:
        if (
            isinstance(node, ast.If)
            and not node.orelse
            and isinstance(node.body[-1], ast.Return | ast.Raise | ast.Continue)
        ):
            yield Mutant(kind="guard", node=node.test, text="False")


def arguments(nodes: Sequence[ast.AST]) -> Iterator[Mutant]:
    """Each call without one of its named arguments, or without its last one by position."""
    for node in nodes:
        if not isinstance(node, ast.Call):
            continue
        shorter = [(node.args, [k for k in node.keywords if k is not left_out]) for left_out in node.keywords]
        if len(node.args) > 1:
            shorter.append((node.args[:-1], node.keywords))
        for args, keywords in shorter:
            yield Mutant(
                kind="argument", node=node, text=ast.unparse(ast.Call(func=node.func, args=args, keywords=keywords))
            )


def mutants(source: str) -> list[Mutant]:
    """All mutants of a module, in the order of its lines."""
    tree = ast.parse(source)
    nodes = list(_code(tree))
    found = [*constants(tree), *comparisons(nodes), *guards(nodes), *arguments(nodes)]
    return sorted(found, key=lambda m: (m.node.lineno, m.node.col_offset))


def _code(node: ast.AST) -> Iterator[ast.AST]:
    """What runs: no annotations, decorators or messages (whose columns Python 3.11 does not know)."""
    yield node
    aside = {id(d) for d in getattr(node, "decorator_list", ())} | {id(getattr(node, "annotation", None))}
    for child in ast.iter_child_nodes(node):
        if id(child) not in aside and not isinstance(child, ast.JoinedStr):
            yield from _code(child)


def tests_of(module: Path, extra: Sequence[str]) -> list[str]:
    """The test file that mirrors a module, if there is one, and the others that were asked for."""
    inner = module.relative_to("initaudit")
    mirror = Path("tests") / inner.parent / f"test_{inner.stem}.py"
    return [*([str(mirror)] if (ROOT / mirror).is_file() else []), *extra]


def run_tests(tree: Path, tests: Sequence[str], timeout: float | None) -> int | None:
    """Exit code of pytest in a copy of the project; None where it does not end in time."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-x",
        "-q",
        "-n",
        "0",
        "-p",
        "no:cacheprovider",
        "-m",
        "not browser",
        *tests,
    ]
    environment = {
        **os.environ,
        "PYTHONPATH": str(tree),
        "PYTHONDONTWRITEBYTECODE": "1",
    }  # bytecode is as old as a second
    try:
        return subprocess.run(
            command, cwd=tree, env=environment, capture_output=True, check=False, timeout=timeout
        ).returncode
    except subprocess.TimeoutExpired:
        return None


def patience(tree: Path, tests: Sequence[str]) -> float | None:
    """Seconds to wait for the tests of a mutant; None where they fail on the sound module."""
    start = time.monotonic()
    sound = run_tests(tree, tests, None) == 0
    return max(SHORTEST, PATIENCE * (time.monotonic() - start)) if sound else None


def survivors(path: Path, chosen: Sequence[Mutant], survives: Callable[[], bool]) -> Iterator[Mutant]:
    """The mutants of the module at `path` that leave the tests green."""
    source = path.read_text(encoding="utf-8")
    try:
        for mutant in chosen:
            path.write_text(mutant.apply(source), encoding="utf-8")
            if survives():
                yield mutant
    finally:
        path.write_text(source, encoding="utf-8")


def copy(tree: Path) -> None:
    """What the tests need, in a place where it can be broken."""
    for name in NEEDED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, tree / name)


def main() -> int:
    """Break, run, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("modules", nargs="+", type=Path, metavar="MODULE")
    parser.add_argument("--with", dest="extra", nargs="+", default=[], metavar="TEST")
    kinds = ("constant", "comparison", "guard", "argument")
    parser.add_argument("--kinds", nargs="+", choices=kinds, default=kinds)
    parser.add_argument("--lines", help="only mutants in these lines, such as 10-40")
    options = parser.parse_args()
    first, last = map(int, options.lines.split("-")) if options.lines else (1, sys.maxsize)
    alive = 0
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder)
        copy(tree)
        for module in options.modules:
            tests = tests_of(module, options.extra)
            timeout = patience(tree, tests) if tests else None
            if timeout is None:
                print(
                    f"{module}: {f'fails as it is: {tests}' if tests else 'no test mirrors it; name one with --with'}"
                )
                return 2
            found = mutants((tree / module).read_text(encoding="utf-8"))
            chosen = [m for m in found if m.kind in options.kinds and first <= m.node.lineno <= last]
            count = 0
            for mutant in survivors(tree / module, chosen, lambda t=tests, s=timeout: run_tests(tree, t, s) == 0):
                count += 1
                print(
                    f"{module}:{mutant.node.lineno}: {mutant.kind}: {ast.unparse(mutant.node)} -> {mutant.text}",
                    flush=True,
                )
            print(f"{module}: {count} of {len(chosen)} mutants survive", flush=True)
            alive += count
    return int(alive > 0)


if __name__ == "__main__":
    sys.exit(main())
